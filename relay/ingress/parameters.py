"""The parameters of MAIL and RCPT: pure parsing, one function each.

MAIL: SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), RET and ENVID (RFC 3461), AUTH (RFC 4954,
accepted and ignored). RCPT: NOTIFY and ORCPT (RFC 3461). BODY=BINARYMIME is not offered and not taken.

Contract: a fault is raised as ``Refusal`` with the reply's two wire forms; nothing else is raised. A keyword
that appears twice is a fault, since taking either one would be a guess. xtext is decoded here once; control
characters that it hides are refused, so that no stored value can break a header line later.

Cost on the hot path: nothing without parameters, about a microsecond for each.
"""

from __future__ import annotations

import re

from relay.base.message import Envelope
from relay.ingress import replies
from relay.ingress.replies import Pair

_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_UTF8_XTEXT = re.compile(r"(?:[!-*,-<>-~\x80-\U0010ffff]|\+[0-9A-F]{2}|\\x\{[0-9A-F]{2,6}\})*")
_HEX = re.compile(r"\+([0-9A-F]{2})")
_UNICODE = re.compile(r"\\x\{([0-9A-F]{2,6})\}")
_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9-]{1,64}")
_MAX_ENVID = 100  # RFC 3461 4.4
_MAX_ORCPT = 500  # RFC 3461 4.2
_NOTIFY = ("SUCCESS", "FAILURE", "DELAY")


class Refusal(Exception):
    """What the client is told instead; ``pair`` is its wire forms."""

    def __init__(self, pair: Pair) -> None:
        super().__init__(pair[1])
        self.pair = pair


def decode_xtext(text: str) -> str:
    """xtext (RFC 3461 4) as text. Raises ValueError if it is none, or hides control characters."""
    if not _XTEXT.fullmatch(text):
        raise ValueError("not xtext")
    decoded = _HEX.sub(lambda match: chr(int(match[1], 16)), text) if "+" in text else text
    if not (decoded.isascii() and decoded.isprintable()):
        raise ValueError("xtext hides a control or 8-bit character")
    return decoded


def decode_orcpt(value: str) -> str:
    """``rfc822;xtext`` or ``utf-8;...`` (RFC 3461 4.2, RFC 6533 3) decoded. Raises ValueError."""
    kind, separator, text = value.partition(";")
    if not separator or not text or not _ADDRESS_TYPE.fullmatch(kind):
        raise ValueError("ORCPT without an address type")
    if kind.lower() != "utf-8":
        return f"{kind};{decode_xtext(text)}"
    if not _UTF8_XTEXT.fullmatch(text):
        raise ValueError("not utf-8-addr-xtext")
    decoded = _UNICODE.sub(lambda match: chr(int(match[1], 16)), text)  # beyond U+10FFFF: ValueError
    decoded = _HEX.sub(lambda match: chr(int(match[1], 16)), decoded)
    if not decoded.isprintable():
        raise ValueError("ORCPT hides a control character")
    return f"{kind};{decoded}"


def _split(rest: str) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for word in rest.split():
        keyword, equals, value = word.partition("=")
        keyword = keyword.upper()
        if keyword in found or (equals and not value):
            raise Refusal(replies.BAD_PARAMETER)
        found[keyword] = value if equals else None
    return found


def read_mail(rest: str, envelope: Envelope, max_message_bytes: int) -> None:
    """Put the parameters of MAIL into the envelope. Raises Refusal."""
    for keyword, value in _split(rest).items():
        if keyword == "SIZE":
            if value is None or len(value) > 20 or not (value.isascii() and value.isdigit()):
                raise Refusal(replies.BAD_PARAMETER)
            envelope.size_bytes = int(value)
            if envelope.size_bytes > max_message_bytes:
                raise Refusal(replies.TOO_LONG_MESSAGE)
        elif keyword == "BODY":
            kind = (value or "").upper()
            if kind not in ("7BIT", "8BITMIME"):
                raise Refusal(replies.BAD_PARAMETER)
            envelope.is_8bit = kind == "8BITMIME"
        elif keyword == "SMTPUTF8":
            if value is not None:
                raise Refusal(replies.BAD_PARAMETER)
            envelope.is_utf8 = True
        elif keyword == "RET":
            envelope.ret = (value or "").upper()
            if envelope.ret not in ("FULL", "HDRS"):
                raise Refusal(replies.BAD_PARAMETER)
        elif keyword == "ENVID":
            envelope.envid = _decoded(value, _MAX_ENVID)
        elif keyword == "AUTH":
            _decoded(value, _MAX_ORCPT)
        else:
            raise Refusal(replies.UNKNOWN_PARAMETER)


def read_rcpt(rest: str) -> tuple[str, str]:
    """NOTIFY and ORCPT of RCPT, empty where absent. Raises Refusal."""
    notify = orcpt = ""
    for keyword, value in _split(rest).items():
        if keyword == "NOTIFY":
            notify = (value or "").upper()
            words = notify.split(",")
            if notify != "NEVER" and (
                any(word not in _NOTIFY for word in words) or len(set(words)) != len(words)
            ):
                raise Refusal(replies.BAD_PARAMETER)
        elif keyword == "ORCPT":
            try:
                if value is None or len(value) > _MAX_ORCPT:
                    raise ValueError("absent or too long")
                orcpt = decode_orcpt(value)
            except ValueError:
                raise Refusal(replies.BAD_PARAMETER) from None
        else:
            raise Refusal(replies.UNKNOWN_PARAMETER)
    return notify, orcpt


def _decoded(value: str | None, limit: int) -> str:
    try:
        if value is None or len(value) > limit:
            raise ValueError("absent or too long")
        return decode_xtext(value)
    except ValueError:
        raise Refusal(replies.BAD_PARAMETER) from None
