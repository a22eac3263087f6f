"""From an address to a session that is ready for MAIL: TCP, greeting, EHLO, STARTTLS, AUTH.

Contract: ``open_session`` returns a Session, or a Deferred that says how far it came; failure of one address
is a value, since the next is tried. Everything refused here is of scope SITE: a 5xx greeting says something
about the site or about us, never about a message.

- EHLO refused with 5xx: HELO, and no extensions (RFC 5321 3.2), unless TLS or AUTH is required.
- Opportunistic TLS: STARTTLS refused, the session goes on in clear; the handshake fails, one more connection
  is made without it (RFC 7435: some encryption is better than none, and none is better than no mail).
- All other modes: no STARTTLS, a refusal or a certificate that is not as the plan wants it is Deferred(SITE,
  TLS). Never downgraded.
- ``plan.try_first`` is tried before the plan; if TLS fails it, that is noted and the plan follows.
- Each session for which the plan had something to say about TLS is noted once, for the receivers' reports.
- After STARTTLS everything learned before is forgotten (RFC 3207 4.2).
- A host that answers EHLO with our own name is ourselves, whatever the DNS calls it: Deferred(SITE, LOOP).
- Credentials go only over verified TLS. The password file is read at each connect, so that a new password
  needs no restart; one that others may read is refused, for its owner should know.

Not here: which address, which host (``connect``); what TLS is required (``tls_decision``).
"""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
from dataclasses import replace
from datetime import UTC, datetime

from relay.base.credential import is_open_to_others
from relay.base.errors import ConfigError
from relay.base.outcome import Deferred, Peer, Reason, Scope
from relay.base.reply import Reply
from relay.base.route import Host, Route, TlsMode
from relay.base.tls_session import TlsFailure, TlsPolicy, TlsSession, TlsSessionLog
from relay.base.trace import UNWATCHED, Traces, Trail
from relay.codec.trace_text import shown
from relay.transport.commands import read_offers
from relay.transport.dane import judge_chain
from relay.transport.replies import Command, refusal
from relay.transport.session import Session
from relay.transport.settings import SessionSettings
from relay.transport.tls_decision import TlsPlan
from relay.transport.tls_failure import failure_of
from relay.transport.tls_policy import ResumingContext, TlsContexts
from relay.transport.transcript import bounded, lines_of
from relay.transport.watching import opening_trail
from relay.transport.wire import Wire, auth_lines, read_extensions

_MAX_PASSWORD_BYTES = 4096
_VERIFIED = (TlsMode.REQUIRED, TlsMode.WRAPPER, TlsMode.DANE_ONLY)
_PROOFS = dict(zip(_VERIFIED, (" (CA)", " (CA)", " (DANE)"), strict=True))  # who vouches, for the log


async def open_session(
    host: Host,
    address: str,
    route: Route,
    settings: SessionSettings,
    contexts: TlsContexts,
    plan: TlsPlan | None = None,
    sessions: TlsSessionLog | None = None,
    traces: Traces = UNWATCHED,
) -> Session | Deferred:
    """Connect to one address of a host of the route, as planned (else as the route's mode alone asks)."""
    if plan is None:
        plan = TlsPlan(route.tls, TlsPolicy(route.domain))

    def note(opening: Opening, opened: Session | Deferred) -> None:
        if sessions is None or not plan.policy.domain or plan.mode is TlsMode.NONE or route.demand.is_waived:
            return  # nobody to tell, or a report itself was on its way (RFC 8460 4.1)
        fault = plan.amiss or opening.fault
        if fault is not None or isinstance(opened, Session):
            failure, detail = fault or (None, "")
            sessions.note(
                TlsSession(plan.policy, failure, host.name, address, opening.source_address, detail)
            )

    if plan.try_first is not None:
        opening = Opening(host, address, route, settings, contexts, plan, traces)
        opened = await opening.run(plan.try_first)
        note(opening, opened)
        if isinstance(opened, Session) or opening.fault is None:
            return opened
        sessions = None  # the session that follows is the same one to the report
    opening = Opening(host, address, route, settings, contexts, plan, traces)
    opened = await opening.run(plan.mode)
    note(opening, opened)
    if opening.has_failed_handshake and plan.may_fall_back:
        return await Opening(host, address, route, settings, contexts, plan, traces).run(TlsMode.NONE)
    return opened


