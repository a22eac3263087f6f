"""Bounds and times of a worker's queue: words, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field

from relay.traffic.backoff import SiteBackoff


@dataclass(frozen=True, slots=True)
class TrafficSettings:
    """Bounds and times of the scheduler."""

    window: int = 10_000  # recipients in memory
    site_backoff: SiteBackoff = field(default_factory=SiteBackoff)
    poll_s: float = 1.0
    internal_retry_s: float = 300.0
