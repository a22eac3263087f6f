"""Listening sockets: bound once by the supervisor, one per address and worker, handed down by descriptor.

SO_REUSEPORT lets the kernel spread connections over the workers. The supervisor keeps the sockets open, so
that a worker that dies loses no connection that has not been accepted yet, and a restart needs no root.
"""

from __future__ import annotations

import socket

from relay.base.errors import ConfigError

BACKLOG = 1024


def bind(address: tuple[str, int], count: int, setting: str) -> list[socket.socket]:
    """``count`` listening sockets on one address; port 0 becomes one free port. Raises ConfigError."""
    host, port = address
    sockets: list[socket.socket] = []
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        if ":" not in host:
            family, _, _, _, resolved = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            host = str(resolved[0])
        for _ in range(count):
            one = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            sockets.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind((host, port))
            port = one.getsockname()[1]
            one.listen(BACKLOG)
            one.setblocking(False)
    except OSError as error:
        for one in sockets:
            one.close()
        hint = {
            13: "; ports below 1024 need root or CAP_NET_BIND_SERVICE",
            98: "; another program listens there (ss -ltnp shows which)",
            99: "; no interface has this address",
        }.get(error.errno or 0, "")
        raise ConfigError(f"{setting} {address[0]}:{address[1]}: {error.strerror or error}{hint}") from error
    return sockets
