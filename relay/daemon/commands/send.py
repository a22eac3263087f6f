"""``relay send``: a pipe that programs can use where they would call sendmail.

The message is read from standard input and handed to the running relay over its control socket; it takes the
same way as every other message. The account is ``-A NAME``, else RELAY_ACCOUNT. Lines may end in LF; Bcc is
read with ``-t`` and removed like anywhere else; what callers of sendmail leave out is added
(``send_message``), and its options are taken (``send_options``).

Exit status as in sysexits.h, for callers that know sendmail: 75 try again later; 65, 67 and 69 the message,
an address or the sender is refused; 64, 77 and 78 the call, the user's rights or the configuration is at
fault. What is said on standard error begins with an enhanced status code where it is no terminal. It is 4.x.x
for all that is not the message's fault, so that Postfix's pipe(8), which looks at the code first, keeps mail
in its queue while the administrator mends a setting, and bounces only what the relay has refused. An error of
our own is temporary.

``-N``, ``-R`` and ``-V`` are those of sendmail: which reports are wanted, what they return, an id of one's
own. One answer holds for all recipients of a call: where one address is refused, nobody gets the message.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import sys
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relay.daemon.commands.send_message import (
    complete,
    header_recipients,
    qualified,
    qualified_address,
    read_message,
)
from relay.daemon.commands.send_options import complain, parser, read
from relay.daemon.exits import (
    EX_CONFIG,
    EX_DATAERR,
    EX_NOPERM,
    EX_NOUSER,
    EX_OK,
    EX_TEMPFAIL,
    EX_UNAVAILABLE,
    EX_USAGE,
)

if TYPE_CHECKING:
    import argparse

__all__ = ["main", "parser"]

# What an answer means to the caller; other 4xx are temporary, other 5xx EX_UNAVAILABLE.
_STATUSES = {250: EX_OK, 501: EX_DATAERR, 530: EX_NOPERM, 553: EX_NOUSER}
# Its enhanced code where the relay says none. 530: no such account, the caller's -A is wrong.
_ENHANCED = {451: "4.3.0", 452: "4.3.1", 501: "5.1.7", 530: "4.7.0", 552: "5.3.4", 553: "5.1.3"}


def main(words: list[str]) -> int:
    """Run ``relay send``; returns the exit status."""
    options = read(words)
    try:
        return _send(options)
    except Exception as error:
        complain("4.3.0", f"{type(error).__name__}: {error}")
        return EX_TEMPFAIL


def _send(options: argparse.Namespace) -> int:
    from relay.base.errors import ConfigError, RelayError
    from relay.codec.xtext import xtext
    from relay.daemon.settings import config
    from relay.daemon.supervisor import control

    try:
        settings = config.load(Path(options.config) if options.config else None)
    except ConfigError as error:
        complain("4.3.5", str(error))
        return EX_CONFIG
    if not options.account:
        complain("4.3.5", "name the account with -A NAME or RELAY_ACCOUNT")
        return EX_USAGE
    host = settings.relay.hostname
    message = qualified(read_message(sys.stdin.buffer.read(), ignore_dots=options.ignore_dots), host)
    try:
        found = options.recipients + (header_recipients(message) if options.from_header else [])
    except ValueError as error:
        complain("5.6.0", str(error))
        return EX_DATAERR
    recipients = list(dict.fromkeys(qualified_address(one, host) for one in found))
    if not recipients:
        complain("5.1.3", "no recipients; name them or use -t")
        return EX_USAGE
    sender = _user() if options.sender is None else options.sender.strip("<>")
    sender = qualified_address(sender, host)
    author = sender or qualified_address(_user(), host)
    fields: dict[str, Any] = {
        "account": options.account,
        "sender": sender,
        "recipients": recipients,
        "content": b64encode(complete(message, author, options.full_name)).decode(),
        "mail": _parameters(RET=options.ret, ENVID=xtext(options.envid), BY=options.deliver_by),
        "rcpt": _parameters(NOTIFY=options.notify),
    }
    try:
        answer = asyncio.run(control.ask(settings.spool.path, "submit", **fields))
    except RelayError as error:
        is_forbidden = isinstance(error, control.NotAllowed)
        complain("4.7.0" if is_forbidden else "4.3.2", str(error))
        return EX_NOPERM if is_forbidden else EX_TEMPFAIL
    return _status(answer)


def _parameters(**given: str) -> str:
    """As in MAIL and RCPT (RFC 3461, 2852); the relay looks at them as it does there."""
    return " ".join([f"{name}={value}" for name, value in given.items() if value])


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's number without a name
        return f"uid{os.getuid()}"


def _status(answer: dict[str, Any]) -> int:
    code = int(answer["code"])
    if code != 250:
        enhanced = answer.get("enhanced") or _ENHANCED.get(code) or f"{code // 100}.0.0"
        complain(enhanced, f"{code} {answer['text']}")
    return _STATUSES.get(code, EX_TEMPFAIL if 400 <= code < 500 else EX_UNAVAILABLE)
