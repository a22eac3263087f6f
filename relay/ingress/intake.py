"""The relay's one acceptance function: from a submission to a promise on disk.

Contract: ``accept`` checks the bytes, parses the header once, asks policy, signs, and commits the message
with its Send event in one transaction. The future it returns yields the message's id once the commit is done,
and ``on_stored`` has the message before anyone hears of it; neither depends on whether the client is still
there. What policy has to wait for (a scanner, the ledger of limits) is awaited in a task; most messages need
none. A refusal is the future's ``Refused``, a spool that cannot is its ``SpoolError``, anything else is a bug
of ours. ``prepare`` does all but the commit, for those who store a message within a transaction of their
own (bounces).

After a crash: before the commit nothing is stored, and the client was told nothing. After the commit, before
``on_stored``: recovery finds the message on disk.

Cost on the hot path: 4 microseconds plus header, policy and signature; no task. 60 more for mail of whoever
has the header told in notifications (``relay.codec.sent_header``), below 0.1 for others. Content above
``thread_bytes`` is checked and signed in a thread, since it would hold up every other session.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from json.encoder import encode_basestring_ascii as quoted
from typing import Generic, Protocol, TypeVar

from relay.base import return_path
from relay.base.admission import Accepted, Admission
from relay.base.clock import Clock
from relay.base.control import add_to
from relay.base.errors import Refused, SpoolError
from relay.base.events import Change, Event, EventKind
from relay.base.ids import MessageIds
from relay.base.log import MessageLog, SilentLog
from relay.base.message import Envelope, Message, Recipient, RecipientState, Submission, TlsWish
from relay.base.reply import Reply
from relay.base.tasks import Tasks
from relay.codec.data import find_fault
from relay.codec.headers import Header, HeaderFault
from relay.codec.sent_header import sent_header
from relay.ingress.counters import Counters, counted_as

log = logging.getLogger(__name__)

MAX_HOPS = 100  # RFC 5321 6.3: a loop has many; 100 is a long way

K = TypeVar("K")
K_contra = TypeVar("K_contra", contravariant=True)


class Policy(Protocol[K]):
    """May this account send this, now? See ``relay.policy.sending``."""

    def check(self, submission: Submission, header: Header) -> Admission[K]:
        """What can be decided without waiting. Raises Refused."""
        ...

    def complete(
        self, submission: Submission, header: Header, admission: Admission[K]
    ) -> Awaitable[None] | None:
        """What has to be waited for (a scanner, the ledger of limits), filled into the admission; None if
        there is nothing. The awaitable raises Refused."""
        ...

    def give_back(self, submission: Submission, admission: Admission[K]) -> None:
        """The message was admitted and could not be stored: it does not count."""
        ...


class Signer(Protocol[K_contra]):
    """Trace headers and signatures."""

    def sign(
        self, submission: Submission, header: Header, message_id: str, now: float, keys: Sequence[K_contra]
    ) -> bytes:
        """The complete content as it goes on the wire."""
        ...


class Spool(Protocol):
    """The promise."""

    def commit(self, change: Change) -> asyncio.Future[None]:
        """Done once the change is on disk; SpoolError as the future's exception, or raised at once."""
        ...


