"""What is taken from aiosmtpd: its protocol class, with NOOP, HELP and EXPN. Its only importer.

Contract: ``InheritedCommands`` is an aiosmtpd ``SMTP`` whose commands can be called plainly: they await
nothing but ``push`` and the event hooks, of which there are none, so they run to their end at once.

Cost: ``SMTP.__init__`` is left out on purpose. It inspects every attribute of session and event receiver for
each connection (0.13 ms); what the inherited commands read is set here. aiosmtpd's own loop, with a coroutine
for each line and for each line of content, is not run either: see ``connection``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from aiosmtpd.smtp import SMTP, Session

from relay.ingress.replies import Pair

_HELP_SHOWS = {
    name: getattr(SMTP, f"smtp_{name}")
    for name in (
        "AUTH",
        "DATA",
        "EHLO",
        "HELO",
        "HELP",
        "MAIL",
        "NOOP",
        "QUIT",
        "RCPT",
        "RSET",
        "STARTTLS",
        "VRFY",
    )
}


class InheritedCommands(SMTP):
    """A protocol with aiosmtpd's lesser commands; replies go to ``_reply``."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._handle_hooks = {}
        self._smtp_methods = _HELP_SHOWS
        self.tls_context = None

    def __del__(self) -> None:
        """Nothing to look at: the superclass asks for a future that a connection here does not have."""

    def _reply(self, answer: Pair) -> None:
        raise NotImplementedError

    def _inherited(self, command: Callable[[SMTP, str], Coroutine[Any, Any, None]], argument: str) -> None:
        """Run a command of aiosmtpd: it awaits ``push`` only, and that never waits here."""
        work = command(self, argument)
        try:
            work.send(None)
        except StopIteration:
            return
        work.close()
        raise RuntimeError("a command of aiosmtpd waits for something")

    def _noop(self, argument: str) -> None:
        self._inherited(SMTP.smtp_NOOP, argument)

    def _help(self, argument: str) -> None:
        self.session = Session(self.loop)  # read by this command alone, hence made by it
        self.session.extended_smtp = True
        self._inherited(SMTP.smtp_HELP, argument if argument.isascii() else "")

    def _expn(self, argument: str) -> None:
        self._inherited(SMTP.smtp_EXPN, argument)

    async def push(self, status: str | bytes) -> None:
        """A reply of one of aiosmtpd's own commands."""
        line = status.encode() if isinstance(status, str) else status
        code, _, text = line.partition(b" ")
        self._reply((line + b"\r\n", code + b" " + code[:1] + b".0.0 " + text + b"\r\n"))

    async def check_auth_needed(self, caller_method: str) -> bool:
        """HELP is for everyone."""
        return False
