"""The DATA phase in bytes: dot-stuffing, the end of the data, what SMTP forbids in content (RFC 5321 4.5.2).

Contract: *content* is header and body with CRLF line ends and no stuffing; *wire* is what travels between the
354 and its terminator. ``unstuff(stuff(content)) == content`` for all bytes. The end of the data is CRLF "."
CRLF and nothing else: a bare LF or CR around a dot ends nothing, and ``find_fault`` then refuses the content
(SMTP smuggling).

Cost on the hot path, measured: ``find_fault`` 3 us for 4 KB and 40-60 us for 100 KB; ``find_end`` 2 us and
50 us; ``stuff`` and ``unstuff`` 3 us for 4 KB, and nothing for what follows the last dot (base64 has none).
Three ``bytes.count`` were tried first for ``find_fault`` and cost three times as much: the newline decoder of
``io`` looks at each byte once.

Deliberately not here: repair. A fault is refused; content is never rewritten.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from io import IncrementalNewlineDecoder

_CLOSING = b"\r\n.\r\n"
_CLOSING_AT_LINE_START = b".\r\n"


def stuff(content: bytes) -> bytes:
    """Wire form of ``content``, without the terminator: a dot more where a line begins with one."""
    last_dot = content.rfind(b".")
    if last_dot < 0:
        return content
    if content.find(b"\r\n.", 0, last_dot + 1) >= 0:
        content = content.replace(b"\r\n.", b"\r\n..")
    return b"." + content if content.startswith(b".") else content


def unstuff(wire: bytes) -> bytes:
    """The content in ``wire`` (terminator already taken off): the first dot of a line is dropped."""
    last_dot = wire.rfind(b".")
    if last_dot < 0:
        return wire
    if wire.startswith(b"."):
        wire = wire[1:]
    if wire.find(b"\r\n.", 0, last_dot + 1) >= 0:
        wire = wire.replace(b"\r\n.", b"\r\n")
    return wire


def closing(content: bytes) -> bytes:
    """The terminator that ``content`` needs on the wire: it adds a CRLF if the last line has none."""
    return _CLOSING_AT_LINE_START if not content or content.endswith(b"\r\n") else _CLOSING


def wire(content: bytes) -> bytes:
    """All that is sent after a 354: stuffed content and terminator."""
    return stuff(content) + closing(content)


def find_end(buffer: bytes | bytearray, searched: int = 0) -> int:
    """Where the data ends: the position just behind the terminator, or -1 if it has not come yet.

    ``buffer`` begins with the first byte of the data; its first ``searched`` bytes were searched before, so
    that a message that arrives in pieces is searched once. The stuffed content is ``buffer[:end - 3]``.
    """
    if searched <= len(_CLOSING_AT_LINE_START) and buffer.startswith(_CLOSING_AT_LINE_START):
        return len(_CLOSING_AT_LINE_START)
    at = buffer.find(_CLOSING, max(0, searched - len(_CLOSING) + 1))
    return -1 if at < 0 else at + len(_CLOSING)


def take(buffer: bytearray, end: int) -> bytes:
    """Remove the data that ``find_end`` found from the front of ``buffer``; return its content."""
    with memoryview(buffer) as view:
        found = bytes(view[: end - len(_CLOSING_AT_LINE_START)])
    del buffer[:end]
    return unstuff(found)


class Stuffer:
    """Dot-stuffing of content that comes in chunks, cut anywhere (a large message read from its file)."""

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = b"\r\n"  # the start of the data is the start of a line

    def feed(self, chunk: bytes) -> bytes:
        """Wire form of the next chunk."""
        if not chunk:
            return b""
        tail = self._tail
        joined = tail + chunk
        self._tail = joined[-2:]
        return joined.replace(b"\r\n.", b"\r\n..")[len(tail) :]

    def finish(self) -> bytes:
        """The terminator."""
        return _CLOSING_AT_LINE_START if self._tail == b"\r\n" else _CLOSING


class FaultKind(StrEnum):
    """Bytes that no content may have; the values can be shown to a client."""

    BARE_CR = "bare <CR>"  # RFC 5321 2.3.8
    BARE_LF = "bare <LF>"  # RFC 5321 2.3.8
    NUL = "NUL byte"  # RFC 5322 4: obsolete; receivers cut or refuse it


@dataclass(frozen=True, slots=True)
class Fault:
    """The first forbidden byte of some content and where it is."""

    kind: FaultKind
    offset: int


def find_fault(content: bytes) -> Fault | None:
    """The first bare CR, bare LF or NUL, or None for content that is clean."""
    line_ends = IncrementalNewlineDecoder(None, False)
    line_ends.decode(str(content, "latin-1"), True)
    if line_ends.newlines in (None, "\r\n") and b"\0" not in content:
        return None
    return _first_fault(content)


def _first_fault(content: bytes) -> Fault | None:
    """Find the fault's place, slowly: only content that will be refused comes here."""
    faults: list[Fault] = []
    nul = content.find(b"\0")
    if nul >= 0:
        faults.append(Fault(FaultKind.NUL, nul))
    at = content.find(b"\n")
    while at >= 0:
        if at == 0 or content[at - 1] != 0x0D:
            faults.append(Fault(FaultKind.BARE_LF, at))
            break
        at = content.find(b"\n", at + 1)
    at = content.find(b"\r")
    while at >= 0:
        if content[at + 1 : at + 2] != b"\n":
            faults.append(Fault(FaultKind.BARE_CR, at))
            break
        at = content.find(b"\r", at + 1)
    return min(faults, key=lambda fault: fault.offset, default=None)


def has_8bit(content: bytes) -> bool:
    """Whether the content needs 8BITMIME (RFC 6152)."""
    return not content.isascii()
