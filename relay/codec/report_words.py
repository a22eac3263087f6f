"""The small words of a report: text on one line, a paragraph, a field, a date. Pure.

Contract: whatever ``one_line`` is given (replies of peers, addresses of clients), its result has no control
character and no line end, and is short enough that no line of the report passes 998 octets (RFC 5322 2.1.1).
"""

from __future__ import annotations

import ipaddress
import textwrap
from datetime import UTC, datetime
from email.utils import format_datetime

FOLD_CHARS = 76
_TEXT_LIMIT_OCTETS = 900  # so that no unbroken reply makes a line above 998 octets


def one_line(text: str) -> str:
    """``text`` without control characters and line ends, as single-spaced words, cut to a sensible length."""
    words = " ".join("".join([c if c.isprintable() else " " for c in text]).split())
    return words.encode("utf-8", "replace")[:_TEXT_LIMIT_OCTETS].decode("utf-8", "ignore")


def address_word(address: str) -> str:
    """An address that was checked when it came in, on one line and else as it is: within quotes every space
    of it counts, and whoever encodes a recipient in it needs all of it back."""
    return "".join([c if c.isprintable() else "?" for c in address])


def host_word(name: str) -> str:
    """The name of a mail server in a field (RFC 3464 2.1.2): an address stands in brackets."""
    try:
        found = ipaddress.ip_address(name)
    except ValueError:
        return one_line(name)
    return f"[IPv6:{found}]" if found.version == 6 else f"[{found}]"


def wrapped(text: str) -> list[str]:
    """``text`` as the lines of an indented paragraph."""
    return textwrap.wrap(
        text, FOLD_CHARS, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False
    )


def date(at: float) -> str:
    """Seconds since the epoch as a date of RFC 5322."""
    return format_datetime(datetime.fromtimestamp(int(at), UTC))


def folded(name: str, value: str) -> str:
    """A field, folded at spaces only, so that unfolding gives the value back."""
    text = f"{name}: {one_line(value)}"
    return "\r\n ".join(textwrap.wrap(text, FOLD_CHARS, break_long_words=False, break_on_hyphens=False))
