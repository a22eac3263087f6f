"""Questions to a DNS server and its answers, bytes <-> words, as far as mail needs them (RFC 1035, 6891).

Contract, pure. ``question_of`` writes one question with EDNS. ``read`` returns what the server said to
exactly this question, CNAMEs followed within the answer, or raises ValueError: it is damaged, or an answer
to something else (another id, another name; the caller waits on, it may be forged). Nothing in a message is
trusted: lengths are checked, a compressed name points backwards only, a name has 255 bytes at most.

Names come in lower case without the last dot, bytes that a name does not usually have escaped as in zone
files. Records of other types than the question's are passed over unread.

Cost: 4 microseconds for a question, 14 for an answer with one record, where dnspython takes 120 to read it;
a relay that has new mail for ten thousand domains asks forty thousand questions.

Not here: when to ask whom (``transport.dns_exchange``), what is made of records (``transport.resolve``).
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from typing import TypeAlias

KINDS = {"A": 1, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "TLSA": 52}
NOERROR, NXDOMAIN = 0, 3
RCODES = {1: "FORMERR", 2: "SERVFAIL", 4: "NOTIMP", 5: "REFUSED"}
_CNAME, _SOA, _OPT, _IN = 5, 6, 41, 1
_RESPONSE, _TRUNCATED, _DESIRED, _AUTHENTIC, _OPCODE = 0x8000, 0x0200, 0x0100, 0x0020, 0x7800
_HEAD, _FIXED, _TWO = struct.Struct(">HHHHHH"), struct.Struct(">HHIH"), struct.Struct(">HH")
_MOST_ALIASES = 16
_ESCAPED = frozenset(b'"().;\\@$')

Record: TypeAlias = str | bytes | tuple[int, str] | tuple[int, int, int, bytes]
"""A, AAAA: address; CNAME, PTR: name; TXT: bytes; MX: (preference, name); TLSA: its four fields."""


@dataclass(frozen=True, slots=True)
class DnsReply:
    """What a server said."""

    rcode: int
    records: tuple[Record, ...] = ()
    ttl_s: int = 0  # the shortest of the records and the aliases, or for how long there is nothing
    canonical: str = ""  # the name that holds the records, aliases followed
    is_truncated: bool = False
    is_authentic: bool = False


def name_of(text: str) -> bytes:
    """A name on the wire, from plain ASCII in lower case without the last dot. Raises ValueError: none can
    have it."""
    if not text:
        return b"\0"
    labels = text.encode("ascii").split(b".")
    wire = b"".join(bytes((len(label),)) + label for label in labels if len(label) < 64) + b"\0"
    if not all(labels):
        raise ValueError("a label is empty")
    if len(wire) < len(text) + 2:
        raise ValueError("a label is longer than 63 bytes")
    if len(wire) > 255:
        raise ValueError("it is longer than 255 bytes")
    return wire


def question_of(id_: int, name: bytes, kind: int, payload: int, *, is_trusted: bool = False) -> bytes:
    """A query with one question, recursion desired; ``is_trusted`` asks for the AD bit (RFC 6840 5.7)."""
    flags = _DESIRED | (_AUTHENTIC if is_trusted else 0)
    opt = b"\0" + _FIXED.pack(_OPT, payload, 0, 0)
    return _HEAD.pack(id_, flags, 1, 0, 0, 1) + name + _TWO.pack(kind, _IN) + opt


def read(wire: bytes, query: bytes) -> DnsReply:
    """The reply to a query of ours. Raises ValueError."""
    try:
        return _read(wire, query)
    except (struct.error, IndexError) as fault:
        raise ValueError(f"the answer is damaged: {fault}") from None


def _read(wire: bytes, query: bytes) -> DnsReply:
    id_, flags, questions, answers, authorities, _ = _HEAD.unpack_from(wire)
    name, end = _name(query, 12)
    end += _TWO.size
    if id_ != int.from_bytes(query[:2]) or not flags & _RESPONSE or flags & _OPCODE:
        raise ValueError("not an answer to this question")
    rcode, is_truncated = flags & 15, bool(flags & _TRUNCATED)
    if questions == 0 and rcode not in (NOERROR, NXDOMAIN):
        return DnsReply(rcode)  # a server that could not read the question need not repeat it
    if questions != 1 or wire[12:end].lower() != query[12:end].lower():
        raise ValueError("an answer to another question")
    if is_truncated or rcode not in (NOERROR, NXDOMAIN):
        return DnsReply(rcode, is_truncated=is_truncated)
    kind, _ = _TWO.unpack_from(query, end - 4)
    found: dict[str, list[tuple[int, Record]]] = {}
    aliases: dict[str, tuple[int, str]] = {}
    at = end
    for _ in range(answers):
        owner, at = _name(wire, at)
        type_, class_, ttl, size = _FIXED.unpack_from(wire, at)
        at += _FIXED.size
        if at + size > len(wire):
            raise ValueError("a record is cut off")
        if class_ == _IN and type_ == kind:
            found.setdefault(owner, []).append((_ttl(ttl), _record(wire, at, size, kind)))
        elif class_ == _IN and type_ == _CNAME:
            aliases[owner] = _ttl(ttl), _name(wire, at)[0]
        at += size
    shortest: list[int] = []
    while name in aliases and name not in found:
        if len(shortest) == _MOST_ALIASES:
            raise ValueError("aliases without end")
        ttl, name = aliases[name]
        shortest.append(ttl)
    records = found.get(name, [])
    shortest += [ttl for ttl, _ in records] if records else _negative(wire, at, authorities)
    return DnsReply(
        rcode,
        tuple(record for _, record in records),
        min(shortest, default=0),
        name,
        is_authentic=bool(flags & _AUTHENTIC),
    )


def _negative(wire: bytes, at: int, authorities: int) -> list[int]:
    """How long nothing is to be believed: the SOA's TTL and its minimum (RFC 2308 5)."""
    for _ in range(authorities):
        _, at = _name(wire, at)
        type_, _, ttl, size = _FIXED.unpack_from(wire, at)
        at += _FIXED.size
        if type_ == _SOA:
            if size < 20 or at + size > len(wire):
                raise ValueError("an SOA is cut off")
            return [min(_ttl(ttl), int.from_bytes(wire[at + size - 4 : at + size]))]
        at += size
    return []


