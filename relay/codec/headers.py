"""The header of a message, split once into fields (RFC 5322 2.2), and the addresses in a field.

Contract: a ``Header`` keeps every field's bytes as they came, folding and CRLF included, in order; joining
them gives the header back. Names are compared in lower case. A message without a blank line is all header; a
message that begins with one has no header. UTF-8 in values is kept (RFC 6532). What is not a field, and a
header beyond the bounds below, is a ``HeaderFault`` whose text may be shown to the client.

Cost on the hot path, measured: ``Header.parse`` of 4 KB with 12 fields 7 us, ``addresses`` of the common
forms 1 us; both linear in hostile input. Only what is rare in From (comments, groups, routes) goes to the
parser of ``email``, which takes some 100 us, and 17 ms for the worst that it is given here.

Deliberately not here: decoding for people, MIME, and which fields must exist or may not repeat (policy).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.errors import HeaderDefect, NonASCIILocalPartDefect, ObsoleteHeaderDefect
from email.policy import SMTPUTF8
from typing import TypeAlias

MAX_HEADER_BYTES = 256 * 1024  # some 2.5 times what Postfix keeps (header_size_limit)
MAX_FIELDS = 1000
_MAX_SLOW_BYTES = 512  # the slow parser takes up to 17 ms for this much junk, 90 ms for 2 KB, on the loop

Field: TypeAlias = tuple[bytes, bytes]
"""A field: its name in lower case, and all its bytes from the name to the CRLF."""

# Anchored to line starts: without, a long line that is no field would be tried from each of its bytes.
_FIELD = re.compile(rb"^(([!-9;-~]+)[ \t]*:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)", re.MULTILINE)
_WSP_AND_LINE_ENDS = b" \t\r\n"


class HeaderFault(ValueError):
    """The header is not one, or is beyond bounds; the text may be shown to the client."""


@dataclass(slots=True)
class Header:
    """The fields of a message in their order, and where its body begins in the content they came from."""

    fields: list[Field]
    body_offset: int

    @classmethod
    def parse(cls, content: bytes) -> Header:
        """Split the header off ``content`` (CRLF line ends).

        Raises HeaderFault for a line that is no field, or a header that is too long.
        """
        end = content.find(b"\r\n\r\n", 0, MAX_HEADER_BYTES + 4)
        if end >= 0 and not content.startswith(b"\r\n"):
            raw = content[: end + 2]
            body_offset = end + 4
        else:
            raw, body_offset = _without_blank_line(content)
        found = _FIELD.findall(raw)
        fields = [(name.lower(), field) for field, name in found]
        if len(fields) > MAX_FIELDS:
            raise HeaderFault(f"more than {MAX_FIELDS} header fields")
        good = sum([len(field) for _, field in fields])
        if good != len(raw):
            raise HeaderFault("header has a line that is not a field")
        return cls(fields, body_offset)

    def get_all(self, name: bytes) -> list[bytes]:
        """The values of the fields called ``name`` (lower case): folding kept, outer white space not."""
        return [value_of(raw) for key, raw in self.fields if key == name]

    def first(self, name: bytes) -> bytes | None:
        """The value of the topmost field called ``name`` (lower case), or None."""
        for key, raw in self.fields:
            if key == name:
                return value_of(raw)
        return None

    def remove(self, name: bytes) -> None:
        """Take all fields called ``name`` (lower case) out."""
        self.fields = [field for field in self.fields if field[0] != name]

    def to_bytes(self) -> bytes:
        """The header as bytes, without the blank line that ends it."""
        return b"".join([raw for _, raw in self.fields])


def _without_blank_line(content: bytes) -> tuple[bytes, int]:
    """Header bytes and body offset of content that has no header, or nothing else."""
    if content.startswith(b"\r\n"):
        return b"", 2
    if len(content) > MAX_HEADER_BYTES:
        raise HeaderFault(f"header longer than {MAX_HEADER_BYTES} bytes")
    offset = len(content)
    if content and not content.endswith(b"\r\n"):
        content += b"\r\n"  # only content that came by BDAT or from a file can lack it
    return content, offset


def value_of(raw: bytes) -> bytes:
    """The value in a field's bytes: folding kept, outer white space not."""
    return raw[raw.index(b":") + 1 :].strip(_WSP_AND_LINE_ENDS)


def unfold(value: bytes) -> bytes:
    """The value on one line (RFC 5322 2.2.3)."""
    return value.replace(b"\r\n", b"") if b"\r\n" in value else value


_ATOM = rb"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+"
_ADDR_SPEC = rb"(" + _ATOM + rb"(?:\." + _ATOM + rb")*@[a-zA-Z0-9_-]+(?:\.[a-zA-Z0-9_-]+)*)"
_QUOTED = rb"\"(?:[^\"\\\x00-\x08\x0b\x0c\x0e-\x1f]|\\[ -~])*\"[ \t\r\n]*"
# A display name without quotes: atoms, encoded words, bytes above 127; nothing that RFC 5322 reserves.
_PHRASE = rb"[^\"<>(),:;@\\\[\]\x00-\x08\x0b\x0c\x0e-\x1f]*"
_MAILBOX = rb"(?:" + _QUOTED + rb"|" + _PHRASE + rb")<" + _ADDR_SPEC + rb">|" + _ADDR_SPEC
_COMMON = re.compile(_MAILBOX)
# White space is taken whole (possessive): given back byte by byte, much of it would take quadratic time.
_LISTED = re.compile(rb"[ \t\r\n]*+(?:" + _MAILBOX + rb")[ \t\r\n]*+(,|\Z)")


def addresses(raw_value: bytes) -> list[str]:
    """The addresses in the value of From, Sender, To and the like, in order, groups flattened.

    Returns [] for what cannot be read as RFC 5322 without a doubt: who may send as whom hangs on it, so there
    is no guessing. Never raises.
    """
    value = raw_value.strip(_WSP_AND_LINE_ENDS)
    match = _COMMON.fullmatch(value)
    if match is not None:
        return [(match.group(1) or match.group(2)).decode("ascii")]
    listed = _common_list(value)
    if listed:
        return listed
    return _addresses_slowly(raw_value) if len(raw_value) <= _MAX_SLOW_BYTES else []


def is_common_list(raw_value: bytes) -> bool:
    """Whether the value is one address or a list of them, each in a common form; others may be good too."""
    value = raw_value.strip(_WSP_AND_LINE_ENDS)
    return _COMMON.fullmatch(value) is not None or bool(_common_list(value))


def _common_list(value: bytes) -> list[str]:
    """The addresses of a list, however long, each in a common form; [] if one of them is not."""
    found: list[str] = []
    at = 0
    while match := _LISTED.match(value, at):
        found.append((match.group(1) or match.group(2)).decode("ascii"))
        if not match.group(3):
            return found
        at = match.end()
    return []


def _addresses_slowly(raw_value: bytes) -> list[str]:
    try:
        text = unfold(raw_value).strip(_WSP_AND_LINE_ENDS).decode("utf-8")
        parsed = SMTPUTF8.header_factory("from", text)
        if any(_is_doubtful(defect) for defect in parsed.defects):
            return []
        found: list[str] = [address.addr_spec for address in parsed.addresses]
    except Exception:  # the parser of email fails on some junk with whatever comes
        return []
    return [] if any(not a.rpartition("@")[0] or a.endswith("@") for a in found) else found


def _is_doubtful(defect: HeaderDefect) -> bool:
    """Obsolete syntax and UTF-8 (RFC 6532) have one meaning; any other defect has none that is certain."""
    return not isinstance(defect, ObsoleteHeaderDefect | NonASCIILocalPartDefect)
