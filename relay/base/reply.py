"""An SMTP reply as a value: code, enhanced status code, text.

Contract: ``Reply.line()`` is what goes on the wire for a one-line reply. ``parse_enhanced`` takes the
RFC 2034 code off the front of a reply text. Peer-facing texts are bland; detail belongs in the log.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:[ \t]+|$)")


@dataclass(frozen=True, slots=True)
class Reply:
    """One SMTP reply (RFC 5321 4.2); ``enhanced`` is ``"5.1.1"`` or empty (RFC 3463)."""

    code: int
    text: str
    enhanced: str = ""

    @property
    def is_positive(self) -> bool:
        """2yz: done."""
        return 200 <= self.code < 300

    @property
    def is_transient(self) -> bool:
        """4yz: not now."""
        return 400 <= self.code < 500

    @property
    def is_permanent(self) -> bool:
        """5yz: not ever."""
        return 500 <= self.code < 600

    def line(self) -> bytes:
        """The wire form, CRLF included; a text of several lines becomes a multiline reply."""
        prefix = f"{self.enhanced} " if self.enhanced else ""
        lines = self.text.splitlines() or [""]
        last = len(lines) - 1
        return "".join(
            f"{self.code}{'-' if number < last else ' '}{prefix}{line}\r\n"
            for number, line in enumerate(lines)
        ).encode("utf-8", "replace")

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced} {self.text}" if self.enhanced else f"{self.code} {self.text}"


def parse_enhanced(text: str) -> tuple[str, str]:
    """Split ``"5.1.1 no such user"`` into ``("5.1.1", "no such user")``; without a code ``("", text)``."""
    match = _ENHANCED.match(text)
    return (match.group(1), text[match.end() :]) if match else ("", text)


def parse_reply(code: int, text: str) -> Reply:
    """A reply from its code and text lines joined with newlines; each may repeat the enhanced code."""
    lines = text.split("\n")
    enhanced, lines[0] = parse_enhanced(lines[0])
    if enhanced:
        lines[1:] = [line.removeprefix(enhanced).lstrip(" ") for line in lines[1:]]
    return Reply(code, "\n".join(lines), enhanced)
