"""Mail that comes back, taken in: read, found to be about a message, told as events, passed on to its sender.

    await feedback.take("0000...-mfrggzd@bounces.example", content)     # a mail for one of our addresses

Contract: when ``take`` returns, what the mail means is on disk: its events on the message that it is about,
and the mail that passes it on, in one transaction. ``accept`` is the same for a submission of an inbound
listener, whose 250 follows it. What comes to the desk for complaints is about the message whose return path
it has; complaints alone, which may have lost that, also about the one that they name. The simulator of
mailboxes calls ``take`` with the mails that it makes, with ``source="simulator"``. A mail about a message
that nobody knows any more is taken, counted, and that is all. SpoolError and anything unexpected mean that
nothing is known to be stored: the sender tries again.

Duplicates become one: while a mail is looked at, no other about the same message is, in no worker of this
spool (``spool.turns``). What makes no event (a person's answer, a report of success) has nothing that it
could be compared with; of that, ``_MOST_PLAIN`` mails about a message are passed on by each worker, as far as
it remembers. Nodes that share a directory and not a spool do not know each other's messages: what comes back
must come to the node that sent it.

After a crash: before the commit nothing is stored, and the mail comes again. After it, before the reply: the
mail comes again and is a duplicate.

Cost: none for mail that leaves. Reading, judging and rewriting a bounce of 600 bytes takes 0.12 ms of CPU, as
measured; with its session, the questions to the shards, the commit and the delivery of what is passed on, it
costs a worker 4 to 5 ms. What may block is in a thread of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from relay.base.address import check_address, domain_of
from relay.base.admission import Accepted
from relay.base.clock import Clock
from relay.base.errors import Refused
from relay.base.events import Change, Event
from relay.base.feedback import Report, ReportKind
from relay.base.inbound import Door, Doors
from relay.base.log import MessageLog
from relay.base.message import Client, Envelope, Message, Recipient, Submission, TlsWish
from relay.base.reply import Reply
from relay.base.simulator import is_simulator
from relay.base.tasks import Tasks
from relay.codec.report import read
from relay.codec.returned import MailLoop, pass_on
from relay.spool.event_log import EventLog
from relay.spool.turns import Turns
from relay.verdict.feedback import Ruling, judge
from relay.verdict.original import Original, named_in, original_of, proved_by

log = logging.getLogger(__name__)

_NOT_HERE = Reply(550, "No such user here", "5.1.1")
_SMALL = 65_536  # bytes that are rewritten sooner than a thread is reached
_MOST_PLAIN = 20
_MOST_REMEMBERED = 10_000  # messages


R = TypeVar("R")
W = TypeVar("W")


class Spool(Protocol):
    """The promise."""

    def commit(self, change: Change) -> asyncio.Future[None]:
        """Done once the change is on disk."""
        ...


@dataclass(frozen=True, slots=True)
class Ways:
    """How what is passed on leaves; the first three are those of the intake."""

    prepare: Callable[[Submission], tuple[Message, list[Event]]]
    spool: Spool
    on_stored: Callable[[Message], None]
    is_forwarding: Callable[[int, str], bool]  # account, name of the identity: its sender gets mail
    mailer: Callable[[], str]  # From
    postmaster: Callable[[], str]  # who looks after the relay; "" for nobody
    service_domain: Callable[[], str]


@dataclass(frozen=True, slots=True)
class _Mail:
    """A mail that came back, and what goes with it where it is passed on."""

    content: bytes
    tls: TlsWish
    is_utf8: bool


class Feedback:
    """Takes mail for our own addresses, into the shard of one worker."""

    def __init__(
        self, path: Path, doors: Callable[[], Doors], ways: Ways, clock: Clock, message_log: MessageLog
    ) -> None:
        """``path`` is the spool's; ``doors`` is asked for each mail."""
        self.counts: Counter[str] = Counter()
        self._path = path
        self._doors = doors
        self._ways = ways
        self._clock = clock
        self._log = message_log
        self._tasks = Tasks("feedback")
        self._thread = ThreadPoolExecutor(1, "feedback")
        self._events = EventLog(path)
        self._plain: Counter[str] = Counter()
        self._unknown: set[str] = set()  # looked for everywhere: it takes long, and is not there

    async def start(self, stack: AsyncExitStack) -> None:
        """Be ready, until the stack unwinds. Raises SpoolError."""
        self._turns = Turns(self._path)
        stack.callback(self._turns.close)
        stack.callback(self._events.close)
        stack.callback(self._thread.shutdown)
        await self._tasks.start(stack)

    def accept(self, submission: Submission) -> asyncio.Future[Accepted]:
        """The promise of a submission that an inbound listener took, to all of its recipients."""
        promise: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        self._tasks.spawn(self._accept(submission, promise), "feedback")
        return promise

    async def _accept(self, submission: Submission, promise: asyncio.Future[Accepted]) -> None:
        try:
            for one in submission.envelope.recipients:
                envelope = submission.envelope
                await self.take(one.address, submission.content, tls=envelope.tls, is_utf8=envelope.is_utf8)
        except Exception as error:
            if not promise.done():
                promise.set_exception(error)
        except BaseException:
            promise.cancel()
            raise
        else:
            if not promise.done():
                promise.set_result(Accepted("taken"))

    async def take(
        self,
        recipient: str,
        content: bytes,
        *,
        source: str = "",
        tls: TlsWish = TlsWish.NONE,
        is_utf8: bool = True,
    ) -> None:
        """Take a mail for one of our addresses; ``source`` is what its events tell of where it came from.
        ``is_utf8``: its header, if it is not ASCII, asks for SMTPUTF8; one that came without goes without.

        Raises SpoolError if it could not be stored, and Refused if the address is none of ours.
        """
        doors = self._doors()
        door, message_id = doors.find(recipient, domain_of(recipient))
        mail = _Mail(content, tls, is_utf8)
        if door is Door.POSTMASTER:
            await self._to_postmaster(recipient, mail)
            return
        if door not in (Door.RETURN_PATH, Door.COMPLAINTS):
            raise Refused(_NOT_HERE, why="recipient")
        report = await self._in_thread(read, content)
        message_id = message_id or proved_by(report, doors.key)
        is_proved = bool(message_id)
        if not message_id and report.kind is ReportKind.COMPLAINT:
            message_id = named_in(report)
        if not message_id:
            self._note("unknown", "", recipient, report)
            if report.kind is ReportKind.OTHER:  # a person may have written to the desk for complaints
                await self._to_postmaster(recipient, mail)
            return
        async with self._turns.of(message_id):
            await self._about(message_id, report, mail, source, recipient, is_proved=is_proved)

    async def _about(
        self, message_id: str, report: Report, mail: _Mail, source: str, recipient: str, *, is_proved: bool
    ) -> None:
        now = self._clock.now()
        is_thorough = is_proved and message_id not in self._unknown
        weighing = partial(self._weighed, report=report, now=now, source=source, is_thorough=is_thorough)
        original, ruling = await self._in_thread(weighing, message_id)
        if original is None:
            if is_thorough:
                if len(self._unknown) >= _MOST_REMEMBERED:
                    self._unknown.clear()
                self._unknown.add(message_id)
            self._note("unknown", message_id, recipient, report)
            return
        change = Change()
        if self._is_passed_on(original, ruling):
            change = await self._passed_on(original.source, mail, message_id)
        forwarded = change.stored[0].id if change.stored else ""
        change.events += ruling.events(original, now, forwarded)
        await self._commit(change)
        self.counts.update(ruling.counts)
        self.counts["forwarded"] += bool(forwarded)
        if self._log.is_on:
            self._log(
                "feedback", message_id, account=original.account_id, kind=report.kind.value,
                found=",".join(ruling.counts), recipients=",".join(
                    [str(one.detail["recipient"]) for one in ruling.found]
                ), forwarded=forwarded,
            )  # fmt: skip

    def _weighed(
        self, message_id: str, report: Report, now: float, source: str, is_thorough: bool
    ) -> tuple[Original | None, Ruling]:
        """The message as it was sent, and what the report means for it. Blocking."""
        logged = self._events.of_message(message_id, has_deliveries=False, is_thorough=is_thorough)
        events = [one.event for one in logged]
        original = original_of(events)
        if original is None:
            return None, Ruling()
        return original, judge(report, original, events, now, source)

    def _is_passed_on(self, original: Original, ruling: Ruling) -> bool:
        """Whether the sender gets the mail: not where nobody could, nor where it would come back here."""
        if not ruling.is_forwarded or not original.source:
            return False
        if original.identity and not self._ways.is_forwarding(original.account_id, original.identity):
            return False
        if not self._is_elsewhere(original.source):
            return False
        if not ruling.found:
            if len(self._plain) >= _MOST_REMEMBERED:
                self._plain.clear()
            self._plain[original.message_id] += 1
            return self._plain[original.message_id] <= _MOST_PLAIN
        return True

    def _is_elsewhere(self, address: str) -> bool:
        """Whether an address is one that mail may be passed on to."""
        try:
            check_address(address)
            domain = domain_of(address)
        except ValueError:
            return False
        is_ours = self._doors().is_ours(address, domain)
        return not is_ours and not is_simulator(address, self._ways.service_domain())

    async def _to_postmaster(self, recipient: str, mail: _Mail) -> None:
        """To the person who looks after the relay."""
        address = self._ways.postmaster()
        change = Change()
        if address and self._is_elsewhere(address):
            change = await self._passed_on(address, mail, "none")
        self.counts["postmaster" if change.stored else "loop"] += 1
        if change.stored:
            await self._commit(change)
            log.info(
                "mail passed on", extra={"recipient": recipient, "to": address, "id": change.stored[0].id}
            )

    async def _passed_on(self, address: str, mail: _Mail, about: str) -> Change:
        """A change that stores the mail on its way to a person; an empty one if it is in a loop."""
        to = Recipient(0, address, domain_of(address))
        envelope = Envelope(sender="", recipients=[to], is_utf8=mail.is_utf8, tls=mail.tls)
        content = mail.content
        try:
            work = partial(pass_on, sender=self._ways.mailer(), about=about)
            returned = work(content) if len(content) <= _SMALL else await self._in_thread(work, content)
            message, events = self._ways.prepare(Submission(0, envelope, returned, Client(protocol="local")))
        except (MailLoop, Refused) as error:
            self.counts["loop"] += 1
            log.warning("mail that came back is not passed on", extra={"about": about, "why": str(error)})
            return Change()
        return Change(stored=[message], events=events)

    async def _commit(self, change: Change) -> None:
        if not (change.stored or change.events):
            return
        await asyncio.shield(self._ways.spool.commit(change))
        for message in change.stored:
            try:
                self._ways.on_stored(message)
            except Exception:  # it is on disk and will be found there
                log.exception("a stored message could not be scheduled", extra={"message_id": message.id})

    def _note(self, what: str, message_id: str, recipient: str, report: Report) -> None:
        self.counts[what] += 1
        extra = {"about": message_id, "recipient": recipient, "kind": report.kind.value}
        log.info("mail came back about a message that is not known", extra=extra)

    async def _in_thread(self, work: Callable[[W], R], word: W) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, word)
