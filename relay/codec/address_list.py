"""Is the value of To, Cc, Bcc or Reply-To a list of addresses (RFC 5322 3.4, and what is common)?

Contract: ``find_fault`` says in a few words what is wrong, "" for nothing. It refuses what has no meaning
(an address without a domain, quotes or angle brackets that do not pair) and is lenient about everything
else: empty elements, groups, comments, routes, UTF-8, dots in names. Never raises.

Cost, measured: 5 us for an address with a comment, linear in hostile input. The caller asks
``headers.is_common_list`` first, which is faster and says yes to nearly all mail.

Deliberately not here: the addresses themselves (``relay.codec.headers.addresses``), and whether they exist.
"""

from __future__ import annotations

import re
from itertools import pairwise

NO_DOMAIN = "Missing final '@domain'"
NO_LOCAL_PART = "Missing local name before '@'"
QUOTES = "Quotes or brackets that do not pair"
WHITE_SPACE = "White space within an address"

# Without its closing quote it goes on to the end: to try each later quote as a beginning would be quadratic.
_QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*+("?)', re.DOTALL)
_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_LITERAL = re.compile(rb"\[[^\[\]]*+\]")
_COMMENT = re.compile(rb"\([^()]*+\)")
_ROUTE = re.compile(rb"<@[^<>:]*+:")
_GROUP_NAME = re.compile(rb"(?:(?<=[,;])|\A)[^,;<>@:]*+:")
_IN_BRACKETS = re.compile(rb"[^<>]*+<([^<>]*+)>\s*")
_COMMENTS_IN_COMMENTS = 5


def find_fault(value: bytes) -> str:
    """What is wrong with the list, in words for the client; "" if nothing is."""
    bare = _QUOTED.sub(lambda match: b"q" if match[1] else b'"', value)
    if b'"' in bare:
        return "" if b"(" in value else QUOTES  # a comment may have one quote
    bare = _ESCAPED.sub(b"x", bare)
    for _ in range(_COMMENTS_IN_COMMENTS):
        if b"(" not in bare:
            break
        bare = _COMMENT.sub(b" ", bare)
    bare = _ROUTE.sub(b"<", _LITERAL.sub(b"l", bare))
    bare = _GROUP_NAME.sub(b"", bare)
    for element in bare.replace(b";", b",").split(b","):
        if (stripped := element.strip()) and (fault := _fault_of(stripped)):
            return fault
    return ""


def _fault_of(element: bytes) -> str:
    match = _IN_BRACKETS.fullmatch(element)
    if match is not None:
        element = match.group(1).strip()
    elif b"<" in element or b">" in element:
        return QUOTES
    words = element.split()
    for before, after in pairwise(words):
        if before[-1:] not in b".@" and after[:1] not in b".@":
            return WHITE_SPACE if b"@" in element else NO_DOMAIN
    local_part, at, domain = b"".join(words).rpartition(b"@")
    if not at or not domain:
        return NO_DOMAIN
    if not local_part:
        return NO_LOCAL_PART
    return ""
