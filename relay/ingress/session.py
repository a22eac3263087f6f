"""An SMTP session: what each command does to the dialogue, the content, and the relay behind it.

Contract: the decisions are those of ``dialogue``, ``auth``, ``lines`` and ``content``; this is the shell that
asks them and hands complete messages to the intake; TLS and AUTH are in ``secured``. The reply to the final
dot follows the intake's future, never precedes it. A client that has gone does not undo its message.

After a crash: what was answered 250 is on disk; what was not answered, the client still has.

Cost on the hot path, measured with uvloop (4 KB, one recipient, connection kept, an intake that does
nothing): 45 microseconds of CPU a message, more than half of it the two writes to the socket; two reads, two
writes, one callback.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from relay.base.admission import Accepted
from relay.base.errors import Refused, SpoolFull
from relay.base.message import Submission
from relay.ingress import replies
from relay.ingress.connection import Connection
from relay.ingress.content import ChunkedContent, DottedContent
from relay.ingress.replies import Pair, pair_of
from relay.ingress.secured import SecuredConnection
from relay.ingress.settings import ListenerSettings, is_within
from relay.ingress.surroundings import Surroundings

log = logging.getLogger(__name__)


class Session(SecuredConnection):
    """One client's session. ``_acts`` is what each command does."""

    _acts: Mapping[bytes, Callable[[Any, str], Pair | None]]

    def __init__(
        self,
        settings: ListenerSettings,
        around: Surroundings,
        peers: set[Connection],
        behind_proxy: tuple[str, int] | None = None,
    ) -> None:
        super().__init__(settings, around, peers, behind_proxy)
        self._content: DottedContent | ChunkedContent | None = None  # being read
        self._chunks: ChunkedContent | None = None  # BDAT: what there is so far
        self._handed_in: DottedContent | ChunkedContent | None = None  # the intake has it
        self._is_last_chunk = False
        self._complete_at = 0.0  # monotonic: the end of the data

    def _refuse_client(self) -> Pair | None:
        settings = self.settings
        if settings.auth == "none" and not is_within(self.dialogue.address, settings.trusted_networks):
            log.info("connection refused: network not trusted", extra={"client": self.dialogue.address})
            return replies.ACCESS_DENIED
        return None

    def _release(self) -> None:
        if self._content is not None:
            self._content.release()
            self._content = None
        self._drop_chunks()

    def _obey(self, line: bytes) -> None:
        if self._exchange is not None:
            self._go_on_with_auth(self._exchange.answer(line))
            return
        verb, _, words = line.partition(b" ")
        acts = self._acts
        act = acts.get(verb) or acts.get(verb.upper())
        if act is None:
            self._reply(replies.UNKNOWN)
            return
        try:
            argument = words.decode().strip(" \t")
        except UnicodeDecodeError:
            self._reply(replies.NOT_UTF8)
            return
        answer = act(self, argument)
        if answer is not None:
            self._reply(answer)

    # content

    def _has_room(self, size_bytes: int) -> bool:
        budget = self._around.budget
        return size_bytes <= budget.limit_bytes - budget.used_bytes

    def _mail(self, argument: str) -> Pair:
        answer = self.dialogue.mail(argument)
        envelope = self.dialogue.envelope
        if answer is replies.SENDER_OK and envelope is not None and not self._has_room(envelope.size_bytes):
            self.dialogue.reset()  # told with SIZE=: not a byte of it need be sent
            return replies.NO_ROOM
        return answer

    def _rcpt(self, argument: str) -> Pair:
        return self.dialogue.rcpt(argument)

    def _data(self, argument: str) -> Pair:
        answer = self.dialogue.data(argument)
        if answer is replies.GO_AHEAD:
            self._content = DottedContent(self._around.budget, self.settings.max_message_bytes)
            self._is_in_content = True
        return answer

    def _bdat(self, argument: str) -> Pair | None:
        chunk = self.dialogue.bdat(argument)
        if chunk is None:  # how much follows is unknown: nothing behind it may be taken for a command
            self._say_and_close(replies.SYNTAX_BDAT)
            return None
        content = self._chunks
        if content is None:
            content = self._chunks = ChunkedContent(self._around.budget, self.settings.max_message_bytes)
        if chunk.refusal is not None:
            content.refuse(chunk.refusal)
        content.expect(chunk.size_bytes)
        if content.is_hopeless:
            self._count_refusal(content.refusal)
            self._say_and_linger(content.refusal or replies.TROUBLE)
            return None
        self._is_last_chunk = chunk.is_last
        if chunk.size_bytes == 0:
            self._end_chunk(content)
        else:
            self._content = content
            self._is_in_content = True
        return None

    def _read_content(self, chunk: bytes) -> bytes | None:
        content = self._content
        assert content is not None
        rest = content.feed(chunk)
        if content.is_hopeless:
            self._count_refusal(content.refusal)
            self._say_and_linger(content.refusal or replies.TROUBLE)
            return None
        if rest is None:
            return None
        self._content = None
        self._is_in_content = False
        if isinstance(content, DottedContent):
            self._hand_in(content)
        else:
            self._end_chunk(content)
        return rest

    def _end_chunk(self, content: ChunkedContent) -> None:
        if content.refusal is None and not self._is_last_chunk:
            self._reply(replies.OK)
            return
        self._chunks = None
        self._hand_in(content)

    def _hand_in(self, content: DottedContent | ChunkedContent) -> None:
        """The content is complete: the promise is the intake's; the reply follows it."""
        dialogue = self.dialogue
        envelope = dialogue.envelope
        if content.refusal is not None or envelope is None:
            content.release()
            self._count_refusal(content.refusal)
            self._reply(content.refusal or replies.NEED_MAIL)
            self._end_transaction()
            return
        self._handed_in = content
        self._complete_at = self._around.clock.monotonic()
        submission = Submission(dialogue.account_id, envelope, content.content, dialogue.client())
        try:
            promise = self._around.intake.accept(submission)
        except BaseException:
            self._handed_in = None
            content.release()
            raise
        if promise.done():  # a refusal; a commit takes its time
            self._settle(promise)
        else:
            self._is_busy = True
            promise.add_done_callback(self._settle_and_resume)

    def _count_refusal(self, refusal: Pair | None) -> None:
        """Content was refused before the intake saw it."""
        is_size = refusal is replies.TOO_LONG_MESSAGE
        self._around.counters.count_refused(*((552, "size") if is_size else (452, "room")))

    def _settle_and_resume(self, promise: asyncio.Future[Accepted]) -> None:
        self._settle(promise)
        self._resume()

    def _settle(self, promise: asyncio.Future[Accepted]) -> None:
        if self._handed_in is not None:
            self._handed_in.release()
            self._handed_in = None
        if promise.cancelled():
            answer = replies.TROUBLE
        else:
            error = promise.exception()
            if error is None:
                accepted = promise.result()
                took_s = self._around.clock.monotonic() - self._complete_at
                self._around.counters.accept_seconds.observe(took_s)
                said = (f"{accepted.id} {accepted.note}" if accepted.note else accepted.id).encode()
                answer = (b"250 Ok %b\r\n" % said, b"250 2.6.0 Ok %b\r\n" % said)
            else:
                answer = _answer_to(error)
        self.dialogue.messages += 1
        self._reply(answer)
        self._end_transaction()

    def _end_transaction(self) -> None:
        self.dialogue.reset()
        if self.dialogue.messages >= self.settings.max_messages:
            self._say_and_close(replies.SESSION_ENDS)

    def _drop_chunks(self) -> None:
        if self._chunks is not None:
            self._chunks.release()
            self._chunks = None

    # other commands

    def _rset(self, argument: str) -> Pair:
        if argument:
            return replies.NO_ARGUMENT
        self._drop_chunks()
        self.dialogue.reset()
        return replies.OK

    def _helo(self, argument: str) -> Pair:
        self._drop_chunks()
        return self.dialogue.hello(argument, False)

    def _ehlo(self, argument: str) -> Pair:
        self._drop_chunks()
        return self.dialogue.hello(argument, True)

    def _quit(self, argument: str) -> Pair | None:
        if argument:
            return replies.NO_ARGUMENT
        self._say_and_close(replies.BYE)
        return None

    def _vrfy(self, argument: str) -> Pair:
        return replies.CANNOT_VERIFY


def _answer_to(error: BaseException) -> Pair:
    """The reply to what the intake raised. The unknown is temporary, and its text stays with us."""
    if isinstance(error, Refused):
        return pair_of(error.reply)
    if isinstance(error, SpoolFull):
        return replies.NO_ROOM
    log.error("a message could not be accepted", exc_info=error)
    return replies.TROUBLE


Session._acts = {
    b"MAIL": Session._mail,
    b"RCPT": Session._rcpt,
    b"DATA": Session._data,
    b"BDAT": Session._bdat,
    b"RSET": Session._rset,
    b"HELO": Session._helo,
    b"EHLO": Session._ehlo,
    b"QUIT": Session._quit,
    b"VRFY": Session._vrfy,
    b"NOOP": Session._noop,
    b"HELP": Session._help,
    b"EXPN": Session._expn,
    b"AUTH": Session._auth,
    b"STARTTLS": Session._starttls,
}
