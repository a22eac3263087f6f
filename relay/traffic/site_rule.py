"""What the operator, or nothing but good manners, allows towards one receiver site: words, no behaviour.

A rule bounds what the relay finds out by itself: feedback moves between one and these numbers, never above.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from relay.base.route import Route


@dataclass(frozen=True, slots=True)
class SiteRule:
    """Bounds for one lane, over all workers."""

    connections: int = 20
    messages_per_connection: int = 1000
    rate_per_s: float = 0.0  # messages a second; 0: no bound
    recipients_per_message: int = 100
    name: str = ""  # which rule it was, for people; "" for the default
    is_rollup: bool = False  # all sites that it matches share the bounds, and what is found out


class SiteRules(Protocol):
    """Finds the rule of a lane."""

    def rule(self, route: Route) -> SiteRule:
        """The rule for the route's site and source."""
        ...


@dataclass(frozen=True, slots=True)
class OneRule:
    """The same rule for all."""

    same: SiteRule = SiteRule()

    def rule(self, route: Route) -> SiteRule:
        """That one."""
        return self.same