class Opening:
    """One connection on its way to becoming a session. ``fault``: what was not well with its TLS."""

    def __init__(
        self,
        host: Host,
        address: str,
        route: Route,
        settings: SessionSettings,
        contexts: TlsContexts,
        plan: TlsPlan,
        traces: Traces = UNWATCHED,
    ) -> None:
        self._traces = traces
        self._trail: Trail | None = None
        self._host = host
        self._address = address
        self._route = route
        self._settings = settings
        self._contexts = contexts
        self._plan = plan
        self._name = plan.name or host.name  # for SNI, and what the certificate must be for
        self._peer = Peer(host.name, address)
        self._mechanisms: list[str] = []
        self.fault: tuple[TlsFailure, str] | None = None
        self.has_failed_handshake = False
        self.source_address = ""  # ours, once there is a connection

    async def run(self, mode: TlsMode) -> Session | Deferred:
        """Try once, with TLS as ``mode`` says; closes the connection unless it returns a session."""
        wire: Wire | None = None
        session: Session | None = None
        try:
            if self._traces.active:
                self._trail = opening_trail(self._traces, self._route, self._host, self._address)
            connected = await self._connect(mode)
            if isinstance(connected, Deferred):
                if self._trail is not None:
                    self._trail.end(shown(f"no connection: {connected.detail}"))
                return connected
            wire = connected
            if mode is TlsMode.WRAPPER:
                wire.remark(f"TLS: {wire.tls_text()}")
            if wire.transport is not None:
                self.source_address = wire.transport.get_extra_info("sockname", ("",))[0]
            fresh = Session(wire, self._settings)
            failure = await self._converse(wire, fresh, mode)
            if failure is not None:
                if failure.reply is None and wire.fault is None:
                    wire.remark(f"{failure.reason}: {failure.detail}")
                return replace(failure, dialogue=self._dialogue(wire, failure))
            fresh.peer = self._peer
            session = fresh
            return session
        finally:
            if wire is not None and session is None:
                wire.give_up(Reason.CONNECTION_LOST, "closed by us")

    async def _connect(self, mode: TlsMode) -> Wire | Deferred:
        settings = self._settings
        loop = asyncio.get_running_loop()
        own = self._own_address()
        source = (own, 0) if own else None
        try:
            async with asyncio.timeout(settings.connect_s):
                if mode is TlsMode.WRAPPER:
                    _, wire = await loop.create_connection(
                        lambda: Wire(loop, self._traces, self._trail),
                        self._address,
                        self._host.port,
                        local_addr=source,
                        ssl=self._context(mode),
                        server_hostname=self._name,
                    )
                    self._note_tls(wire, mode)
                else:
                    _, wire = await loop.create_connection(
                        lambda: Wire(loop, self._traces, self._trail),
                        self._address,
                        self._host.port,
                        local_addr=source,
                    )
        except TimeoutError:
            return self._site(Reason.CONNECT, f"no connection within {settings.connect_s:g} s")
        except ssl.SSLError as fault:
            return self._tls(failure_of(fault), str(fault))
        except ConfigError as fault:
            return self._site(Reason.TLS, str(fault))
        except OSError as fault:
            if fault.errno == errno.EADDRNOTAVAIL and own:
                return self._site(Reason.CONNECT, self._not_ours(own))
            return self._site(Reason.CONNECT, str(fault))
        return wire

    def _own_address(self) -> str:
        """The source's address of the family of the peer's; "" lets the kernel choose."""
        addresses = self._route.source.addresses or (self._settings.source_address,)
        is_six = ":" in self._address
        return next((one for one in addresses if one and (":" in one) is is_six), "")

    def _not_ours(self, own: str) -> str:
        name = self._route.source.name
        setting = f'[[source]] "{name}" addresses' if name else "[delivery] source_address"
        return f"{own} is not an address of this machine; set {setting} to one that is, or add it"

    async def _converse(self, wire: Wire, session: Session, mode: TlsMode) -> Deferred | None:
        """Greeting to AUTH; None if all went well."""
        settings = self._settings
        greeting = await self._answer(wire, Command.GREETING, settings.greeting_s)
        if isinstance(greeting, Deferred):
            return greeting
        failure = await self._greet(wire, session, mode)
        if failure is not None:
            return failure
        if mode not in (TlsMode.NONE, TlsMode.WRAPPER):
            failure = await self._start_tls(wire, session, mode)
            if failure is not None:
                return failure
        elif mode is TlsMode.WRAPPER:
            self._keep(wire, mode)
        if self._route.username:
            return await self._authenticate(wire, mode)
        return None

    async def _greet(self, wire: Wire, session: Session, mode: TlsMode) -> Deferred | None:
        """EHLO, or HELO where EHLO is not known."""
        settings = self._settings
        name = self._route.source.helo_name or settings.helo_name
        reply = await self._ask(wire, f"EHLO {name}\r\n", Command.EHLO, settings.ehlo_s)
        if isinstance(reply, Reply):
            if reply.text.lower().split(None, 1)[:1] in ([name.lower()], [settings.helo_name.lower()]):
                return self._site(Reason.LOOP, f"the host calls itself {name}, as we do: mail would loop")
            extensions, self._mechanisms = read_extensions(reply.text)
            session.offers = read_offers(extensions)
            return None
        if reply.reply is None or not reply.reply.is_permanent or mode in _VERIFIED or self._route.username:
            return reply
        hello = await self._ask(wire, f"HELO {name}\r\n", Command.EHLO, settings.ehlo_s)
        return hello if isinstance(hello, Deferred) else None

    async def _start_tls(self, wire: Wire, session: Session, mode: TlsMode) -> Deferred | None:
        """STARTTLS as the mode wants it; None where the session may go on, in clear or not."""
        if not session.offers.starttls:
            self.fault = TlsFailure.STARTTLS_NOT_SUPPORTED, "STARTTLS is not offered"
            is_choice = mode is TlsMode.OPPORTUNISTIC
            return None if is_choice else self._site(Reason.TLS, "TLS is required and not offered")
        reply = await self._ask(wire, "STARTTLS\r\n", Command.STARTTLS, self._settings.ehlo_s)
        if isinstance(reply, Deferred):
            is_refusal = reply.reply is not None and reply.reason is not Reason.BUSY
            if is_refusal:
                self.fault = TlsFailure.STARTTLS_NOT_SUPPORTED, f"STARTTLS refused: {reply.reply}"
            return None if is_refusal and mode is TlsMode.OPPORTUNISTIC and wire.fault is None else reply
        try:
            await wire.encrypt(self._context(mode), self._name, self._settings.tls_s)
        except (OSError, ConfigError, ValueError) as fault:  # ValueError: a host name that TLS cannot carry
            self.has_failed_handshake = True
            return self._tls(failure_of(fault), f"TLS handshake: {fault}")
        if mode is TlsMode.DANE_ONLY:
            now = datetime.now(UTC).timestamp()
            wrong = judge_chain(wire.peer_chain(), self._plan.records, self._name, now)
            if wrong is not None:
                return self._tls(wrong.failure, f"DANE: {wrong.detail}")
        self._note_tls(wire, mode)
        failed = await self._greet(wire, session, TlsMode.REQUIRED)
        if failed is None:
            self._keep(wire, mode)
        return failed

    def _keep(self, wire: Wire, mode: TlsMode) -> None:
        """Let the next connection resume this TLS; tickets of TLS 1.3 came before the answer to EHLO.

        In the context that made it: the one of this mode may be another by now, after a reload."""
        connection = wire.tls_connection()
        if connection is None or mode is TlsMode.DANE_ONLY:
            return
        context = connection.context
        if isinstance(context, ResumingContext):
            context.keep(connection)

    def _context(self, mode: TlsMode) -> ResumingContext:
        return self._contexts.context(mode, self._route.client_certificate, self._route.client_key)

    async def _authenticate(self, wire: Wire, mode: TlsMode) -> Deferred | None:
        """AUTH PLAIN, or LOGIN where only that is offered."""
        if mode not in _VERIFIED:
            return self._site(Reason.AUTH, "credentials need tls = required or wrapper")
        try:
            password = await asyncio.get_running_loop().run_in_executor(
                None, read_password, self._route.password_file
            )
        except ConfigError as fault:
            return self._site(Reason.AUTH, str(fault))
        lines = auth_lines(self._mechanisms, self._route.username, password)
        if not lines:
            return self._site(Reason.AUTH, "the next hop offers neither AUTH PLAIN nor LOGIN")
        wire.secrets = (password, lines[-1].split()[-1])
        if wire.trail is not None:
            wire.trail.secrets = wire.secrets
        for position, line in enumerate(lines, 1):
            hoped = 235 if position == len(lines) else 334
            reply = await self._ask(wire, line, Command.AUTH, self._settings.auth_s, hoped)
            if isinstance(reply, Deferred):
                return reply
        wire.secrets = ()
        return None

    async def _ask(
        self, wire: Wire, line: str, command: Command, timeout_s: float, hoped: int = 0
    ) -> Reply | Deferred:
        wire.expect(1)
        wire.note(secretless(line) if command is Command.AUTH else line.rstrip())
        wire.send(line.encode("ascii"))
        return await self._answer(wire, command, timeout_s, hoped)

    async def _answer(
        self, wire: Wire, command: Command, timeout_s: float, hoped: int = 0
    ) -> Reply | Deferred:
        """The reply if it is what was hoped for (any 2xx unless told), else why not."""
        reply = await wire.one_answer(timeout_s)
        if reply is None:
            return self._site(wire.fault or Reason.PROTOCOL, f"{command.value}: {wire.fault_detail}")
        if reply.code == hoped or (not hoped and reply.is_positive):
            return reply
        return refusal_of_opening(command, reply, self._peer)

    def _note_tls(self, wire: Wire, mode: TlsMode) -> None:
        proof = _PROOFS.get(mode, "")
        self._peer = Peer(self._host.name, self._address, f"{wire.tls_text()}{proof}")

    def _tls(self, failure: TlsFailure, detail: str) -> Deferred:
        self.fault = failure, detail
        return self._site(Reason.TLS, detail)

    def _dialogue(self, wire: Wire, failure: Deferred) -> str:
        """What was said, and what ended it where that was no reply."""
        to = f"# to {self._host.name} [{self._address}]:{self._host.port}"
        end = [f"# {failure.reason}: {failure.detail}"] if failure.reply is None else []
        return bounded([to, *lines_of(wire.opening), *end])

    def _site(self, reason: Reason, detail: str) -> Deferred:
        return Deferred(Scope.SITE, reason, None, detail, self._peer)


def secretless(line: str) -> str:
    """A line of AUTH without what must not be seen."""
    words = line.split()
    if words[0] != "AUTH":
        return "***"
    return " ".join([*words[:2], *["***"] * len(words[2:])])


def refusal_of_opening(command: Command, reply: Reply, peer: Peer) -> Deferred:
    """As ``refusal``, for commands whose refusal is never final."""
    outcome = refusal(command, reply, peer)
    assert isinstance(outcome, Deferred)
    return outcome


def read_password(path: str) -> str:
    """The first line of a password file that only its owner can read. Raises ConfigError."""
    try:
        with open(path, "rb") as file:
            if is_open_to_others(os.fstat(file.fileno()).st_mode, path):
                raise ConfigError(f"password file {path}: others may read it; chmod 600 {path}")
            text = file.read(_MAX_PASSWORD_BYTES).decode("utf-8")
    except OSError as fault:
        raise ConfigError(f"password file {path}: {fault.strerror}") from fault
    except UnicodeDecodeError as fault:
        raise ConfigError(f"password file {path}: not UTF-8") from fault
    password = text.split("\n", 1)[0].rstrip("\r")
    if not password:
        raise ConfigError(f"password file {path}: empty; put the password on its first line")
    return password
