"""The options of ``relay send``: those of sendmail that are about sending one message, read as it reads them.

Contract: ``read(words)`` is the options, or SystemExit with EX_USAGE and a line that says what to do instead.
As with getopt(3), an option's value may be the next word whatever that begins with (``-f -x@example.com``),
options may stand behind addresses, and ``--`` ends them. argparse has the options and their help, and would
do none of these; ``in_order`` puts the words so that it need not.

Taken and without effect are options that callers pass by habit: ``-bm``, ``-o*`` (but ``-oi``), ``-e*``,
``-B``, ``-L``, ``-O``, ``-m``, ``-v``, ``-n``, ``-U``, ``-G``. The modes of sendmail that do something else
(``-bs``, ``-bp`` ...) end with the command that does it here.
"""

from __future__ import annotations

import argparse
import getopt
import os
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn

from relay.daemon.exits import EX_USAGE

# Modes of sendmail by their letter; m is "send what is piped in".
_INSTEAD = {
    "s": "SMTP is spoken on the ports of [[listener]] in relay.toml, not on standard input",
    "p": "see `relay queue list`",
    "d": "see `relay run`",
    "D": "see `relay run`",
    "i": "there are no aliases to be read in",
    "v": "see `relay identity check` and `relay suppression`",
    "h": "see `relay status`",
    "H": "see `relay status`",
}


_DESCRIPTION = (
    "Hand a message from standard input to the running relay, called as sendmail is. "
    "Exit status as in sysexits.h: 75 try again later; 65, 67, 69 the message, an address or the sender is "
    "refused; 64, 77, 78 the call, your rights or the configuration is at fault."
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        complain("4.3.5", message)  # who called is at fault, not the message: a queue should keep it
        self.print_usage(sys.stderr)
        sys.exit(EX_USAGE)


def complain(status: str, text: str) -> None:
    """Say it on standard error. Where that is no terminal, an enhanced status code (RFC 3463) goes before:
    Postfix's pipe(8) takes it before the exit status, and puts it into the bounce or the queue."""
    prefix = "" if sys.stderr.isatty() else f"{status} "
    print(f"{prefix}relay send: {text}", file=sys.stderr)


def parser() -> argparse.ArgumentParser:
    """The options, those of sendmail that make sense here."""
    made = _Parser(prog="relay send", description=_DESCRIPTION)
    made.add_argument(
        "recipients", nargs="*", metavar="ADDRESS", help="who gets it; mere names: at this host"
    )
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
    made.add_argument("-b", dest="mode", default="m", help=argparse.SUPPRESS)
    for name in ("-o", "-B", "-e", "-L", "-O"):
        made.add_argument(name, dest="ignored", action="append", help=argparse.SUPPRESS)
    made.add_argument("-v", "-n", "-U", "-G", "-m", dest="flag", action="store_true", help=argparse.SUPPRESS)
    return made


def read(words: Sequence[str]) -> argparse.Namespace:
    """The options."""
    made = parser()
    try:
        ordered = in_order(words, made._actions)
    except getopt.GetoptError as error:
        made.error(str(error))
    options = made.parse_args(ordered)
    if options.mode != "m":
        mode = options.mode
        made.error(f"-b{mode} is not supported: {_INSTEAD.get(mode[:1], 'only messages are taken')}")
    return options


def in_order(words: Sequence[str], actions: Iterable[argparse.Action]) -> list[str]:
    """The same call with options first, each value where argparse sees it, and ``--`` before addresses."""
    short, long = "", []
    for action in actions:
        for name in action.option_strings:
            if name.startswith("--"):
                long.append(name[2:] if action.nargs == 0 else f"{name[2:]}=")
            elif len(name) == 2:
                short += name[1:] if action.nargs == 0 else f"{name[1:]}:"
    options, addresses = getopt.gnu_getopt(list(words), short, long)
    ordered: list[str] = []
    for name, value in options:
        if name.startswith("--") and value:
            ordered.append(f"{name}={value}")
        elif name == "-o" or value.startswith("-"):
            ordered.append(name + value)
        else:
            ordered += [name, value] if f"{name[1:]}:" in short else [name]
    return [*ordered, "--", *addresses]
