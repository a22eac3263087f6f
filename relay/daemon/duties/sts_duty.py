"""The duty of the watch that keeps MTA-STS policies fresh, though nobody writes to their domains meanwhile.

Contract: once an hour all policies on disk are looked through; those that are a day old (or have half their
life behind them) are fetched anew, what has expired is removed (RFC 8461 3.3 and 10.2: whoever can keep a
domain's record from us for a while must not get rid of its policy so). A fetch that fails changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from relay.base.clock import Clock

EVERY_S = 3600.0


class Policies(Protocol):
    """What is kept (``transport.mta_sts.StsPolicies``)."""

    def due(self) -> Sequence[str]:
        """Domains whose policy is to be fetched anew; blocking."""
        ...

    async def renew(self, domain: str) -> None:
        """Look at record and policy of a domain now."""
        ...


class StsDuty:
    """See above."""

    name = "mta-sts"

    def __init__(self, policies: Policies, clock: Clock) -> None:
        self._policies = policies
        self._clock = clock
        self._next_at = 0.0
        self._found: list[str] = []

    def claim(self, limit: int) -> Sequence[str]:
        """Domains that are due; blocking."""
        now = self._clock.monotonic()
        if not self._found and now >= self._next_at:
            self._next_at = now + EVERY_S
            self._found = list(self._policies.due())
        claimed, self._found = self._found[:limit], self._found[limit:]
        return claimed

    async def check(self, item: Any) -> None:  # noqa: ANN401
        """Renew one of them."""
        domain: str = item
        await self._policies.renew(domain)
