"""``relay send``: a pipe that programs can use where they would call sendmail.

The message is read from standard input and handed to the running relay over its control socket; it takes the
same way as every other message. The account is ``-A NAME``, else RELAY_ACCOUNT. Lines may end in LF; Bcc is
read with ``-t`` and removed like anywhere else; a message without From gets the sender's, one without a
header an empty one, since callers of sendmail rely on that. Exit status as in sysexits.h: 75 means try again
later.

``-N``, ``-R`` and ``-V`` are those of sendmail: which reports are wanted, what they return, an id of one's
own.

Not here: the modes of sendmail that are not about sending (``-bs``, ``-bp``, ``-bd``).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import pwd
import re
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any, NoReturn

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

# What an answer means to the caller; other 4xx are temporary, other 5xx EX_UNAVAILABLE.
_STATUSES = {250: EX_OK, 501: EX_DATAERR, 530: EX_NOPERM, 553: EX_NOUSER}
_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")
_EMPTY_GROUP = re.compile(rb"[^:;<>@]*:\s*;")  # "undisclosed-recipients:;"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        print(f"relay send: {message}", file=sys.stderr)
        sys.exit(EX_USAGE)


def parser() -> argparse.ArgumentParser:
    """The options, those of sendmail that make sense here."""
    made = _Parser(prog="relay send", description="Hand a message from standard input to the running relay.")
    made.add_argument("recipients", nargs="*", metavar="ADDRESS")
    made.add_argument("-f", "-r", dest="sender", default=None, metavar="ADDRESS", help="envelope sender")
    made.add_argument(
        "-t", dest="from_header", action="store_true", help="take recipients from To, Cc and Bcc"
    )
    made.add_argument(
        "-i", "-oi", dest="ignore_dots", action="store_true", help="a line with a dot is no end"
    )
    made.add_argument("-A", "--account", default=os.environ.get("RELAY_ACCOUNT", ""), help="whose mail it is")
    made.add_argument("-c", "--config", default=None, metavar="FILE", help="configuration file")
    made.add_argument("-F", dest="full_name", default="", metavar="NAME", help="name for a missing From")
    made.add_argument(
        "-N", dest="notify", default="", metavar="WHEN", help="reports: never, or of success,delay,failure"
    )
    made.add_argument(
        "-R", dest="ret", default="", metavar="WHAT", help="what a bounce returns: full or hdrs"
    )
    made.add_argument("-V", dest="envid", default="", metavar="ID", help="envelope id, told in reports")
    made.add_argument(
        "--deliver-by", default="", metavar="SECONDS;R|N", help="give up (R) or tell (N) after so long"
    )
    made.add_argument("-o", dest="ignored", action="append", help=argparse.SUPPRESS)
    made.add_argument("-v", "-n", "-U", "-G", dest="flag", action="store_true", help=argparse.SUPPRESS)
    return made


def read_message(raw: bytes, *, ignore_dots: bool) -> bytes:
    """The message with CRLF line ends; without ``ignore_dots`` it ends at a line that is a single dot."""
    lines = raw.replace(b"\r\n", b"\n").split(b"\n")
    if not ignore_dots and b"." in lines:
        lines = [*lines[: lines.index(b".")], b""]
    if lines[-1]:
        lines.append(b"")  # the last line is a line too
    return b"\r\n".join(lines)


def complete(message: bytes, sender: str, full_name: str) -> bytes:
    """The message with a header, and with From in it: mail(1), cron and the like leave both to sendmail."""
    if not _FIELD.match(message) and not message.startswith(b"\r\n"):
        message = b"\r\n" + message
    head = message[: message.find(b"\r\n\r\n") + 2] if not message.startswith(b"\r\n") else b""
    if re.search(rb"(?mi)^from[ \t]*:", head) or not sender:
        return message
    from email.errors import MessageError
    from email.headerregistry import Address
    from email.policy import SMTP, SMTPUTF8

    try:
        author = str(Address(full_name, addr_spec=sender))
    except (ValueError, IndexError, MessageError):  # what is wrong with the sender, the relay says better
        return message
    policy = SMTP if sender.isascii() else SMTPUTF8
    field: str = policy.header_factory("From", author).fold(policy=policy)
    return field.encode() + message


def header_recipients(message: bytes) -> list[str]:
    """The addresses in To, Cc and Bcc. Raises ValueError for a field that cannot be read: whoever it names
    would go without the message, and nobody would know."""
    from relay.codec.headers import Header, addresses

    header = Header.parse(message)
    recipients: list[str] = []
    for name in (b"to", b"cc", b"bcc"):
        for value in header.get_all(name):
            found = addresses(value)
            if not found and value and not _EMPTY_GROUP.fullmatch(value):
                raise ValueError(f"the addresses in {name.decode().title()} cannot be read")
            recipients += found
    return recipients


def main(words: list[str]) -> int:
    """Run ``relay send``; returns the exit status."""
    options = parser().parse_args(words)
    from relay.base.errors import ConfigError, RelayError
    from relay.codec.xtext import xtext
    from relay.daemon.settings import config
    from relay.daemon.supervisor import control

    try:
        settings = config.load(Path(options.config) if options.config else None)
    except ConfigError as error:
        print(f"relay send: {error}", file=sys.stderr)
        return EX_CONFIG
    if not options.account:
        print("relay send: name the account with -A NAME or RELAY_ACCOUNT", file=sys.stderr)
        return EX_USAGE
    raw = sys.stdin.buffer.read()
    message = read_message(raw, ignore_dots=options.ignore_dots)
    try:
        recipients = list(dict.fromkeys(options.recipients + _from_header(options, message)))
    except ValueError as error:
        print(f"relay send: {error}", file=sys.stderr)
        return EX_DATAERR
    if not recipients:
        print("relay send: no recipients; name them or use -t", file=sys.stderr)
        return EX_USAGE
    sender = f"{_user()}@{settings.relay.hostname}" if options.sender is None else options.sender.strip("<>")
    author = sender or f"{_user()}@{settings.relay.hostname}"
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
        print(f"relay send: {error}", file=sys.stderr)
        return EX_NOPERM if isinstance(error, control.NotAllowed) else EX_TEMPFAIL
    return _status(answer)


def _parameters(**given: str) -> str:
    """As in MAIL and RCPT (RFC 3461, 2852); the relay looks at them as it does there."""
    return " ".join([f"{name}={value}" for name, value in given.items() if value])


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's number without a name
        return f"uid{os.getuid()}"


def _from_header(options: argparse.Namespace, message: bytes) -> list[str]:
    return header_recipients(message) if options.from_header else []


def _status(answer: dict[str, Any]) -> int:
    code = int(answer["code"])
    if code != 250:
        print(f"relay send: {code} {answer['text']}", file=sys.stderr)
    return _STATUSES.get(code, EX_TEMPFAIL if 400 <= code < 500 else EX_UNAVAILABLE)