class Intake(Generic[K]):
    """Accepts messages for one shard."""

    def __init__(
        self,
        *,
        policy: Policy[K],
        signer: Signer[K],
        spool: Spool,
        on_stored: Callable[[Message], None],
        clock: Clock,
        shard: int,
        max_age_s: float,
        return_path_key: bytes,
        counters: Counters,
        tasks: Tasks,
        message_log: MessageLog | None = None,
        thread_bytes: int = 1_048_576,
        max_hops: int = MAX_HOPS,
    ) -> None:
        """``max_age_s`` is how long after its arrival a message expires; ``return_path_key`` proves that a
        return path is ours (``relay.base.return_path``); one with more than ``max_hops``
        Received fields is in a loop, and refused."""
        self._policy = policy
        self._signer = signer
        self._spool = spool
        self._on_stored = on_stored
        self._clock = clock
        self._shard = shard
        self._ids = MessageIds(shard)
        self.max_age_s = max_age_s
        self.max_hops = max_hops
        self._return_path_key = return_path_key
        self._counters = counters
        self._tasks = tasks
        self._log = message_log or SilentLog()
        self._thread_bytes = thread_bytes

    def accept(self, submission: Submission) -> asyncio.Future[Accepted]:
        """The message's id and what to tell the client, once it is on disk."""
        promise: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        if len(submission.content) > self._thread_bytes:
            self._tasks.spawn(self._accept_slowly(submission, promise), "large-message")
            return promise
        admission: Admission[K] | None = None
        try:
            header = _inspect(submission.content, self.max_hops)
            _heed_wish(submission.envelope, header)
            admission = self._policy.check(submission, header)
            waiting = self._policy.complete(submission, header, admission)
            if waiting is not None:
                work = self._accept_later(submission, header, admission, waiting, promise)
                self._tasks.spawn(work, "admission")
                return promise
            self._store(submission, header, admission, promise)
        except Exception as error:
            self._give_up(submission, promise, error, admission)
        return promise

    def prepare(self, submission: Submission) -> tuple[Message, list[Event]]:
        """A message of the relay's own that only has to be stored, and its event. Raises Refused."""
        header = _inspect(submission.content, self.max_hops)
        _heed_wish(submission.envelope, header)
        admission = self._policy.check(submission, header)
        now = self._clock.now()
        message_id = self._ids.make(now)
        content = self._signer.sign(submission, header, message_id, now, admission.keys)
        return self._build(submission, admission, message_id, now, content)

    async def _accept_later(
        self,
        submission: Submission,
        header: Header,
        admission: Admission[K],
        waiting: Awaitable[None],
        promise: asyncio.Future[Accepted],
    ) -> None:
        try:
            await waiting
            self._store(submission, header, admission, promise)
        except Exception as error:
            self._give_up(submission, promise, error, admission)
        except BaseException:
            promise.cancel()
            raise

    async def _accept_slowly(self, submission: Submission, promise: asyncio.Future[Accepted]) -> None:
        """As ``accept``, with what reads all of the content in a thread."""
        loop = asyncio.get_running_loop()
        admission: Admission[K] | None = None
        try:
            header = await loop.run_in_executor(None, _inspect, submission.content, self.max_hops)
            _heed_wish(submission.envelope, header)
            admission = await loop.run_in_executor(None, self._policy.check, submission, header)
            waiting = self._policy.complete(submission, header, admission)
            if waiting is not None:
                await waiting
            now = self._clock.now()
            message_id = self._ids.make(now)
            sign = partial(self._signer.sign, submission, header, message_id, now, admission.keys)
            content = await loop.run_in_executor(None, sign)
            message, events = self._build(submission, admission, message_id, now, content)
            self._commit(message, events, submission, admission, promise)
        except Exception as error:
            self._give_up(submission, promise, error, admission)
        except BaseException:
            promise.cancel()
            raise

    def _store(
        self,
        submission: Submission,
        header: Header,
        admission: Admission[K],
        promise: asyncio.Future[Accepted],
    ) -> None:
        now = self._clock.now()
        message_id = self._ids.make(now)
        content = self._signer.sign(submission, header, message_id, now, admission.keys)
        message, events = self._build(submission, admission, message_id, now, content)
        self._commit(message, events, submission, admission, promise)

    def _build(
        self, submission: Submission, admission: Admission[K], message_id: str, now: float, content: bytes
    ) -> tuple[Message, list[Event]]:
        envelope = submission.envelope
        if admission.is_waiting:
            _make_wait(envelope.recipients, admission)
        is_8bit = not content.isascii()
        is_ours = bool(admission.return_path_domain and envelope.sender)
        message = Message(
            id=message_id,
            shard=self._shard,
            account_id=submission.account_id,
            sender=envelope.sender,
            recipients=envelope.recipients,
            size_bytes=len(content),
            arrived_at=now,
            expires_at=now + self.max_age_s,
            content=content,
            is_8bit=is_8bit,
            is_utf8=envelope.is_utf8 and is_8bit and not _header_bytes(content).isascii(),
            ret=envelope.ret,
            envid=envelope.envid,
            return_path=self._return_path(message_id, admission.return_path_domain) if is_ours else "",
            control=admission.control,
            identity=admission.identity,
            tls=envelope.tls,
            deadline=_deadline(envelope, admission, now),
            is_by_notify=envelope.is_by_notify and not (admission.deadline_s or admission.deadline_at),
        )
        told = _detail(submission, admission.identity)
        if admission.has_headers:
            told = f"{told[:-1]},{sent_header(submission.content)}}}"
        detail = add_to(told, admission.control)
        return message, [Event(now, EventKind.SEND, message_id, submission.account_id, detail)]

    def _return_path(self, message_id: str, domain: str) -> str:
        return f"{return_path.make(message_id, self._return_path_key)}@{domain}"

    def _commit(
        self,
        message: Message,
        events: list[Event],
        submission: Submission,
        admission: Admission[K],
        promise: asyncio.Future[Accepted],
    ) -> None:
        if admission.dropped:  # accepted, and that is all: no row, no delivery, but the account is told
            detail = add_to(f'{{"reason":{quoted(admission.dropped)}}}', admission.control)
            events.append(Event(message.arrived_at, EventKind.REJECT, message.id, message.account_id, detail))
            change = Change(events=events)
        else:
            change = Change(stored=[message], events=events)
        stored = self._spool.commit(change)
        stored.add_done_callback(partial(self._committed, message, submission, admission, promise))

    def _committed(
        self,
        message: Message,
        submission: Submission,
        admission: Admission[K],
        promise: asyncio.Future[Accepted],
        stored: asyncio.Future[None],
    ) -> None:
        error = SpoolError("the commit was cancelled") if stored.cancelled() else stored.exception()
        if error is not None:
            self._give_up(submission, promise, error, admission)
            return
        self._counters.count_accepted(
            message.account_id, message.size_bytes, len(submission.envelope.recipients)
        )
        try:
            if not admission.dropped:
                self._on_stored(message)
        except Exception:  # it is on disk and will be found there: the promise holds
            log.exception("a stored message could not be scheduled", extra={"message_id": message.id})
        if not promise.done():
            promise.set_result(Accepted(message.id, admission.note))
        if self._log.is_on:
            client = submission.client
            self._log(
                "accepted",
                message.id,
                account=message.account_id,
                sender=message.sender,
                recipients=len(message.recipients),
                size_bytes=message.size_bytes,
                client=client.address,
                credential=client.credential,
                protocol=client.protocol,
                tls=client.tls,
            )

    def _give_up(
        self,
        submission: Submission,
        promise: asyncio.Future[Accepted],
        error: BaseException,
        admission: Admission[K] | None = None,
    ) -> None:
        if admission is not None:
            self._policy.give_back(submission, admission)
        code, why = counted_as(error)
        self._counters.count_refused(code, why)
        if self._log.is_on:
            self._log(
                "refused",
                "",
                account=submission.account_id,
                sender=submission.envelope.sender,
                recipients=len(submission.envelope.recipients),
                client=submission.client.address,
                credential=submission.client.credential,
                code=code,
                reason=str(error) if isinstance(error, Refused) else type(error).__name__,
            )
        if not promise.done():
            promise.set_exception(error)


