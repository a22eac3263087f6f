"""The limits of accounts for the scrape: of the hundred with the most mail, how much is used and left.

A decision: from what the ledger counts and what the workers tell of the accounts that they know (name,
limits, what was throttled) to readings. An account that has sent nothing since the relay was started has no
sample; neither has one without limits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

MOST = 100
THROTTLED = ("refused", "delayed", "held")


def account_readings(
    sent: Callable[[int], int], workers: Sequence[Mapping[str, Any]], most: int = MOST
) -> dict[str, Any]:
    """``sent``: recipients of the last 24 hours, by account number."""
    told: dict[str, dict[str, Any]] = {}
    throttled: dict[str, list[int]] = {}
    for readings in workers:
        for number, one in readings.get("limited_accounts", {}).items():
            told[number] = one
            mine = throttled.setdefault(number, [0] * len(THROTTLED))
            throttled[number] = [a + one["throttled"][way] for a, way in zip(mine, THROTTLED, strict=True)]
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
        for way, value in zip(THROTTLED, throttled[number], strict=True):
            found["account_throttled"][f"{way} {name}"] = value
    return found


_KEYS = ("account_sent", "account_quota", "account_left", "account_rate", "account_throttled")
