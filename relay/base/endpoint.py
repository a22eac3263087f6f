"""Host and port in one text: "mail.example.net:25", "192.0.2.1:25", "[2001:db8::1]:25".

Contract, pure: brackets come off, hosts are in lower case, a missing port is the one that the caller names,
everything else raises ConfigError with an example. ``format_endpoint`` is the way back.
"""

from __future__ import annotations

import ipaddress

from relay.base.errors import ConfigError


def parse_endpoint(text: str, default_port: int | None = None, *, least_port: int = 1) -> tuple[str, int]:
    """Host without brackets, and port.

    ``default_port`` None: a port must be given. ``least_port`` 0: "any free one" may be. Raises ConfigError.
    """
    text = text.strip()
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        colon, port = rest[:1], rest[1:]
        if not bracket or not _is_v6(host) or colon not in ("", ":"):
            raise _fault(text)
    elif text.count(":") > 1:
        raise _fault(text)
    else:
        host, colon, port = text.partition(":")
    if not host or any(c.isspace() for c in host):
        raise _fault(text)
    if not colon and default_port is not None:
        return host.lower(), default_port
    if not (port.isascii() and port.isdigit() and len(port) < 6 and least_port <= int(port) < 65536):
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
    return ConfigError(
        f'"{text}" is not host:port, e.g. "mail.example.net:25" or, an IPv6 address in brackets, "[::1]:25"'
    )
