"""Whether the relay is well, as a load balancer or an administrator asks it.

A decision: from the workers' readings to a status and the reasons for it. ``ok`` means that every worker is
ready and its spool can be written; ``degraded`` that mail still flows but someone should look; ``failing``
that no worker takes mail, as while the relay drains: a load balancer then turns to another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Health:
    """The status and, in words, why it is not ``ok``."""

    status: str  # "ok", "degraded", "failing"
    reasons: tuple[str, ...]

    @property
    def http_status(self) -> int:
        """200 while mail is taken, else 503."""
        return 503 if self.status == "failing" else 200


def judge(
    ready: Mapping[int, bool], workers: Mapping[int, Mapping[str, Any]], *, is_draining: bool = False
) -> Health:
    """The health, from which workers are ready and what they read."""
    if is_draining:
        return Health("failing", ("the relay drains",))
    reasons = [f"worker {number} is not ready" for number, is_ready in ready.items() if not is_ready]
    takers = 0
    for number, readings in workers.items():
        blocked = False
        if readings.get("spool_failing"):
            reasons.append(f"worker {number}: the disk of the spool refuses to be written")
            blocked = True
        if readings.get("spool_full"):
            reasons.append(f"worker {number}: the disk reserve is reached; new mail is answered 452")
            blocked = True
        if readings.get("directory_stale"):
            reasons.append(f"worker {number}: the directory cannot be read; the last state of it is in force")
        takers += not blocked
    if not takers:
        return Health("failing", tuple(reasons or ["no worker answers"]))
    return Health("degraded" if reasons else "ok", tuple(reasons))
