"""The parameters of MAIL and RCPT: pure parsing, one function each.

MAIL: SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), RET and ENVID (RFC 3461), BY (RFC 2852),
REQUIRETLS (RFC 8689, on encrypted sessions), AUTH (RFC 4954, accepted and ignored). RCPT: NOTIFY and ORCPT
(RFC 3461). BODY=BINARYMIME is not offered and not taken. Of BY, the trace flag is read and has no effect.

Contract: a fault is raised as ``Refusal`` with the reply's two wire forms; nothing else is raised. A keyword
that appears twice is a fault, since taking either one would be a guess. xtext is decoded here once; control
characters that it hides are refused, so that no stored value can break a header line later.

Cost on the hot path: nothing without parameters, about a microsecond for each.
"""

from __future__ import annotations

import re

from relay.base.message import Envelope, TlsWish
from relay.codec.xtext import decode_address, decode_xtext
from relay.ingress import replies
from relay.ingress.replies import Pair

_BY = re.compile(r"([+-]?[0-9]{1,9});([NR])T?", re.IGNORECASE)
_MAX_ENVID = 100  # RFC 3461 4.4
_MAX_ORCPT = 500  # RFC 3461 4.2
_NOTIFY = ("SUCCESS", "FAILURE", "DELAY")


class Refusal(Exception):
    """What the client is told instead; ``pair`` is its wire forms."""

    def __init__(self, pair: Pair) -> None:
        super().__init__(pair[1])
        self.pair = pair


def _split(rest: str) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for word in rest.split():
        keyword, equals, value = word.partition("=")
        keyword = keyword.upper()
        if keyword in found or (equals and not value):
            raise Refusal(replies.BAD_PARAMETER)
        found[keyword] = value if equals else None
    return found


def read_mail(rest: str, envelope: Envelope, max_message_bytes: int, is_encrypted: bool = False) -> None:
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
        elif keyword == "BY":
            _read_by(value or "", envelope)
        elif keyword == "REQUIRETLS" and is_encrypted:  # RFC 8689 4.1: not known where it is not offered
            if value is not None:
                raise Refusal(replies.BAD_PARAMETER)
            envelope.tls = TlsWish.REQUIRED
        elif keyword == "AUTH":
            _decoded(value, _MAX_ORCPT)
        else:
            raise Refusal(replies.UNKNOWN_PARAMETER)


def _read_by(value: str, envelope: Envelope) -> None:
    """Mode R needs time to be left; mode N may come when the time has passed (RFC 2852)."""
    match = _BY.fullmatch(value)
    if match is None:
        raise Refusal(replies.BAD_PARAMETER)
    seconds = int(match[1])
    envelope.is_by_notify = match[2] in "Nn"
    if seconds <= 0 and not envelope.is_by_notify:
        raise Refusal(replies.NO_TIME_LEFT)
    envelope.deliver_within_s = float(seconds or -1)  # 0 means that nothing was asked for


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
                orcpt = decode_address(value)
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