def _inspect(content: bytes, max_hops: int = MAX_HOPS) -> Header:
    """The header of content that has no forbidden bytes. Raises Refused."""
    fault = find_fault(content)
    if fault is not None:
        raise Refused(
            Reply(554, f"Message rejected: {fault.kind} in the content, see RFC 5321 section 2.3.8", "5.6.0"),
            f"{fault.kind} at byte {fault.offset}",
        )
    try:
        header = Header.parse(content)
    except HeaderFault as fault_of_header:
        raise Refused(Reply(554, f"Message rejected: {fault_of_header}", "5.6.0")) from fault_of_header
    if len(header.fields) > max_hops and len(header.get_all(b"received")) > max_hops:
        raise Refused(Reply(554, "Message rejected: too many hops, this is a mail loop", "5.4.6"), why="loop")
    return header


def _heed_wish(envelope: Envelope, header: Header) -> None:
    """ "TLS-Required: No" (RFC 8689 3); REQUIRETLS in the envelope outdoes it."""
    wish = header.first(b"tls-required")
    if wish is not None and wish.lower() == b"no" and not envelope.tls:
        envelope.tls = TlsWish.OPTIONAL


def _deadline(envelope: Envelope, admission: Admission[K], now: float) -> float:
    """The earliest moment that DELIVERBY or the message itself names; 0 if none does."""
    within_s, header_s, at = envelope.deliver_within_s, admission.deadline_s, admission.deadline_at
    if not (within_s or header_s or at):
        return 0.0
    return min([now + seconds for seconds in (within_s, header_s) if seconds] + ([at] if at else []))


def _make_wait(recipients: list[Recipient], admission: Admission[K]) -> None:
    """The recipients as they are stored when the message is not to leave now."""
    for recipient in recipients:
        recipient.state = RecipientState.HELD if admission.is_held else RecipientState.DEFERRED
        recipient.due_at = admission.due_at
        recipient.reply = admission.note


def _header_bytes(content: bytes) -> bytes:
    """A header beyond ASCII needs SMTPUTF8 at every server (RFC 6531 3.2); that a client offered it does not
    mean that it does."""
    end = content.find(b"\r\n\r\n")
    return content[: end if end >= 0 else len(content)]


def _detail(submission: Submission, identity: str) -> str:
    """What the Send event tells, as JSON; put together by hand, which takes a third of json.dumps."""
    envelope = submission.envelope
    client = submission.client
    destination = ",".join([quoted(one.address) for one in envelope.recipients])
    how = f'"protocol":{quoted(client.protocol)},' if client.protocol else ""
    if client.tls:
        how = f'{how}"tls":{quoted(client.tls)},'
    return (
        f'{{"source":{quoted(envelope.sender)},"destination":[{destination}],'
        f'"sourceIp":{quoted(client.address)},"credential":{quoted(client.credential)},'
        f'{how}"identity":{quoted(identity)},"sizeBytes":{len(submission.content)}}}'
    )
