"""The relay in one line, as `systemctl status` shows it (STATUS= of sd_notify). Pure.

First what is wrong, where something is; then what waits (on disk as it was last counted), what the workers
have at hand, and what they have done since each of them started. One that does not answer is missing in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.admin.health import judge

_NOW = {"client_sessions": "client sessions", "connections": "connections out"}
_DONE = ("accepted", "delivered", "deferred", "failed")
_REASONS = 3


def status_line(
    ready: Mapping[int, bool], workers: Mapping[int, Mapping[str, Any]], *, is_draining: bool = False
) -> str:
    """One line, however many workers and reasons there are."""
    health = judge(ready, workers, is_draining=is_draining)
    working = sum(ready.values())
    said = [f"{working} workers" if working == len(ready) else f"{working} of {len(ready)} workers"]
    waiting = sum(sum(readings.get("queue_recipients", {}).values()) for readings in workers.values())
    said += [f"{waiting} recipients waiting", *(f"{_sum(workers, name)} {_NOW[name]}" for name in _NOW)]
    done = ", ".join(f"{name} {_sum(workers, name)}" for name in _DONE)
    reasons = list(health.reasons[:_REASONS])
    if len(health.reasons) > _REASONS:
        reasons.append(f"and {len(health.reasons) - _REASONS} more (relay status)")
    wrong = f" ({'; '.join(reasons)})" if reasons else ""
    return f"{health.status}{wrong}: {', '.join(said)}; {done}".replace("\n", " ")


def _sum(workers: Mapping[int, Mapping[str, Any]], name: str) -> int:
    return sum(int(readings.get(name, 0)) for readings in workers.values())
