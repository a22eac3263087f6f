"""Host and port in one text: "mail.example.net:25", "192.0.2.1", "[2001:db8::1]:25".

Contract, pure: brackets come off, a missing port is the one that the caller names, everything else raises
ConfigError with an example. ``format_endpoint`` is the way back.
"""

from __future__ import annotations

import ipaddress

from relay.base.errors import ConfigError


def parse_endpoint(text: str, default_port: int) -> tuple[str, int]:
    """Host without brackets, in lower case, and port. Raises ConfigError."""
    text = text.strip()
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        colon, port = rest[:1], rest[1:]
        if not bracket or not _is_v6(host) or colon not in ("", ":") or (colon and not port):
            raise _fault(text)
    elif text.count(":") > 1:
        raise _fault(text)
    else:
        host, colon, port = text.partition(":")
        if colon and not port:
            raise _fault(text)
    if not host or any(c.isspace() for c in host):
        raise _fault(text)
    if not colon:
        return host.lower(), default_port
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise _fault(text)
    return host.lower(), int(port)


def format_endpoint(host: str, port: int) -> str:
    """One text for host and port."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_v6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def _fault(text: str) -> ConfigError:
    return ConfigError(f'"{text}" is not host:port, e.g. "mail.example.net:25" or "[2001:db8::1]:25"')
