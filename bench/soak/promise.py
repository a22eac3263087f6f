"""The ledgers compared: was everything that was promised kept, and nothing done twice unseen? Pure.

An address is promised each time a client reads 250 for a message to it. It is kept by an arrival, or by a
report to the sender that gives it up; each promise needs one. The domains say what may become of an address:

- those of ``GIVES_UP`` may be given up, all others must not be;
- one that is bounced after it has been taken (``LATER``) both arrives and is reported;
- one that nobody has (``NOBODY``) is promised more than once, and reported each time: how often is not
  judged, since nobody knows of a submission whose answer was not seen whether it was taken.

Whatever else arrives or is reported more often than it was promised must be one that the relay lists as
uncertain; if a report itself is listed, so may be any that was reported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from bench.soak.mails import GIVES_UP, LATER, NOBODY

_SAMPLE = 10


@dataclass(slots=True)
class Promises:
    """What the ledgers say, in recipients."""

    promised: int = 0
    arrived: int = 0
    reported: int = 0
    bounced_later: int = 0
    lost: list[str] = field(default_factory=list)
    given_up_wrongly: list[str] = field(default_factory=list)
    twice: int = 0
    unlisted: list[str] = field(default_factory=list)
    uncertain_listed: int = 0

    @property
    def is_kept(self) -> bool:
        """Nothing is lost, nothing came twice that is not listed, nothing was given up that had time."""
        return bool(self.promised) and not (self.lost or self.given_up_wrongly or self.unlisted)

    def figures(self) -> dict[str, object]:
        """For the last line: counts, and the first few of what is wrong."""
        found: dict[str, object] = {}
        for name in self.__slots__:
            value = getattr(self, name)
            found[name] = len(value) if isinstance(value, list) else value
            if isinstance(value, list) and value:
                found[f"{name}_sample"] = value[:_SAMPLE]
        return found


def compare(
    promised: Counter[str],
    arrived: Counter[str],
    reported: Counter[str],
    uncertain: Collection[str],
    senders: Collection[str],
) -> Promises:
    """``uncertain``: addresses as the relay lists them; ``senders``: to whom reports go."""
    found = Promises(promised.total(), arrived.total(), reported.total(), uncertain_listed=len(uncertain))
    is_report_uncertain = any(sender in uncertain for sender in senders)
    for address, times in promised.items():
        if arrived[address] + reported[address] < times:
            found.lost.append(address)
    for address in arrived.keys() | reported.keys():
        domain = address.rpartition("@")[2]
        came, told = arrived[address], reported[address]
        if told and domain not in GIVES_UP:
            found.given_up_wrongly.append(address)
        times = max(promised[address], 1)  # one whose answer was not seen may have been taken
        if domain == LATER:
            found.bounced_later += told > 0
            is_twice = came > times  # its report may be brought twice, by whoever brings it
        else:
            is_twice = came + told > times
        if not is_twice or domain == NOBODY:
            continue
        found.twice += 1
        if address not in uncertain and not (told and is_report_uncertain):
            found.unlisted.append(address)
    return found
