"""What the benchmark's messages look like: realistic headers, CRLF lines of about 70 bytes, one marker each.

A message is ``head + marker line + tail``; only the marker line differs, so that making one costs the source
a microsecond. The marker is a header of its own, ``X-Bench: RUN NUMBER STAMP``: the number of the message
within its run, and the time the source wrote MAIL (nanoseconds of CLOCK_MONOTONIC, which all processes of
a Linux machine share). No line begins with a dot, hence no dot-stuffing is needed.
"""

from __future__ import annotations

import base64
import random
from dataclasses import dataclass

DOMAIN = "bench.example"
SENDER = f"app@{DOMAIN}"
RECEIVER = "receiver.example"
MARK = b"\r\nX-Bench: "
_SEARCHED = 16384  # bytes: trace and signature headers come before the marker, and no more than that
_PROSE = (
    "the order has been packed and leaves our warehouse in the morning please keep this receipt for your "
    "records if you did not ask for this letter write to us and we shall look into it without delay "
    "thank you for your patience and kind regards from everyone at the office"
)
_WORDS = _PROSE.split()


@dataclass(frozen=True, slots=True)
class Template:
    """A message without its marker line; ``head`` ends just before it, ``tail`` ends with dot CRLF."""

    head: bytes
    tail: bytes

    def fill(self, run: int, number: int, stamp_ns: int) -> bytes:
        """The bytes to send after 354, final dot included."""
        return b"".join((self.head, b"X-Bench: %08d %08d %020d\r\n" % (run, number, stamp_ns), self.tail))


def make_template(size_bytes: int) -> Template:
    """A message of about ``size_bytes``: plain text, or text with an attachment above 16 KiB."""
    chance = random.Random(size_bytes)
    has_attachment = size_bytes > 16384
    kind = 'multipart/mixed; boundary="=_part"' if has_attachment else "text/plain; charset=utf-8"
    head = (
        f"From: Order desk <{SENDER}>\r\n"
        f"To: A customer <customer@{RECEIVER}>\r\n"
        "Subject: Your order 2981-77 is on its way\r\n"
        f"Reply-To: desk@{DOMAIN}\r\n"
        "Date: Mon, 02 Mar 2026 09:30:00 +0000\r\n"
        f"Message-ID: <order-2981-77@{DOMAIN}>\r\n"
        "MIME-Version: 1.0\r\n"
        f"Content-Type: {kind}\r\n"
        "Content-Transfer-Encoding: 7bit\r\n"
        "X-Mailer: order desk 4.2\r\n"
    ).encode()
    room = size_bytes - len(head) - 48
    if has_attachment:
        opening = b"--=_part\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + _prose(chance, 1500)
        opening += (
            b"--=_part\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n"
            b'Content-Disposition: attachment; filename="invoice.pdf"\r\n\r\n'
        )
        closing = b"--=_part--\r\n"
        body = opening + _base64(chance, room - len(opening) - len(closing)) + closing
    else:
        body = _prose(chance, room)
    return Template(head, b"\r\n" + body + b".\r\n")


def _prose(chance: random.Random, size_bytes: int) -> bytes:
    lines = []
    left = size_bytes
    while left > 0:
        line = ""
        while len(line) < 64:
            line += chance.choice(_WORDS) + " "
        lines.append(line.rstrip()[: max(left - 2, 1)] + "\r\n")
        left -= len(lines[-1])
    return "".join(lines).encode()


def _base64(chance: random.Random, size_bytes: int) -> bytes:
    text = base64.b64encode(chance.randbytes(size_bytes))
    lines = [text[at : at + 76] for at in range(0, size_bytes * 76 // 78, 76)]
    return b"\r\n".join(lines) + b"\r\n"


def read_marker(content: bytes | bytearray) -> tuple[int, int, int] | None:
    """Run, number and stamp of a received message, or None if it bears no marker."""
    at = content.find(MARK, 0, _SEARCHED)
    if at < 0:
        return None
    at += len(MARK)
    try:
        return int(content[at : at + 8]), int(content[at + 9 : at + 17]), int(content[at + 18 : at + 38])
    except ValueError:
        return None
