"""How many messages may come back a second: in all, and from one address. No I/O.

Contract: ``take`` counts a message and says whether it may come. Each is a bucket of ``_BURST_S`` seconds'
worth, so that a server that was away may bring what has gathered. An IPv6 client is counted by its /64. The
table holds ``_MOST`` addresses; past that, those whose buckets are full again are forgotten, then all.

Counts one worker; the kernel spreads connections, hence each worker is given its share.
"""

from __future__ import annotations

from relay.ingress.connections import neighbourhood

_BURST_S = 10.0
_MOST = 10_000


class InboundRate:
    """The buckets of one worker. A rate of 0 is no bound."""

    __slots__ = ("_all", "_by_address", "per_address", "total")

    def __init__(self, total: float, per_address: float) -> None:
        """Messages a second."""
        self.total = total
        self.per_address = per_address
        self._all: tuple[float, float] | None = None
        self._by_address: dict[str, tuple[float, float]] = {}

    def take(self, address: str, now: float) -> bool:
        """Count one more message from there, if both bounds allow; ``now`` is monotonic."""
        key = neighbourhood(address)
        own = _left(self._by_address.get(key), self.per_address, now)
        everyone = _left(self._all, self.total, now)
        if own < 1.0 or everyone < 1.0:
            return False
        if self.per_address:
            if len(self._by_address) >= _MOST and key not in self._by_address:
                self._forget(now)
            self._by_address[key] = (own - 1.0, now)
        if self.total:
            self._all = (everyone - 1.0, now)
        return True

    def _forget(self, now: float) -> None:
        full = _depth(self.per_address)
        kept = {k: v for k, v in self._by_address.items() if _left(v, self.per_address, now) < full}
        self._by_address = kept if len(kept) < _MOST else {}


def _depth(rate: float) -> float:
    return max(rate * _BURST_S, 1.0)


def _left(bucket: tuple[float, float] | None, rate: float, now: float) -> float:
    """Tokens that are there now."""
    if not rate:
        return 1.0
    if bucket is None:
        return _depth(rate)
    tokens, at = bucket
    return min(_depth(rate), tokens + max(now - at, 0.0) * rate)
