"""One SMTP connection: bytes in, replies out, time and end. What a line means is said by its subclasses.

Contract: ``data_received`` runs the dialogue as far as the input goes, collects the replies of a pipelined
batch and writes them once, or every 256. Whatever has to wait (a commit, STARTTLS, a slowed AUTH) sets
``_is_busy``; input then stays unread until ``_resume``. There is no task for a session, so an end of file or
a reset cancels nothing. A half-closed client still gets its replies. A client that does not read them is not
obeyed. A bug of ours is answered 451.

Cost on the hot path: no task, no future and no timer for a line or a message; the one timer of a connection
is armed again only when it fires. A silent client is therefore noticed up to one step of the timer late.
"""

from __future__ import annotations

import asyncio
import logging
from typing import cast

from relay.base.trace import CLIENT, SERVER
from relay.codec.trace_text import shown_lines
from relay.ingress import replies
from relay.ingress.dialogue import Dialogue
from relay.ingress.lines import LineFault, Lines
from relay.ingress.replies import Pair
from relay.ingress.settings import ListenerSettings
from relay.ingress.smtp import InheritedCommands
from relay.ingress.surroundings import Surroundings
from relay.ingress.tls import describe
from relay.ingress.watched import Watched

log = logging.getLogger(__name__)

_MAX_ANSWERS = 256  # replies collected before they are written: whoever reads none must not grow them
_MAX_UNREAD = 262_144  # bytes that may wait while the session is busy; then the socket is not read
_FIVE = 0x35
_BAD = frozenset((b"500", b"501", b"502", b"503", b"504", b"530", b"535", b"555"))
_LINGER_S = 2.0  # how long input is dropped behind the last words
_GRACE_S = 600.0  # how long past its lifetime a session may go on reading content
_LINE_FAULTS = {
    LineFault.TOO_LONG: replies.TOO_LONG_LINE,
    LineFault.BARE_LF: replies.BARE_LF,
    LineFault.BARE_CR: replies.BARE_CR,
    LineFault.NUL: replies.NUL,
}


