"""The mailbox simulator: a receiver inside the relay, for trying out what an application does (SES.md 9).

Contract: mail for ``simulator.<service domain>`` has the route ``ROUTE``. ``wake`` says that attempts for it
wait; each is taken from the scheduler, answered by ``answer`` and finished as any other, so that its events,
log lines, counts and bounces are the real ones. No connection is made and no name is looked up: it works
with the network down. ``success@`` takes a message; ``bounce@`` refuses it with 550 5.1.1, as does an address
that the simulator lacks. ``ooto@``, ``complaint@`` and ``suppressionlist@`` take it as ``success@`` does.
All recipients of one message are one attempt (the site has no hosts, hence no limit), and so one bounce.

Crash here: an attempt without an outcome is in the spool, and answered after the restart. Nobody else sees
the message, so there is no dot to note in the journal.

Cost on the hot path: none for other mail. Its own mail is answered in the event loop, at most ``_TURN``
attempts before others have their turn.

Deliberately not here: what follows a delivery (the automatic reply of ``ooto@``, the complaint of
``complaint@``), who may write to it in the sandbox, and that it does not count against the quota.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from relay.base.message import Attempt, Recipient
from relay.base.outcome import Delivered, Failed, Onward, Outcome, Peer, Reason, Scope
from relay.base.reply import Reply
from relay.base.route import Route
from relay.base.simulator import LANE, Mailbox, mailbox_of

log = logging.getLogger(__name__)

ROUTE = Route(LANE, ())

_TURN = 50
_TAKEN = Reply(250, "Ok, the mailbox simulator has it", "2.6.0")
_UNKNOWN = Reply(550, "User unknown", "5.1.1")


class Attempts(Protocol):
    """Where attempts come from and go to."""

    def take(self, lane: str) -> Attempt | None:
        """The next attempt for a lane, or None if none may go now."""
        ...

    def finished(self, attempt: Attempt, outcomes: dict[int, Outcome]) -> None:
        """What became of each recipient, by number."""
        ...


def answer(recipient: Recipient) -> Outcome:
    """What the simulator makes of a recipient."""
    peer = Peer(host=recipient.domain)
    mailbox = mailbox_of(recipient.address)
    if mailbox is None or mailbox is Mailbox.BOUNCE:
        return Failed(Scope.RECIPIENT, Reason.REFUSED, _UNKNOWN, peer=peer)
    return Delivered(_TAKEN, peer, Onward.DELIVERED)


class Simulator:
    """Answers the attempts of one worker. Its owner is the event loop's thread."""

    def __init__(
        self,
        attempts: Attempts,
        route: Route = ROUTE,
        answer: Callable[[Recipient], Outcome] = answer,
    ) -> None:
        """``route`` and ``answer``: another receiver that is inside the relay."""
        self._attempts = attempts
        self._route = route
        self._outcome = answer
        self._is_called = False

    def wake(self, route: Route, queued: int) -> None:
        """``queued`` attempts wait. They are answered in the loop's next turn: the 250 of the message that
        brings them comes first."""
        if queued > 0 and not self._is_called:
            self._is_called = True
            asyncio.get_running_loop().call_soon(self._answer)

    def _answer(self) -> None:
        self._is_called = False
        for _ in range(_TURN):
            attempt = self._attempts.take(self._route.lane)
            if attempt is None:
                return
            try:
                self._attempts.finished(
                    attempt, {one.number: self._outcome(one) for one in attempt.recipients}
                )
            except Exception:  # the others are not to wait for a bug with one; it is tried after a restart
                log.exception("no outcome from the simulator", extra={"id": attempt.message.id})
        self.wake(self._route, 1)
