"""The PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt): who is behind the proxy. No I/O.

Contract: ``parse`` looks at the first bytes of a connection and says: a ``Proxied`` (with the header's exact
length), None while more bytes are needed, or ValueError. At most ``MAX_HEADER_BYTES`` are ever looked at.
An empty address means that the proxy speaks for itself (LOCAL, UNKNOWN): the connection's own counts.

aiosmtpd has a reader for this, but it reads through its StreamReader, ahead into the TLS handshake of a
wrapper listener; and it does not bound the length of version 2.

Whether the sender is a proxy that may say so is asked in ``relay.ingress.listeners``, before this.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
MAX_HEADER_BYTES = 4096
_MAX_V1_BYTES = 107
_FIXED_V2_BYTES = 16


@dataclass(frozen=True, slots=True)
class Proxied:
    """A header: its length in bytes, and the client's address and port (empty if the proxy's own)."""

    size_bytes: int
    address: str = ""
    port: int = 0


def parse(start: bytes) -> Proxied | None:
    """The header that ``start`` begins with; None if more is needed. Raises ValueError if there is none."""
    if start[:12] == SIGNATURE[: len(start)]:
        return _parse_v2(start)
    if start[:6] == b"PROXY "[: len(start)]:
        return _parse_v1(start)
    raise ValueError("no PROXY header")


def _parse_v1(start: bytes) -> Proxied | None:
    end = start.find(b"\r\n", 0, _MAX_V1_BYTES)
    if end < 0:
        if len(start) >= _MAX_V1_BYTES:
            raise ValueError("PROXY v1 header too long")
        return None
    words = start[:end].decode("latin-1").split(" ")
    size = end + 2
    if words[1] == "UNKNOWN":
        return Proxied(size)
    if len(words) != 6 or words[1] not in ("TCP4", "TCP6"):
        raise ValueError("PROXY v1 header malformed")
    kind = IPv4Address if words[1] == "TCP4" else IPv6Address
    source = kind(words[2])
    kind(words[3])
    ports = words[4:]
    for port in ports:
        if not (port.isascii() and port.isdigit()) or len(port) > 5 or int(port) > 65535:
            raise ValueError("PROXY v1 port malformed")
    return Proxied(size, str(source), int(ports[0]))


def _parse_v2(start: bytes) -> Proxied | None:
    if len(start) < _FIXED_V2_BYTES:
        return None
    version_command, family, length = struct.unpack_from("!BBH", start, 12)
    if version_command not in (0x20, 0x21):
        raise ValueError("PROXY v2 version or command unknown")
    size = _FIXED_V2_BYTES + length
    if size > MAX_HEADER_BYTES:
        raise ValueError("PROXY v2 header too long")
    if len(start) < size:
        return None
    if version_command == 0x20:  # LOCAL: a health check of the proxy's own
        return Proxied(size)
    if family == 0x11 and length >= 12:
        source, port = struct.unpack_from("!4s4xH", start, _FIXED_V2_BYTES)
        return Proxied(size, str(IPv4Address(source)), port)
    if family == 0x21 and length >= 36:
        source, port = struct.unpack_from("!16s16xH", start, _FIXED_V2_BYTES)
        return Proxied(size, str(IPv6Address(source)), port)
    if family == 0x00:
        return Proxied(size)
    raise ValueError("PROXY v2 family is not TCP over IPv4 or IPv6")
