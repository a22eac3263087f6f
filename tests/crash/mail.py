"""The messages of the crash tests: each proves what it is and that it is whole.

Every recipient address is used once: ``m<number>-<n>@<domain>``. The field ``X-Crash: NUMBER CRC`` holds
the number of the submission and the CRC-32 of the body, so that the sink can tell a message that was mixed
up or cut from a good one. Bodies hold lines that begin with a dot; now and then one is above the size from
which the spool keeps content in a file, or has several recipients in two domains. Some go to a receiver with
narrow limits (``NARROW``), some to one that is never there (``GONE``) with a time after which the sender
wants to hear (RFC 2852): these come back to ``SENDER``, or to the ``app@`` of another domain that sent them.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

SENDER = "app@crash.example"
SENDING_DOMAIN = "crash.example"
DOMAINS = ("receiver.example", "other.example")
NARROW, GONE = "narrow.example", "gone.example"
GIVEN_UP_AFTER_S = 2
LARGE_BYTES = 300_000

_MARK = re.compile(rb"\r\nX-Crash: (\d+) (\d+)\r\n")
_LINE = b"..leading dots and a line of prose that says nothing in particular\r\n"
_FAILED = re.compile(rb"\r\nFinal-Recipient: rfc822; ?(\S+)\r\nAction: failed\r\n")
_SEARCHED = 16384  # trace and signature fields come before the mark


@dataclass(frozen=True, slots=True)
class Mail:
    """One submission: its recipients, and what follows the 354, final dot included."""

    recipients: list[str]
    content: bytes
    by_s: int = 0  # seconds after which the sender wants to hear that it did not arrive
    sender: str = SENDER

    @property
    def envelope(self) -> bytes:
        """MAIL, RCPT and DATA for one write (RFC 2920)."""
        rcpt = "".join(f"RCPT TO:<{address}>\r\n" for address in self.recipients)
        by = f" BY={self.by_s};R" if self.by_s else ""
        return f"MAIL FROM:<{self.sender}>{by}\r\n{rcpt}DATA\r\n".encode()


def make(
    number: int,
    size_bytes: int = 2000,
    recipients: int = 1,
    domains: tuple[str, ...] = DOMAINS,
    by_s: int = 0,
    sender: str = SENDER,
) -> Mail:
    """Submission ``number``."""
    stuffed = _LINE * max(1, size_bytes // len(_LINE))
    check = zlib.crc32(unstuff(stuffed))
    head = (
        f"From: {sender}\r\nTo: undisclosed-recipients:;\r\nSubject: message {number}\r\n"
        f"X-Crash: {number} {check}\r\nContent-Type: text/plain\r\n\r\n"
    ).encode()
    addresses = [f"m{number}-{n}@{domains[n % len(domains)]}" for n in range(recipients)]
    return Mail(addresses, head + stuffed + b".\r\n", by_s, sender)


def make_mixed(number: int) -> Mail:
    """Submission ``number`` of a load that has a bit of everything."""
    if number % 211 == 0:
        return make(number, LARGE_BYTES)
    return make(number, 500 + number % 7 * 800, 3 if number % 13 == 0 else 1)


def make_shaped(number: int) -> Mail:
    """The same, and every ninth to the narrow receiver, every ninth to the one that is not there."""
    if number % 9 == 4:
        return make(number, 1000, 2, (NARROW, *DOMAINS) if number % 2 else (NARROW,))
    if number % 9 == 7:
        return make(number, 1000, domains=(GONE,), by_s=GIVEN_UP_AFTER_S)
    return make_mixed(number)


def is_for_us(recipients: list[str]) -> bool:
    """Whether this is no message of a test, but one to its sender or to the contact of an account."""
    return all(address.startswith(("app@", "postmaster@")) for address in recipients)


def given_up(report: bytes) -> list[str]:
    """The recipients that a report to the sender gives up (RFC 3464)."""
    return [address.decode() for address in _FAILED.findall(report)]


def unstuff(lines: bytes) -> bytes:
    """Lines as they were before dot-stuffing (RFC 5321 4.5.2)."""
    return lines.replace(b"\r\n..", b"\r\n.").removeprefix(b".")


def fault_of(recipients: list[str], received: bytes) -> str:
    """What is wrong with a received message (still stuffed, without its final dot); empty if nothing is."""
    mark = _MARK.search(received, 0, _SEARCHED)
    if mark is None:
        return "no mark"
    number, check = mark.groups()
    if any(not address.startswith(f"m{number.decode()}-") for address in recipients):
        return f"content of message {number.decode()}"
    body = unstuff(received[received.index(b"\r\n\r\n") + 4 :])
    return "" if zlib.crc32(body) == int(check) else "damaged body"
