"""Sockets that systemd hands over (LISTEN_FDS, sd_listen_fds(3)): whose each one is.

``inherited`` takes them from the environment; ``share_out`` decides, pure. A socket belongs to who listens at
the address that it is bound to: the administrator writes addresses in two files and nothing else. Several on
one address (ReusePort=yes) belong together. What matches no address goes by its name (FileDescriptorName=) to
the listener whose ``socket_name`` it is; such a listener's own addresses are not bound then. ``spread`` gives
each worker its part: of one socket all have a share and the kernel wakes whoever waits, of several each has
some of its own.

All workers accept from the one socket of an address, although several with SO_REUSEPORT would wake one worker
alone: connections that wait in a socket of which systemd holds no copy are reset when the relay ends, and how
many workers there are, a unit file cannot know. Measured with two workers and sessions of a greeting and a
QUIT: 64 clients at once are shared out 51 to 49, 8 clients 54 to 46 or 62 to 38; the CPU of a session is the
same as with sockets of their own. One client alone costs half as much again (235 to 290 instead of 165 µs),
since both wake for it.

Not here: FDSTORE, since the sockets are systemd's anyway, and sockets of another kind than TCP.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from relay.base.endpoint import format_endpoint
from relay.base.errors import ConfigError

_FIRST = 3  # SD_LISTEN_FDS_START
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Given:
    """A listening socket of systemd's, as it is bound."""

    address: tuple[str, int]
    name: str = ""
    is_dual: bool = False  # IPv6 that takes IPv4 clients as well


@dataclass(frozen=True, slots=True)
class Wanted:
    """An address that the configuration listens on. ``owner``: whose it is, equal for all of one listener."""

    setting: str
    address: tuple[str, int]
    owner: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class Shares:
    """Per wanted address the numbers of its sockets, None where it has to be bound; and what nobody wants."""

    of: list[list[int] | None]
    unwanted: list[int]


def inherited() -> tuple[list[tuple[Given, socket.socket]], list[str]]:
    """The sockets that were handed to this process, and in words what was handed over and cannot be used.

    The environment is cleared, and no child inherits one unless it is told to. Raises ConfigError."""
    pid, count, names = (os.environ.pop(name, "") for name in _VARIABLES)
    if not (count and pid == str(os.getpid())):
        return [], []
    if not count.isdigit():
        raise ConfigError(f"LISTEN_FDS={count!r} is not a number: set by systemd or its like, not by hand")
    named = names.split(":") if names else []
    found: list[tuple[Given, socket.socket]] = []
    useless: list[str] = []
    for place in range(int(count)):
        name = named[place] if place < len(named) else ""
        label = f"descriptor {_FIRST + place} ({name or 'no name'})"
        try:
            os.set_inheritable(_FIRST + place, False)
            one = socket.socket(fileno=_FIRST + place)
        except OSError as error:
            useless.append(f"{label}: {error.strerror}")
            continue
        if not _is_listening(one):
            useless.append(f"{label} is no listening TCP socket: use ListenStream=")
            one.close()
            continue
        one.setblocking(False)
        found.append((_given(one, name), one))
    return found, useless


def _is_listening(one: socket.socket) -> bool:
    return (
        one.family in (socket.AF_INET, socket.AF_INET6)
        and one.type == socket.SOCK_STREAM
        and one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
    )


def _given(one: socket.socket, name: str) -> Given:
    is_dual = one.family == socket.AF_INET6 and not one.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    host, port = one.getsockname()[:2]
    return Given((host, port), name, is_dual)


def share_out(given: Sequence[Given], wanted: Sequence[Wanted]) -> Shares:
    """Which sockets are whose. Raises ConfigError where one would be two listeners'."""
    owner_of: dict[int, int] = {}
    of: list[list[int] | None] = [_at(given, one.address) or None for one in wanted]
    for one, numbers in zip(wanted, of, strict=True):
        owner_of |= dict.fromkeys(numbers or (), one.owner)
    for place, one in enumerate(wanted):
        numbers = of[place] or [
            number
            for number, socket_ in enumerate(given)
            if socket_.is_dual and socket_.address == ("::", one.address[1]) and one.address[0] == "0.0.0.0"  # noqa: S104
        ]
        for number in numbers:
            if owner_of.setdefault(number, one.owner) != one.owner:
                raise ConfigError(
                    f"{one.setting} {format_endpoint(*one.address)}: the socket unit's "
                    f"{format_endpoint(*given[number].address)} takes IPv4 clients too, and is another "
                    "listener's; write BindIPv6Only=ipv6-only into it, and ListenStream= for each address"
                )
        of[place] = numbers or None
    for number, socket_ in enumerate(given):
        places = [n for n, one in enumerate(wanted) if one.name and one.name == socket_.name]
        if number not in owner_of and places:
            owner_of[number] = wanted[places[0]].owner
            for place in places:
                of[place] = [*(of[place] or ()), number]
    return Shares(of, [number for number in range(len(given)) if number not in owner_of])


def _at(given: Sequence[Given], address: tuple[str, int]) -> list[int]:
    host, port = address
    return [
        number
        for number, one in enumerate(given)
        if port and one.address[1] == port and _same_host(one.address[0], host)
    ]


def _same_host(bound: str, host: str) -> bool:
    try:
        return ipaddress.ip_address(bound) == ipaddress.ip_address(host)
    except ValueError:
        return bound == host


def spread(sockets: Sequence[T], count: int) -> list[list[T]]:
    """Per worker its sockets of one address: every socket has someone, and every worker has one."""
    if not sockets:
        return [[] for _ in range(count)]
    return [list(sockets[worker::count]) or [sockets[worker % len(sockets)]] for worker in range(count)]
