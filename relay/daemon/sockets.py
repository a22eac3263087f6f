"""Listening sockets of our own: bound once by the supervisor, one per address and worker, handed down by
descriptor.

SO_REUSEPORT lets the kernel spread connections over the workers. The supervisor keeps the sockets open, so
that a worker that dies loses no connection that has not been accepted yet, and a restart needs no root. They
are bound while we are root and listen only once the spool is ours: a second relay that is started by mistake
takes no connection from the first.

Not here: sockets from systemd (``activation``).
"""

from __future__ import annotations

import errno
import socket

from relay.base.endpoint import format_endpoint
from relay.base.errors import ConfigError, RelayError, StartError

BACKLOG = 4096  # the kernel takes the lesser of this and net.core.somaxconn

_HINTS = {
    errno.EACCES: "ports below 1024 need root or CAP_NET_BIND_SERVICE",
    errno.EADDRINUSE: "another program listens there (ss -ltnp shows which)",
    errno.EADDRNOTAVAIL: "no interface has this address",
}
_MAY_PASS = (errno.EADDRINUSE, errno.EADDRNOTAVAIL)  # a predecessor that ends, an interface that comes up


def bind(address: tuple[str, int], count: int, setting: str) -> list[socket.socket]:
    """``count`` bound sockets on one address, not listening yet; port 0 becomes one free port.

    Raises ConfigError, or StartError for what may pass by itself.
    """
    host, port = address
    sockets: list[socket.socket] = []
    try:
        family, host = resolve(host, port)
        with _opened(family) as probe:  # SO_REUSEPORT alone would let us share the port with another program
            probe.bind((host, port))
        for _ in range(count):
            one = _opened(family)
            sockets.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            one.bind((host, port))
            port = one.getsockname()[1]
    except (OSError, UnicodeError) as error:
        for one in sockets:
            one.close()
        number = error.errno if isinstance(error, OSError) else None
        hint = f"; {_HINTS[number]}" if number in _HINTS else ""
        kind: type[RelayError] = StartError if number in _MAY_PASS else ConfigError
        reason = (error.strerror if isinstance(error, OSError) else "") or error
        raise kind(f"{setting} {format_endpoint(*address)}: {reason}{hint}") from error
    return sockets


def listen(sockets: list[socket.socket]) -> None:
    """Take connections from now on; they wait for a worker to accept them."""
    for one in sockets:
        one.listen(BACKLOG)
        one.setblocking(False)


def resolve(host: str, port: int) -> tuple[socket.AddressFamily, str]:
    """The address of a host to listen on. Raises OSError or UnicodeError."""
    if ":" in host:
        return socket.AF_INET6, host
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, resolved = found[0]
    return family, str(resolved[0])


def _opened(family: socket.AddressFamily) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return one
