"""The relay in one line, as `systemctl status` shows it (STATUS= of sd_notify). Pure.

First what is wrong, where something is; then what the workers have at hand and what they have done since each
of them started. What a worker that does not answer has done, is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.admin.health import judge

_NOW = {
    "client_sessions": "client sessions",
    "connections": "connections out",
    "window": "recipients in memory",
}
_DONE = ("accepted", "delivered", "deferred", "failed")
_REASONS = 3


def status_line(
    ready: Mapping[int, bool], workers: Mapping[int, Mapping[str, Any]], *, is_draining: bool = False
) -> str:
    """One line, however many workers and reasons there are."""
    health = judge(ready, workers, is_draining=is_draining)
    working = sum(ready.values())
    said = [f"{working} workers" if working == len(ready) else f"{working} of {len(ready)} workers"]
    said += [f"{_sum(workers, name)} {words}" for name, words in _NOW.items()]
    done = ", ".join(f"{name} {_sum(workers, name)}" for name in _DONE)
    reasons = list(health.reasons[:_REASONS])
    if len(health.reasons) > _REASONS:
        reasons.append(f"and {len(health.reasons) - _REASONS} more (relay status)")
    wrong = f" ({'; '.join(reasons)})" if reasons else ""
    return f"{health.status}{wrong}: {', '.join(said)}; {done}".replace("\n", " ")


def _sum(workers: Mapping[int, Mapping[str, Any]], name: str) -> int:
    return sum(int(readings.get(name, 0)) for readings in workers.values())
