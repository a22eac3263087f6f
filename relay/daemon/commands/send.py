"""``relay send``: a pipe that programs can use where they would call sendmail.

The message is read from standard input and handed to the running relay over its control socket; it takes the
same way as every other message. The account is ``-A NAME``, else RELAY_ACCOUNT. Lines may end in LF; Bcc is
read with ``-t`` and removed like anywhere else. Exit status as in sysexits.h, so that callers which know
sendmail know what to do: 75 means try again later.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import os
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any, NoReturn

EX_OK, EX_USAGE, EX_DATAERR, EX_NOUSER, EX_UNAVAILABLE = 0, 64, 65, 67, 69
EX_SOFTWARE, EX_TEMPFAIL, EX_NOPERM, EX_CONFIG = 70, 75, 77, 78


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
    made.add_argument("-F", dest="full_name", default=None, help=argparse.SUPPRESS)
    made.add_argument("-o", dest="ignored", action="append", help=argparse.SUPPRESS)
    made.add_argument("-v", "-n", "-U", "-G", dest="flag", action="store_true", help=argparse.SUPPRESS)
    return made


def read_message(raw: bytes, *, ignore_dots: bool) -> bytes:
    """The message with CRLF line ends; without ``ignore_dots`` it ends at a line that is a single dot."""
    lines = raw.replace(b"\r\n", b"\n").split(b"\n")
    if not ignore_dots and b"." in lines:
        lines = [*lines[: lines.index(b".")], b""]
    return b"\r\n".join(lines)


def header_recipients(message: bytes) -> list[str]:
    """The addresses in To, Cc and Bcc."""
    from relay.codec.headers import Header, addresses

    header = Header.parse(message)
    fields = [value for name in (b"to", b"cc", b"bcc") for value in header.get_all(name)]
    return [address for value in fields for address in addresses(value)]


def main(words: list[str]) -> int:
    """Run ``relay send``; returns the exit status."""
    options = parser().parse_args(words)
    from relay.base.errors import ConfigError, RelayError
    from relay.daemon import config, control

    try:
        settings = config.load(Path(options.config) if options.config else None)
    except ConfigError as error:
        print(f"relay send: {error}", file=sys.stderr)
        return EX_CONFIG
    if not options.account:
        print("relay send: name the account with -A NAME or RELAY_ACCOUNT", file=sys.stderr)
        return EX_USAGE
    message = read_message(sys.stdin.buffer.read(), ignore_dots=options.ignore_dots)
    try:
        recipients = list(dict.fromkeys(options.recipients + _from_header(options, message)))
    except ValueError as error:
        print(f"relay send: {error}", file=sys.stderr)
        return EX_DATAERR
    if not recipients:
        print("relay send: no recipients; name them or use -t", file=sys.stderr)
        return EX_USAGE
    sender = options.sender
    if sender is None:
        sender = f"{getpass.getuser()}@{settings.relay.hostname}"
    fields: dict[str, Any] = {
        "account": options.account,
        "sender": sender.strip("<>"),
        "recipients": recipients,
        "content": b64encode(message).decode(),
    }
    try:
        answer = asyncio.run(control.ask(settings.spool.path, "submit", **fields))
    except RelayError as error:
        print(f"relay send: {error}", file=sys.stderr)
        return EX_TEMPFAIL
    return _status(answer)


def _from_header(options: argparse.Namespace, message: bytes) -> list[str]:
    return header_recipients(message) if options.from_header else []


def _status(answer: dict[str, Any]) -> int:
    code = answer["code"]
    if code == 250:
        return EX_OK
    print(f"relay send: {code} {answer['text']}", file=sys.stderr)
    if 400 <= code < 500:
        return EX_TEMPFAIL
    return EX_NOUSER if code == 553 else EX_UNAVAILABLE


def described() -> None:
    """Hand a message from standard input to the running relay, as sendmail would (``relay send -h``)."""