def _record(wire: bytes, at: int, size: int, kind: int) -> Record:
    end = at + size
    if kind in (KINDS["A"], KINDS["AAAA"]):
        return str(ipaddress.ip_address(wire[at:end]))  # ValueError for any other length
    if kind == KINDS["TLSA"]:
        if size < 3:
            raise ValueError("a TLSA record is cut off")
        return wire[at], wire[at + 1], wire[at + 2], wire[at + 3 : end]
    if kind == KINDS["TXT"]:
        strings = []
        while at < end:
            strings.append(wire[at + 1 : at + 1 + wire[at]])
            at += 1 + wire[at]
        if at != end or not strings:
            raise ValueError("a TXT record is cut off")
        return b"".join(strings)
    is_mx = kind == KINDS["MX"]
    name, after = _name(wire, at + 2 * is_mx)
    if after != end:
        raise ValueError("a record has another length than its name")
    return (int.from_bytes(wire[at : at + 2]), name) if is_mx else name


def _ttl(ttl: int) -> int:
    return ttl if ttl < 1 << 31 else 0  # RFC 2181 8


def _name(wire: bytes, at: int) -> tuple[str, int]:
    """The name at ``at`` and what follows it."""
    labels: list[str] = []
    after, least, total = 0, at, 1
    while size := wire[at]:
        if size >= 0xC0:
            target = (size & 0x3F) << 8 | wire[at + 1]
            if target >= least:
                raise ValueError("a name points forwards")
            after = after or at + 2
            at = least = target
            continue
        if size > 63:
            raise ValueError("a label of an unknown kind")
        total += 1 + size
        label = wire[at + 1 : at + 1 + size]
        if len(label) < size or total > 255:
            raise ValueError("a name is cut off, or too long")
        labels.append(_text(label))
        at += 1 + size
    return ".".join(labels), after or at + 1


def _text(label: bytes) -> str:
    text = label.lower()
    if text.replace(b"-", b"").replace(b"_", b"").isalnum():  # ASCII only, for bytes
        return text.decode("ascii")
    return "".join(
        f"\\{byte:c}" if byte in _ESCAPED else chr(byte) if 0x20 < byte < 0x7F else f"\\{byte:03d}"
        for byte in text
    )
