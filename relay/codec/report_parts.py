"""A mail that came back, taken apart: header, texts, reports, and what it returns of the original.

Contract: ``take_apart`` takes any bytes and never raises. CRLF, LF and CR as line ends give the same parts.
It forgives what real servers get wrong: an mbox line before the header, junk between fields, a missing last
boundary, a part without a header, an unknown charset. What is within a returned message stays its own: parts
are not looked for there, so a mail that carries somebody else's bounce has no reports of its own.

Bounded: the first MAX_BYTES count, and of each part MAX_PART_BYTES, of a report MAX_REPORT_BYTES; MAX_PARTS
parts, MAX_DEPTH levels and MAX_TRIES lines that look like boundaries. Every step
is linear in these bytes; there are no patterns that could try the same text twice.

Deliberately not here: file names, and limits on what may be sent (``mime``: refuses what this forgives).
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field
from html import unescape

MAX_BYTES = 1024 * 1024
MAX_PART_BYTES = 64 * 1024
MAX_REPORT_BYTES = 512 * 1024  # some two thousand recipients
MAX_PARTS = 100
MAX_DEPTH = 8
MAX_TRIES = 5_000
_MAX_HEADER_CHARS = 64 * 1024
_MAX_FIELDS = 1_000
_MAX_VALUE_CHARS = 8 * 1024

_NAME = re.compile(r"[!-9;-~]{1,80}")
_BOUNDARY = re.compile(r'boundary\s{0,10}=\s{0,10}(?:"([^"]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE)
_BREAK = re.compile(r"<(?:br|/?p|/?div|/?tr|/?li|/?h\d)\b[^<>]{0,500}>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-z!][^<>@]{0,2000}>", re.IGNORECASE)
_REPORTS = (
    "message/delivery-status",
    "message/global-delivery-status",
    "message/feedback-report",
    "message/disposition-notification",
    "message/global-disposition-notification",
)
_RETURNED = ("message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers")


@dataclass(slots=True)
class Fields:
    """Header fields: names in lower case, values unfolded, in order."""

    pairs: list[tuple[str, str]] = field(default_factory=list)

    def first(self, name: str) -> str:
        """The value of the first field called ``name`` (lower case); "" if there is none."""
        return next((value for key, value in self.pairs if key == name), "")

    def all(self, name: str) -> list[str]:
        """The values of all fields called ``name`` (lower case)."""
        return [value for key, value in self.pairs if key == name]


@dataclass(slots=True)
class Parts:
    """A mail, taken apart. ``reports`` are (media type, text); ``texts`` is what is written for people."""

    header: Fields
    media_type: str = "text/plain"
    texts: list[str] = field(default_factory=list)
    reports: list[tuple[str, str]] = field(default_factory=list)
    returned: Fields | None = None

    def report(self, *media_types: str) -> str:
        """The text of the first report of these types; "" if there is none."""
        return next((text for kind, text in self.reports if kind in media_types), "")


def take_apart(content: bytes) -> Parts:
    """The parts of a mail."""
    # Twice as much as is looked at: a CRLF is two bytes before, and one after.
    lines = content[: 2 * MAX_BYTES].replace(b"\r\n", b"\n").replace(b"\r", b"\n")[:MAX_BYTES]
    lines = lines.lstrip(b"\n")
    header, start = read_fields(lines, 0, len(lines))
    parts = Parts(header, media_type_of(header))
    _Walk(lines, parts).entity(header, start, len(lines), 0)
    return parts


def read_fields(lines: bytes, start: int, end: int) -> tuple[Fields, int]:
    """The fields from ``start`` on, and where the body after them begins."""
    blank = start if lines.startswith(b"\n", start) else lines.find(b"\n\n", start, end)
    if blank < 0:
        head, body = lines[start:end], end
    elif blank == start:
        head, body = b"", start + 1
    else:
        head, body = lines[start:blank], blank + 2
    return fields_of(as_text(head[:_MAX_HEADER_CHARS])), body


def fields_of(head: str) -> Fields:
    """The fields in a block of lines; what is no field is passed over."""
    pairs: list[tuple[str, list[str]]] = []
    for line in head.split("\n"):
        if line.startswith((" ", "\t")):
            if pairs:
                pairs[-1][1].append(line.strip())
            continue
        name, colon, value = line.partition(":")
        name = name.rstrip()
        if colon and _NAME.fullmatch(name) and len(pairs) < _MAX_FIELDS:
            pairs.append((name.lower(), [value.strip()]))
    return Fields([(name, " ".join(lines).strip()[:_MAX_VALUE_CHARS]) for name, lines in pairs])


def media_type_of(header: Fields) -> str:
    """The media type that a header names, in lower case."""
    named = header.first("content-type").partition(";")[0].strip().lower()
    return named if "/" in named else "text/plain"


def as_text(octets: bytes) -> str:
    """Bytes as text: UTF-8 if they are, else each byte a character; NUL and the like are gone."""
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        text = octets.decode("latin-1")
    return text.replace("\x00", "")


class _Walk:
    """Goes through the entities of one mail and sorts what it finds into ``parts``."""

    __slots__ = ("_left", "_lines", "_parts", "_tries")

    def __init__(self, lines: bytes, parts: Parts) -> None:
        self._lines = lines
        self._parts = parts
        self._left = MAX_PARTS
        self._tries = MAX_TRIES

    def entity(self, header: Fields, start: int, end: int, depth: int) -> None:
        media_type = media_type_of(header)
        if media_type.startswith("multipart/") and depth < MAX_DEPTH:
            boundary = _BOUNDARY.search(header.first("content-type"))
            found = self._split((boundary[1] or boundary[2]).rstrip(), start, end) if boundary else []
            for part_start, part_end in found:
                if self._left <= 0:
                    return
                self._left -= 1
                part_header, body = self._head(part_start, part_end)
                self.entity(part_header, body, part_end, depth + 1)
            if found:
                return
        self._leaf(header, media_type, start, end)

    def _head(self, start: int, end: int) -> tuple[Fields, int]:
        """The header of a part. One that begins with text has none, whatever RFC 2046 asks for."""
        first = self._lines[start : min(end, start + 100)].partition(b"\n")[0]
        if b":" not in first and first.strip():
            return Fields(), start
        header, body = read_fields(self._lines, start, end)
        return header, min(body, end)

    def _leaf(self, header: Fields, media_type: str, start: int, end: int) -> None:
        room = MAX_REPORT_BYTES if media_type in _REPORTS else MAX_PART_BYTES
        octets = self._lines[start : min(end, start + room)]
        text = as_text(_decoded(octets, header.first("content-transfer-encoding").strip().lower()))
        if media_type in _REPORTS:
            self._parts.reports.append((media_type, text))
        elif media_type in _RETURNED:
            if self._parts.returned is None:
                self._parts.returned = fields_of(text.lstrip("\n").partition("\n\n")[0])
        elif media_type.startswith(("text/plain", "multipart/")):
            self._parts.texts.append(text)
        elif media_type.startswith("text/") and not self._parts.texts:
            self._parts.texts.append(_without_tags(text) if _TAG.search(text[:2_000]) else text)

    def _split(self, boundary: str, start: int, end: int) -> list[tuple[int, int]]:
        """Where the parts between the boundaries begin and end."""
        lines = self._lines
        delimiter = b"--" + boundary.encode("utf-8", "replace")
        found: list[tuple[int, int]] = []
        part_start = -1
        at = start if lines.startswith(delimiter, start) else lines.find(b"\n" + delimiter, start - 1, end)
        while at >= 0 and self._tries > 0:
            self._tries -= 1
            after = lines.index(delimiter, at) + len(delimiter)
            line_end = lines.find(b"\n", after, end)
            if line_end < 0:
                line_end = end
            rest = lines[after : min(line_end, after + 100)].strip()
            if rest in (b"", b"--"):
                if part_start >= 0:
                    found.append((part_start, max(at, part_start)))
                part_start = min(line_end + 1, end)
                if rest or len(found) > MAX_PARTS:
                    return found
            at = lines.find(b"\n" + delimiter, line_end, end)
        if part_start >= 0:
            found.append((part_start, end))
        return found


def _without_tags(markup: str) -> str:
    """HTML as lines of text, as far as bounces need it."""
    lines = _BREAK.sub("\n", " ".join(markup.split()))
    return "\n".join(line.strip() for line in unescape(_TAG.sub("", lines)).replace("\xa0", " ").split("\n"))


def _decoded(octets: bytes, encoding: str) -> bytes:
    """A body without its transfer encoding, as far as it can be read."""
    if encoding == "base64":
        packed = octets.translate(None, b" \t\n")  # cut at a bound, it may end within a group of four
        try:
            octets = binascii.a2b_base64(packed[: len(packed) - len(packed) % 4])
        except ValueError:
            return octets
    elif encoding == "quoted-printable":
        octets = binascii.a2b_qp(octets)
    else:
        return octets
    return octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
