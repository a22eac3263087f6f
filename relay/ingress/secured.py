"""The two commands that make a session trustworthy: STARTTLS and AUTH.

Contract: after STARTTLS nothing that was said in clear counts, and no byte read before the handshake survives
(RFC 3207 4.2). AUTH is taken only under TLS; a failure is answered late, and after ``max_auth_failures`` the
session ends. A client that sends mail all the same after a failure is refused for now, not for good: what
it has queued waits for the right password. A handshake that fails gives everything back that the connection
held. No secret is logged.

Cost: once per session. The exchange and the limits themselves are in ``auth``, which does no I/O.
"""

from __future__ import annotations

import logging

from relay.codec.trace_text import CREDENTIALS
from relay.ingress import replies
from relay.ingress.auth import Exchange, Login, is_challenge
from relay.ingress.connection import Connection
from relay.ingress.connections import neighbourhood
from relay.ingress.lines import LineFault
from relay.ingress.replies import Pair
from relay.ingress.settings import ListenerSettings
from relay.ingress.surroundings import Surroundings
from relay.ingress.tls import describe

log = logging.getLogger(__name__)


class SecuredConnection(Connection):
    """A connection that can be encrypted, and whose client can prove who it is."""

    def __init__(
        self,
        settings: ListenerSettings,
        around: Surroundings,
        peers: set[Connection],
        behind_proxy: tuple[str, int] | None = None,
    ) -> None:
        super().__init__(settings, around, peers, behind_proxy)
        self._exchange: Exchange | None = None  # AUTH in progress
        self._auth_failures = 0

    def _shown(self, line: bytes | LineFault) -> str:
        if self._exchange is not None and isinstance(line, bytes):
            return "*" if line.strip() == b"*" else CREDENTIALS
        return super()._shown(line)

    def _bad_line(self, fault: LineFault) -> None:
        self._end_exchange()
        super()._bad_line(fault)

    def _starttls(self, argument: str) -> Pair | None:
        if argument:
            return replies.NO_ARGUMENT
        if self.settings.tls != "starttls" or self.dialogue.tls or self.tls_context is None:
            return replies.NO_TLS
        self._is_busy = True
        self._reply(replies.START_TLS)
        self._flush()
        if self._stream is not None:
            self._stream.pause_reading()  # what comes now belongs to the handshake
        self._around.tasks.spawn(self._begin_tls(), "starttls")
        return None

    async def _begin_tls(self) -> None:
        """Go on encrypted, through the loop's own TLS; nothing read in clear survives (RFC 3207 4.2)."""
        plain = self._stream
        context = self.tls_context
        self._lines.clear()
        self._release()
        if plain is None or plain.is_closing() or context is None:
            return
        try:
            stream = await self.loop.start_tls(
                plain,
                self,
                context,
                server_side=True,
                ssl_handshake_timeout=self.settings.handshake_timeout_s,
            )
        except (OSError, EOFError) as error:  # ssl.SSLError is an OSError
            self._around.counters.tls_failures += 1
            log.info("TLS handshake failed", extra={"client": self.dialogue.address, "reason": str(error)})
            self._remark(f"TLS handshake failed: {error}")
            plain.close()
            self.connection_lost(None)  # the loop tells only those whose handshake was done
            return
        except BaseException:
            plain.close()
            self.connection_lost(None)
            raise
        if stream is None or self._stream is None:
            plain.close()
            return
        self._stream = stream
        self._is_paused = False
        tls = describe(stream.get_extra_info("ssl_object"))
        self._around.counters.count_tls(tls)
        self.dialogue.begin_tls(tls)
        self._remark(f"TLS: {self.dialogue.tls}")
        self._resume()

    def _auth(self, argument: str) -> Pair | None:
        dialogue = self.dialogue
        if self.settings.auth != "required":
            return replies.UNKNOWN
        if not dialogue.tls:
            return replies.NEED_TLS
        if not dialogue.helo:
            return replies.NEED_HELO
        if dialogue.credential:
            return replies.AUTH_AGAIN
        if dialogue.envelope is not None:
            return replies.AUTH_NOW
        self._exchange = Exchange()
        self._line_limit = self.settings.max_auth_line_bytes
        self._go_on_with_auth(self._exchange.begin(argument))
        return None

    def _end_exchange(self) -> None:
        self._exchange = None
        self._line_limit = self.settings.max_line_bytes

    def _go_on_with_auth(self, answer: Pair | Login) -> None:
        if not isinstance(answer, Login):
            if not is_challenge(answer):
                self._end_exchange()
            self._reply(answer)
            return
        self._end_exchange()
        around = self._around
        address = neighbourhood(self.dialogue.address)
        now = around.clock.monotonic()
        seen = {"client": self.dialogue.address, "credential": answer.username[:64]}
        if around.throttle.is_limited(address, answer.username, now):
            around.counters.count_auth_failure("limited")
            log.warning("AUTH limited", extra=seen)
            self._refuse_auth(replies.AUTH_UNAVAILABLE, around.throttle.max_delay_s)
            return
        try:
            grant = around.accounts.authenticate(answer.username, answer.password)
        except Exception as error:
            around.counters.count_auth_failure("unavailable")
            log.error("credentials cannot be looked up", extra=seen, exc_info=error)
            self._reply(replies.AUTH_UNAVAILABLE)
            return
        if grant is None:
            around.counters.count_auth_failure("invalid")
            log.info("AUTH failed", extra=seen)
            self._refuse_auth(replies.AUTH_INVALID, around.throttle.fail(address, answer.username, now))
            return
        around.counters.auth_successes += 1
        around.throttle.succeed(address, answer.username)
        self.dialogue.authenticate(grant.key_id, grant.account_id)
        if self._trail is not None:
            self._remark(f"authenticated: {grant.key_id}, account {grant.account_id}")
            self.retrace()
        self._reply(replies.AUTHENTICATED)

    def _refuse_auth(self, answer: Pair, delay_s: float) -> None:
        """Answer late: guessing takes time, and the event loop does not wait."""
        self._is_busy = True
        self._auth_failures += 1
        self.dialogue.has_failed_auth = True
        self.loop.call_later(delay_s, self._speak_late, answer)

    def _speak_late(self, answer: Pair) -> None:
        if self._stream is None:
            return
        self._reply(answer)
        if self._auth_failures >= self.settings.max_auth_failures:
            self._say_and_close(replies.AUTH_TOO_OFTEN)
        self._resume()
