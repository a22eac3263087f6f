"""How many connections there may be, in all and from one address. No I/O.

Contract: ``Tally.enter`` says whether one more connection from the address may be served; for each True there
is one ``leave``. An IPv6 client is counted by its /64, since it owns all of it. ``LocalTally`` counts one
process; one that counts all workers has the same two methods.

Cost: two dictionary operations per connection; the table holds only addresses that are connected.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address
from typing import Protocol


class Tally(Protocol):
    """Counts connections."""

    def enter(self, address: str) -> bool:
        """Count one more connection; False (and nothing counted) where that is too many."""
        ...

    def leave(self, address: str) -> None:
        """One connection from there is over."""
        ...


@lru_cache(maxsize=4096)
def neighbourhood(address: str) -> str:
    """What is counted as one client: an IPv4 address, or the /64 of an IPv6 address."""
    if ":" not in address:
        return address
    try:
        ip = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return f"{IPv6Address(int(ip) >> 64 << 64)}/64"


class LocalTally:
    """The connections of one process. Owner of the counts: the event loop's thread."""

    __slots__ = ("_by_address", "max_per_address", "max_total", "total")

    def __init__(self, max_total: int = 1000, max_per_address: int = 200) -> None:
        self.max_total = max_total
        self.max_per_address = max_per_address
        self.total = 0
        self._by_address: dict[str, int] = {}

    def enter(self, address: str) -> bool:
        """Count one more connection, if both limits allow."""
        key = neighbourhood(address)
        count = self._by_address.get(key, 0)
        if self.total >= self.max_total or count >= self.max_per_address:
            return False
        self._by_address[key] = count + 1
        self.total += 1
        return True

    def leave(self, address: str) -> None:
        """One connection less."""
        key = neighbourhood(address)
        count = self._by_address[key] - 1
        if count:
            self._by_address[key] = count
        else:
            del self._by_address[key]
        self.total -= 1
