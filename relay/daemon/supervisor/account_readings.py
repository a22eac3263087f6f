"""The limits of accounts for the scrape: of the hundred with the most mail, how much is used and left.

A decision: from what the ledger counts and what the workers tell of the accounts that they know (name,
limits, what was throttled) to readings. An account that has sent nothing since the relay was started has no
sample; neither has one without limits.

``Throttled`` adds up what the workers count, over their lives: a sum that fell when one of them is started
anew would look to Prometheus as if all had begun again, and all the others had throttled as much once more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

MOST = 100
THROTTLED = ("refused", "delayed", "held")
_NONE = (0,) * len(THROTTLED)

Counts = Mapping[str, Sequence[int]]
"""By number of the account, in the order of THROTTLED."""


class Throttled:
    """What was throttled since the supervisor was started. State: the sums, and what each worker told."""

    def __init__(self) -> None:
        self._sums: dict[str, list[int]] = {}
        self._last: dict[tuple[int, str], tuple[int, ...]] = {}

    def note(self, workers: Mapping[int, Mapping[str, Any]]) -> Counts:
        """The sums, with what these workers tell now. A count that is lower than it was is of a new life."""
        for worker, readings in workers.items():
            for number, one in readings.get("limited_accounts", {}).items():
                counts = tuple([one["throttled"][way] for way in THROTTLED])
                before = self._last.get((worker, number), _NONE)
                if counts == before:
                    continue
                if any(now < then for now, then in zip(counts, before, strict=True)):
                    before = _NONE
                sums = self._sums.get(number, _NONE)
                self._sums[number] = [s + n - b for s, n, b in zip(sums, counts, before, strict=True)]
                self._last[worker, number] = counts
        return self._sums


def account_readings(
    sent: Callable[[int], int], workers: Sequence[Mapping[str, Any]], throttled: Counts, most: int = MOST
) -> dict[str, Any]:
    """``sent``: recipients of the last 24 hours, by account number."""
    told: dict[str, dict[str, Any]] = {}
    for readings in workers:
        told |= readings.get("limited_accounts", {})
    used = sorted(((sent(int(number)), number) for number in told), reverse=True)[:most]
    found: dict[str, dict[str, float]] = {key: {} for key in _KEYS}
    for count, number in used:
        one = told[number]
        name, quota, rate = str(one["name"]), int(one["quota"]), float(one["rate"])
        found["account_sent"][name] = count
        if quota >= 0:
            found["account_quota"][name] = quota
            found["account_left"][name] = max(0, quota - count)
        if rate >= 0:
            found["account_rate"][name] = rate
        for way, value in zip(THROTTLED, throttled.get(number, _NONE), strict=True):
            found["account_throttled"][f"{way} {name}"] = value
    if len(found["account_throttled"]) > MOST:  # what is above is added up as "other", which may then fall
        found["account_throttled"] = {key: n for key, n in found["account_throttled"].items() if n}
    return found


_KEYS = ("account_sent", "account_quota", "account_left", "account_rate", "account_throttled")