class Connection(Watched, InheritedCommands):
    """One client's connection. Its mutable state is set in ``__init__``; the event loop's thread owns it."""

    dialogue: Dialogue

    def __init__(
        self,
        settings: ListenerSettings,
        around: Surroundings,
        peers: set[Connection],
        behind_proxy: tuple[str, int] | None = None,
    ) -> None:
        """``peers`` holds the open connections of the listener; ``behind_proxy`` is the proxied client."""
        super().__init__()
        self.settings = settings
        self._around = around
        self._peers = peers
        self._behind_proxy = behind_proxy
        self._lines = Lines()
        self._line_limit = settings.max_line_bytes
        self._out: list[bytes] = []
        self._is_busy = False  # waits for something of ours; takes no input
        self._is_in_content = False  # what comes next is content, not a line
        self._is_held = False  # the client does not read its replies
        self._is_paused = False  # we do not read the socket
        self._is_closing = False
        self._is_stopping = False
        self._place: str | None = None  # the address under which the tally counts the connection
        self._has_eof = False
        self._bad_commands = 0
        self._deadline = 0.0
        self._ends_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._stream: asyncio.Transport | None = None
        self._trail = None  # where somebody watches
        self.tls_context = around.certificate.context if around.certificate else None

    def _obey(self, line: bytes) -> None:
        raise NotImplementedError

    def _read_content(self, chunk: bytes) -> bytes | None:
        """Use the content in ``chunk``; what lies behind it, or None if more content must come."""
        raise NotImplementedError

    def _release(self) -> None:
        """Give back what is held for a message that is not complete."""
        raise NotImplementedError

    def _refuse_client(self) -> Pair | None:
        raise NotImplementedError

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the client, or say why not."""
        self._stream = cast(asyncio.Transport, transport)
        self._peers.add(self)
        self._around.counters.connections += 1
        self._around.counters.sessions += 1
        address, port = self._behind_proxy or (transport.get_extra_info("peername") or ("", 0))[:2]
        tls = describe(transport.get_extra_info("ssl_object"))
        if tls:
            self._around.counters.count_tls(tls)
        self.dialogue = Dialogue(self.settings, address, port, tls)
        if self._around.traces.active:
            self.retrace()
        now = self.loop.time()
        self._deadline = now + self.settings.command_timeout_s
        self._ends_at = now + self.settings.max_session_s
        self._set_timer(now)
        refusal: Pair | None = replies.BUSY
        if self.take_place(address):
            refusal = self._refuse_client()
        if refusal is not None:
            self._around.counters.connections_refused += 1
            self._say_and_close(refusal)
            return
        self._write(b"220 " + self.settings.hostname.encode() + b" ESMTP\r\n")

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone; a message that was handed in goes its own way."""
        if self._trail is not None:
            self._end_trail(error)
        self._is_closing = True
        if self._stream is None:
            return
        self._stream = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._lines.clear()
        self._peers.discard(self)
        self._around.counters.sessions -= 1
        self.leave_place()
        self._release()

    def take_place(self, address: str) -> bool:
        """Count the connection, unless it is counted; False where there are too many from ``address``."""
        if self._place is None:
            if not self._around.tally.enter(address):
                return False
            self._place = address
        return True

    def leave_place(self) -> None:
        """Count the connection no more."""
        if self._place is not None:
            self._around.tally.leave(self._place)
            self._place = None

    def eof_received(self) -> bool:
        """The client sends no more; it still gets the replies to what it has sent."""
        self._has_eof = self._has_eof or not self._is_closing  # else we were first
        if not self._is_busy:
            self._close()
            return False
        return not self.dialogue.tls  # TLS has no half-close: its transport ends whatever is said here

    def pause_writing(self) -> None:
        """The client does not read its replies: take no more commands until it does."""
        self._is_held = True

    def resume_writing(self) -> None:
        """The client reads again."""
        self._is_held = False
        if not self._is_busy:
            self._resume()

    def data_received(self, data: bytes) -> None:
        """Run the dialogue on what has come."""
        if self._is_closing:
            return
        self._lines.feed(data)
        if not (self._is_busy or self._is_held):
            self._advance()
        elif len(self._lines) > _MAX_UNREAD and self._stream is not None:
            self._is_paused = True
            self._stream.pause_reading()

    def _advance(self) -> None:
        """Use up the input as far as it goes; write the replies once."""
        while True:
            try:
                self._run()
                break
            except Exception:
                self._trouble()
        if self._out:
            self._flush()

    def _run(self) -> None:
        lines = self._lines
        has_progress = False
        auth_limit = self.settings.max_auth_line_bytes
        while not (self._is_busy or self._is_closing or self._is_held):
            if self._is_in_content:
                if not len(lines):
                    break
                has_progress = True
                chunk = lines.take()
                rest = self._read_content(chunk)
                if self._trail is not None:
                    self._trace_content(len(chunk) - len(rest or b""), is_complete=rest is not None)
                if rest is None:
                    break
                if rest:
                    lines.feed(rest)
                continue
            line = lines.next(self._line_limit, auth_limit)
            if line is None:
                break
            has_progress = True  # bytes that make no line do not put off the deadline
            if self._trail is not None:
                self._trail(CLIENT, self._shown(line))
            if isinstance(line, LineFault):
                self._bad_line(line)
            else:
                self._obey(line)
        if has_progress:
            settings = self.settings
            wait_s = settings.data_timeout_s if self._is_in_content else settings.command_timeout_s
            self._deadline = self.loop.time() + wait_s

    def _bad_line(self, fault: LineFault) -> None:
        self._reply(_LINE_FAULTS[fault])

    def _reply(self, answer: Pair) -> None:
        line = answer[1] if self.dialogue.is_extended else answer[0]
        self._out.append(line)
        if len(self._out) >= _MAX_ANSWERS:
            self._flush()
        if line[0] == _FIVE and line[:3] in _BAD:
            self._bad_commands += 1
            if self._bad_commands >= self.settings.max_bad_commands:
                self._say_and_close(replies.TOO_MANY_BAD)

    def _flush(self) -> None:
        out = self._out
        self._write(out[0] if len(out) == 1 else b"".join(out))
        self._out = []

    def _write(self, octets: bytes) -> None:
        if self._trail is not None:
            self._trail.lines(SERVER, shown_lines(octets))
        if self._stream is not None and not self._stream.is_closing():
            self._stream.write(octets)

    def _resume(self) -> None:
        """What the session waited for is over."""
        self._is_busy = False
        if self._stream is None or self._is_closing:
            self._out.clear()
            return
        if self._is_paused:
            self._is_paused = False
            self._stream.resume_reading()
        if self._is_stopping and not self._is_in_content:
            # what has come behind is not obeyed: a client that pipelines would never be done
            is_cut_off = len(self._lines) and not self._has_eof
            (self._say_and_linger if is_cut_off else self._say_and_close)(replies.STOPPING)
            return
        self._advance()
        if self._is_busy or self._is_closing:
            return
        if self._has_eof:
            self._close()
        elif self._is_stopping and not self._is_in_content:
            self._say_and_close(replies.STOPPING)

    def _close(self) -> None:
        self._is_closing = True
        if self._stream is not None:
            self._stream.close()

    def _say_and_close(self, answer: Pair) -> None:
        if self._is_closing:
            return
        self._out.append(answer[1] if self.dialogue.is_extended else answer[0])
        self._flush()
        self._close()

    def _say_and_linger(self, answer: Pair) -> None:
        """Last words to a client that still sends: closing at once would reset them away unread."""
        if self._is_closing or self._stream is None:
            return
        if self.dialogue.tls:  # has no half-close
            self._say_and_close(answer)
            return
        self._out.append(answer[1] if self.dialogue.is_extended else answer[0])
        self._flush()
        self._is_closing = True
        self._stream.write_eof()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(_LINGER_S, self.abort)

    def _trouble(self) -> None:
        """A bug of ours: temporary for the client, and the log has the rest."""
        log.exception("trouble in an SMTP session", extra={"client": self.dialogue.address})
        self._around.counters.troubles += 1
        self._bad_commands += 1
        if self._is_in_content or self._bad_commands >= self.settings.max_bad_commands:
            self._say_and_close(replies.TROUBLE)  # where the content ends is uncertain now
            return
        self._release()
        self.dialogue.reset()
        self._reply(replies.TROUBLE)

    def _set_timer(self, now: float) -> None:
        settings = self.settings
        due = min(self._deadline, now + settings.data_timeout_s, now + settings.command_timeout_s)
        if self._ends_at > now:
            due = min(due, self._ends_at)
        self._timer = self.loop.call_later(max(due - now, 0.01), self._tick)

    def _tick(self) -> None:
        """Look whether the client is silent or the session too old; a command itself sets no timer."""
        now = self.loop.time()
        if self._is_closing:
            if now >= self._deadline and self._stream is not None:
                self._stream.abort()  # our last words are not being read
                return
        elif not self._is_busy:
            if now >= self._deadline:
                self._around.counters.timeouts += 1
                self._say_and_close(replies.TIMEOUT)
            elif now >= self._ends_at + (_GRACE_S if self._is_in_content else 0):
                self._say_and_close(replies.SESSION_ENDS)
        if self._is_busy or self._is_closing:
            self._deadline = max(self._deadline, now + min(self.settings.command_timeout_s, 30.0))
        self._set_timer(now)

    def stop(self) -> bool:
        """The service ends: say so now, or behind the message in work. Whether it is still in work."""
        self._is_stopping = True
        if self._is_closing:
            return False
        if self._is_busy or self._is_in_content:
            return True
        self._say_and_close(replies.STOPPING)
        return False

    def abort(self) -> None:
        """End at once."""
        if self._stream is not None:
            self._stream.abort()
