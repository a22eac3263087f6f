"""The mailbox simulator: a receiver inside the relay, for trying out what an application does (SES.md 9).

Contract: mail for ``simulator.<service domain>`` has the route ``ROUTE``. ``wake`` says that attempts for it
wait; each is taken from the scheduler, answered by ``answer`` and finished as any other, so that its events,
log lines, counts and bounces are the real ones. No connection is made and no name is looked up: it works
with the network down. ``success@``, ``ooto@`` and ``complaint@`` take a message; ``bounce@`` refuses it with
550 5.1.1, as does an address that the simulator lacks; ``suppressionlist@`` is on the service's list. All
recipients of one message are one attempt (the site has no hosts, hence no limit), and so one bounce.

What ``ooto@`` and ``complaint@`` send back is stored with the outcome that it follows
(``verdict.simulated``), as mail of the relay's own for one of our addresses, and takes the same route:
``Feedback`` takes it, as if a stranger's server had brought it to our inbound listener. So it has the real
path, without a network.

Crash here: an attempt without an outcome is in the spool, and answered after the restart. Nobody else sees
the message, so there is no dot to note in the journal. What comes back may be taken twice; the second is a
duplicate, which makes no event.

Cost on the hot path: none for other mail. Its own mail is answered in the event loop, at most ``_TURN``
attempts before others have their turn; of what comes back ``_IN_HAND`` at a time.

Deliberately not here: who may write to it in the sandbox, and that it does not count against the quota.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

from relay.base.address import domain_of
from relay.base.errors import Refused
from relay.base.message import Attempt, Recipient, TlsWish
from relay.base.outcome import STOPPED, Deferred, Delivered, Failed, Onward, Outcome, Peer, Reason, Scope
from relay.base.reply import Reply
from relay.base.route import Route
from relay.base.simulator import LANE, Mailbox, mailbox_of
from relay.base.tasks import Tasks

log = logging.getLogger(__name__)

ROUTE = Route(LANE, ())

SOURCE = "simulator"  # what events tell of where mail that came back is from

_TURN = 50
_IN_HAND = 16
_TAKEN = Reply(250, "Ok, the mailbox simulator has it", "2.6.0")
_UNKNOWN = Reply(550, "User unknown", "5.1.1")
_RELAY_ITSELF = 0  # account


class Attempts(Protocol):
    """Where attempts come from and go to."""

    def take(self, lane: str) -> Attempt | None:
        """The next attempt for a lane, or None if none may go now."""
        ...

    async def content(self, attempt: Attempt) -> bytes | Path:
        """The content of a message that is not in memory."""
        ...

    def finished(self, attempt: Attempt, outcomes: dict[int, Outcome]) -> None:
        """What became of each recipient, by number."""
        ...


class Feedback(Protocol):
    """Who takes mail for our own addresses."""

    async def take(
        self, recipient: str, content: bytes, *, source: str = "", tls: TlsWish = TlsWish.NONE
    ) -> None:
        """Done once what it means is on disk. Raises Refused if the address is none of ours."""
        ...


def answer(recipient: Recipient) -> Outcome:
    """What the simulator makes of a recipient."""
    peer = Peer(host=recipient.domain)
    mailbox = mailbox_of(recipient.address)
    if mailbox is None or mailbox is Mailbox.BOUNCE:
        return Failed(Scope.RECIPIENT, Reason.REFUSED, _UNKNOWN, peer=peer)
    if mailbox is Mailbox.SUPPRESSION_LIST:
        return Failed(Scope.RECIPIENT, Reason.SUPPRESSED, None, "as if it were on the list", peer)
    return Delivered(_TAKEN, peer, Onward.DELIVERED)


def comes_back(attempt: Attempt) -> bool:
    """Whether it is what a mailbox of ours has sent back, and not mail for the simulator."""
    recipient = attempt.recipients[0]
    return attempt.message.account_id == _RELAY_ITSELF and domain_of(recipient.address) != recipient.domain


class Simulator:
    """Answers the attempts of one worker. Its owner is the event loop's thread."""

    def __init__(
        self,
        attempts: Attempts,
        route: Route = ROUTE,
        answer: Callable[[Recipient], Outcome] = answer,
    ) -> None:
        """``route`` and ``answer``: another receiver that is inside the relay."""
        self.feedback: Feedback | None = None  # the wiring puts it here before anything is delivered
        self._attempts = attempts
        self._route = route
        self._outcome = answer
        self._is_called = False
        self._tasks = Tasks("simulator")

    async def start(self, stack: AsyncExitStack) -> None:
        """Be ready; what is being taken when the stack unwinds stays on disk."""
        await self._tasks.start(stack)

    def wake(self, route: Route, queued: int) -> None:
        """``queued`` attempts wait. They are answered in the loop's next turn: the 250 of the message that
        brings them comes first."""
        if queued > 0 and not self._is_called and len(self._tasks) < _IN_HAND:
            self._is_called = True
            asyncio.get_running_loop().call_soon(self._answer)

    def _answer(self) -> None:
        self._is_called = False
        for _ in range(_TURN):
            if len(self._tasks) >= _IN_HAND:
                return  # the next one that ends calls again
            attempt = self._attempts.take(self._route.lane)
            if attempt is None:
                return
            if self._route is ROUTE and comes_back(attempt):
                self._tasks.spawn(self._take(attempt), "feedback").add_done_callback(self._taken)
            else:
                self._finish(attempt, {one.number: self._outcome(one) for one in attempt.recipients})
        self.wake(self._route, 1)

    async def _take(self, attempt: Attempt) -> None:
        """Bring what a mailbox has sent back to where such mail comes in."""
        (recipient,) = attempt.recipients  # of mail of our own making
        peer = Peer(host=recipient.domain)
        outcome: Outcome = Deferred(Scope.SESSION, Reason.INTERNAL, None, STOPPED)
        try:
            if self.feedback is None:
                raise RuntimeError("nobody takes what the simulator sends back")
            content = attempt.message.content or await self._attempts.content(attempt)
            content = content if isinstance(content, bytes) else content.read_bytes()
            await self.feedback.take(recipient.address, content, source=SOURCE, tls=attempt.message.tls)
            outcome = Delivered(_TAKEN, peer, Onward.DELIVERED)
        except Refused as refused:
            outcome = Failed(Scope.RECIPIENT, Reason.REFUSED, refused.reply, peer=peer)
        except Exception as error:  # the spool cannot, or a bug of ours: later
            log.exception("what the simulator sent back is not taken", extra={"id": attempt.message.id})
            outcome = Deferred(Scope.MESSAGE, Reason.INTERNAL, None, type(error).__name__, peer)
        finally:
            self._finish(attempt, {recipient.number: outcome})

    def _taken(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            self.wake(self._route, 1)

    def _finish(self, attempt: Attempt, outcomes: dict[int, Outcome]) -> None:
        try:
            self._attempts.finished(attempt, outcomes)
        except Exception:  # the others are not to wait for a bug with one; it is tried after a restart
            log.exception("no outcome from the simulator", extra={"id": attempt.message.id})
