"""Small things within reports: addresses, replies, status codes, dates, names of servers. Pure, never raises.

Contract: each function takes what a stranger wrote and gives the value, or "" or 0 where there is none. A
reply is a code of three digits where a server would put one, with its enhanced status code right behind it;
numbers that are part of addresses, versions or sizes are none. Text is cut to a length before any pattern
sees it, and no pattern can try the same text twice.
"""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

from relay.codec.xtext import decode_address

MAX_TEXT_CHARS = 4_000

_ADDRESS = re.compile(r"<?([^\s<>()\[\],;:\"]{1,128}@[^\s<>()\[\],;:\"@]{1,255})>?")
_QUOTED = re.compile(r'<?("(?:[^"\\\r\n]|\\.){0,128}"@[^\s<>()\[\],;:"@]{1,255})>?')
_LITERAL = re.compile(r"<?([^\s<>()\[\],;:\"]{1,128}@\[[0-9A-Za-z:.]{1,64}\])>?")
_STATUS = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?!\.?\d)")
# A reply with its enhanced code; Ironport and others put "#" between.
_REPLY = re.compile(r"(?<![\w.=-])([45]\d\d)(?:[ -]|: )#?([45]\.\d{1,3}\.\d{1,3})(?!\.?\d)")
# A code alone: at the beginning, after "said:", "...:" or as sendmail's transcript has it.
_CODE = re.compile(r"(?:\A\W{0,8}|[:;>\]]\s{0,8}|\bsaid |\n\s{0,8})([45]\d\d)(?=[\s#-]|:\s|\Z)")
_SUCCESS = re.compile(r"(2\d\d)(?:[ -](2\.\d{1,3}\.\d{1,3}))?(?=\s|\Z)")
# qmail writes "(#5.1.1)", Exchange "#5.1.1"; some put the status first: "5.1.1 - Bad destination".
_LONE_STATUS = re.compile(r"(?:\(#|#|\A\s{0,4})([245]\.\d{1,3}\.\d{1,3})(?!\.?\d)")
_XTEXT_CODE = re.compile(r"\+([0-9A-F]{2})")
_ANGLE_ID = re.compile(r"<[^<>\s]{1,500}>")


def typed(value: str) -> str:
    """What follows the type in ``rfc822; user@example.org`` or ``dns; mx.example.org``; else all of it."""
    kind, separator, rest = value.partition(";")
    return rest.strip() if separator and " " not in kind.strip() and "@" not in kind else value.strip()


def address_in(text: str) -> str:
    """The address that ``text`` is, or begins with; with or without angle brackets, "" if it is none."""
    text = text.strip()[:600]
    for pattern in (_ADDRESS, _LITERAL, _QUOTED):
        if match := pattern.match(text):
            return match[1].rstrip(".,")
    return ""


def address_of(value: str) -> str:
    """The address in Final-Recipient or Original-Recipient; xtext and the forms of RFC 6533 undone."""
    raw = typed(value)
    plain = raw.strip("<>").strip()
    if "\\x{" in plain or _is_xtext(plain):
        kind = "utf-8" if "\\x{" in plain or value.lower().lstrip().startswith("utf-8") else "rfc822"
        try:
            decoded = decode_address(f"{kind};{plain}").partition(";")[2]
        except ValueError:
            decoded = plain
        if address_in(decoded) == decoded:  # "user+20x" may just be an address
            return decoded
    return address_in(raw)


def _is_xtext(text: str) -> bool:
    """Whether the codes in ``text`` are such as xtext needs (RFC 3461 4): for "+", "=" and what is not
    printed. Others are labels: who writes "user+41@" does not mean "userA@"."""
    codes = _XTEXT_CODE.findall(text)
    return bool(codes) and all(code in ("2B", "3D") or not 0x21 <= int(code, 16) <= 0x7E for code in codes)


def status_in(value: str) -> str:
    """The code in a Status field, a comment after it or not."""
    match = _STATUS.match(value.strip())
    return match[1] if match else ""


def reply_in(text: str) -> tuple[int, str]:
    """The code and the enhanced status code of the reply that ``text`` quotes; 0 and "" where none is."""
    text = text[:MAX_TEXT_CHARS]
    if match := _SUCCESS.match(text):  # only where a report is of success; in a bounce, what others took
        return int(match[1]), match[2] or ""
    if match := _REPLY.search(" ".join(text.split())):
        code, status = int(match[1]), match[2]
        if match[1][0] == status[0]:
            return code, status
    found = _CODE.search(text)
    lone = _LONE_STATUS.search(text)
    return int(found[1]) if found else 0, lone[1] if lone else ""


def date_in(value: str) -> float:
    """Seconds since the epoch; 0 if ``value`` is no date."""
    try:
        return max(parsedate_to_datetime(value[:100]).timestamp(), 0.0)
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
        return 0.0


def message_id_in(value: str) -> str:
    """The first message id in ``value``, with its angle brackets; a bare one gets them."""
    value = value[:2_000].strip()
    if match := _ANGLE_ID.search(value):
        return match[0]
    first = value.split(None, 1)[0] if value else ""
    return f"<{first}>" if "@" in first and "<" not in first and ">" not in first else ""


def host_in(value: str) -> str:
    """The name in Reporting-MTA or Remote-MTA, without its type and what is said about it."""
    words = typed(value).split(None, 1)
    return words[0].rstrip(".")[:255] if words else ""
