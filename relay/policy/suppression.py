"""Which recipients of a message are on a suppression list: theirs is not sent, and told as a bounce.

Contract (sending-email-suppression-list.md): an account with reasons to suppress by uses its own list, and
that list alone: who is on the service-wide list and not on the account's is one that the account wants to
write to. An account without (``relay account set NAME --suppress none``) is bound by the service-wide list.
An entry of the account's list binds as long as its reason is one that the account suppresses by.

The message is accepted, and counts against the account's limits, as any other. ``confirm`` gives each
suppressed recipient the domain by which it is bounced instead of sent (``relay.base.suppression``); the
others are not concerned. The mailbox simulator is on no list.

``suspects`` answers from memory; nearly always there are none. Whoever may be listed is looked up in the
directory. Can it not be asked, no one can say whether the message may be sent: 451, and the client keeps it.

Cost on the hot path, measured on two busy cores (``make bench-suppression``): 2.7 microseconds a recipient
with a million entries, 0.25 a message while all lists are empty.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from relay.base.clock import Clock
from relay.base.errors import DirectoryError, Refused
from relay.base.message import Recipient
from relay.base.reply import Reply
from relay.base.suppression import SERVICE, SuppressionReason, listed_form, reasons_of, suppressed_as
from relay.directory.records import Account

UNKNOWN = Reply(451, "Temporary service failure", "4.3.0")


class Lists(Protocol):
    """The lists, as a worker has them (``relay.directory.suppression_live``)."""

    @property
    def is_empty(self) -> bool:
        """Nobody is on any list."""
        ...

    def may_have(self, list_of: int, listed: str) -> bool:
        """False: that address is not on that list."""
        ...

    async def find(self, list_of: int, listed: Collection[str], after: float) -> dict[str, SuppressionReason]:
        """Those that are, and why. Raises DirectoryError."""
        ...


class Suppression:
    """Looks recipients up. Counters are read at scrape."""

    def __init__(self, lists: Lists, clock: Clock, service_for_s: float, simulator_domain: str = "") -> None:
        """``service_for_s``: how long an address stays on the service-wide list."""
        self.service_for_s = service_for_s
        self.simulator = simulator_domain
        self.suppressed = 0  # recipients
        self.looked_up = 0  # recipients that memory could not answer for
        self._lists = lists
        self._clock = clock

    def suspects(self, account: Account, recipients: Sequence[Recipient]) -> list[Recipient]:
        """Those who may be suppressed; the rest is not."""
        lists = self._lists
        if lists.is_empty:
            return []
        list_of = account.id if account.suppressed_reasons else SERVICE
        return [
            one
            for one in recipients
            if lists.may_have(list_of, listed_form(one.address)) and one.domain != self.simulator
        ]

    async def confirm(self, account: Account, suspects: Sequence[Recipient]) -> None:
        """Mark those who are. Raises Refused if no one can say."""
        reasons = reasons_of(account.suppressed_reasons)
        list_of = account.id if reasons else SERVICE
        self.looked_up += len(suspects)
        forms = [listed_form(one.address) for one in suspects]
        after = self._clock.now() - self.service_for_s
        try:
            found = await self._lists.find(list_of, forms, after)
        except DirectoryError as error:
            raise Refused(UNKNOWN, str(error), why="trouble") from error
        for one, form in zip(suspects, forms, strict=True):
            reason = found.get(form)
            if reason is not None and (list_of == SERVICE or reason in reasons):
                one.domain = suppressed_as(list_of, reason)
                self.suppressed += 1
