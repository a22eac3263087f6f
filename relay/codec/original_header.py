"""The header of a message that a report is about, or that an automatic reply answers: as much as is quoted.

Contract, pure: ``header_of`` gives None for what is no header; all others then give what stands for nothing.
What they return has no line that is not the message's own, and nothing of it can end a field that it is put
into.
"""

from __future__ import annotations

import re

from relay.codec.headers import Header, HeaderFault, unfold
from relay.codec.report_words import one_line

_LIMIT_BYTES = 32 * 1024
_MAX_REFERENCES = 20
_ID = re.compile(r"<[!-;=?-~]{1,250}>")


def header_of(content: bytes) -> Header | None:
    """The header of a message, or of its beginning."""
    try:
        return Header.parse(content)
    except HeaderFault:
        return None


def excerpt(header: Header | None) -> bytes:
    """The header's bytes as they are returned: whole fields, up to a limit."""
    if header is None:
        return b""
    kept: list[bytes] = []
    room = _LIMIT_BYTES
    for _, raw in header.fields:
        room -= len(raw)
        if room < 0:
            break
        kept.append(raw)
    return b"".join(kept)


def as_seven_bits(quoted: bytes) -> bytes:
    """The same where no byte above 127 may stand: a question mark for each."""
    return quoted.decode("ascii", "replace").replace("\ufffd", "?").encode()


def text_of(header: Header | None, name: bytes) -> str:
    """A field's text on one line, as it stands; "" if there is none."""
    value = header.first(name) if header is not None else None
    return one_line(unfold(value or b"").decode("utf-8", "replace"))


def message_id_of(header: Header | None) -> str:
    """Message-ID with its angle brackets; "" if there is none that can be quoted."""
    text = text_of(header, b"message-id")
    return text if text.startswith("<") and text.endswith(">") and len(text) < 500 and text.isascii() else ""


def references_of(header: Header | None) -> list[str]:
    """The ids that an answer refers to (RFC 5322 3.6.4): those that the message does, and its own."""
    value = header.first(b"references") if header is not None else None
    before = _ID.findall((value or b"").decode("ascii", "replace"))
    own = message_id_of(header)
    return before[-_MAX_REFERENCES:] + ([own] if own else [])
