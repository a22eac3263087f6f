"""The header of a message as its sender wrote it, in the JSON of notifications (notification-contents.md).

Contract, pure: ``sent_header`` returns the members ``headers``, ``headersTruncated`` and
``commonHeaders`` of SES's ``mail`` object as text, without braces, to be put into the detail of a Send event.
Every field is there under the name and in the order in which it came, control fields (X-SES-*) and Bcc
included, since the one who is told is the one who wrote them; a value is on one line, with encoded words
(RFC 2047) read. A header of 10 KB or more is cut behind the last field that fits. ``commonHeaders`` has one
text for each field of addresses, as the guide's examples have it: names without quotes where they need none.
It has a budget of 10 KB of its own, so that From is there in any case. What cannot be read is told as it
stands. Never raises for a header that ``Header.parse`` takes.

Cost, measured, and paid only for mail of identities that tell someone: 60 microseconds for 8 fields with four
that are common; up to 30 ms for 10 KB of hostile junk. The text is ASCII.
"""

from __future__ import annotations

import json
from email.header import decode_header, make_header
from email.utils import getaddresses

from relay.codec.headers import Header, unfold, value_of

LIMIT_BYTES = 10 * 1024
_MAX_DECODED_BYTES = 4096  # the parser of encoded words takes quadratic time
_MAX_PARSED = 2000  # characters of addresses; more are told as they stand
_ADDRESSES = {b"from": "from", b"reply-to": "replyTo", b"to": "to", b"cc": "cc", b"bcc": "bcc"}
_TEXTS = {
    b"sender": "sender",
    b"return-path": "returnPath",
    b"date": "date",
    b"message-id": "messageId",
    b"subject": "subject",
}
_SPECIALS = set('()<>[]:;@\\,."')

_text = json.JSONEncoder(separators=(",", ":")).encode


def sent_header(content: bytes) -> str:
    """The members that tell of the header of ``content``, such as ``"headers":[...],...``."""
    header = Header.parse(content)
    listed: list[dict[str, str]] = []
    common: dict[str, str | list[str]] = {}
    is_cut = sum([len(raw) for _, raw in header.fields]) >= LIMIT_BYTES
    left = common_left = LIMIT_BYTES
    for name, raw in header.fields:
        left -= len(raw)
        is_common = name in _ADDRESSES or name in _TEXTS
        if left <= 0 and not is_common:
            continue
        text = _decoded(raw)
        if left > 0:
            listed.append({"name": raw[: raw.index(b":")].rstrip(b" \t").decode("ascii"), "value": text})
        if is_common and len(raw) <= common_left:
            common_left -= len(raw)
            if name in _TEXTS:
                common.setdefault(_TEXTS[name], text)
            else:
                values = common.setdefault(_ADDRESSES[name], [])
                assert isinstance(values, list)
                values.append(_addresses(raw, text))
    members = {"headersTruncated": is_cut, "headers": listed, "commonHeaders": common}
    return _text(members)[1:-1]


def _decoded(raw: bytes) -> str:
    """A field's value on one line, with its encoded words read."""
    value = unfold(value_of(raw))
    text = value.decode("utf-8", "replace")
    return _words(text) if b"=?" in value and len(value) <= _MAX_DECODED_BYTES else text


def _words(text: str) -> str:
    try:
        words = str(make_header(decode_header(text)))
        return words.encode(errors="replace").decode()  # some charsets let half a surrogate pair through
    except Exception:  # the parser of email fails on some junk with whatever comes
        return text


def _addresses(raw: bytes, decoded: str) -> str:
    """The addresses of a field with their names, as the guide's examples write them."""
    value = unfold(value_of(raw))
    text = value.decode("utf-8", "replace")
    if len(text) > _MAX_PARSED:
        return decoded
    try:
        # taken apart before the encoded words are read, which may hold commas
        found = getaddresses([text])
    except (RecursionError, ValueError):
        return decoded
    if not found or not all(address for _, address in found):
        return decoded
    return ", ".join([_named(_words(name) if "=?" in name else name, address) for name, address in found])


def _named(name: str, address: str) -> str:
    if not name:
        return address
    if _SPECIALS.isdisjoint(name):
        return f"{name} <{address}>"
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}" <{address}>'
