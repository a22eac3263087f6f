"""From one answer of the running relay to the next: what it does a second. For `relay top`. Pure.

Contract: ``beat`` takes an answer to ``top`` and gives a frame: plain values, ready for a screen or for JSON.
The first frame has no rates (None), since a rate needs two answers; neither has what a worker does that was
started anew in between. The last minute's rates are kept, one for each answer.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Any

COUNTED = ("accepted", "delivered", "deferred", "failed")
_KEPT = 60
_BARS = "▁▂▃▄▅▆▇█"
_PLAIN_BARS = "_.-=+*%#"

Answer = Mapping[str, Any]


class Pulse:
    """The rates of one relay as one viewer sees them."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[float, Answer]] = {}  # of each worker: when it told, and what
        self._known: dict[str, dict[str, Any]] = {}  # and what came of it
        self._rates: deque[dict[str, float]] = deque(maxlen=_KEPT)

    def beat(self, answer: Answer) -> dict[str, Any]:
        """The frame of this answer."""
        readings = answer["readings"]
        workers = [
            {"worker": number, "ready": is_ready, **self._worker(number, answer)}
            for number, is_ready in answer["ready"].items()
        ]
        rates = _sums([one["per_s"] for one in workers if one["per_s"] is not None])
        if rates is not None:
            self._rates.append(rates)
        values = list(readings.values())
        return {
            "at": answer["at"],
            "version": answer["version"],
            "up_s": float(answer["at"]) - float(answer["started_at"]),
            "draining": bool(answer.get("draining")),
            "per_s": rates,
            "lately": {name: [one[name] for one in self._rates] for name in COUNTED},
            "queue": _queue(values),
            "oldest_s": max(
                (age for one in values for age in one.get("queue_oldest_seconds", {}).values()), default=0.0
            ),
            "in_flight": _total(values, "in_flight"),
            "clients": _total(values, "client_sessions"),
            "connections": _total(values, "connections"),
            "workers": workers,
            "notifier": bool(answer["notifier"].get("ready")),
            "events_behind": max(answer["notifier"].get("behind", {}).values(), default=0),
            "sites": answer["sites"],
            "accounts": answer["accounts"],
        }

    def _worker(self, number: str, answer: Answer) -> dict[str, Any]:
        """What one does; as it was where it has told nothing since."""
        now, at = answer["readings"].get(number), float(answer["heard_at"].get(number, 0.0))
        if now is None:
            return dict(_NOTHING)
        before_at, before = self._before.get(number, (0.0, None))
        if before is not None and at <= before_at and number in self._known:
            return self._known[number]
        self._before[number] = at, now
        self._known[number] = _worker(now, before, at - before_at)
        return self._known[number]


_NOTHING = {"per_s": None, "cpu": None, "resident_bytes": 0, "lag_s": None}


def _worker(now: Answer, before: Answer | None, span_s: float) -> dict[str, Any]:
    """One worker: rates, the share of a core that it used, memory, and how late its loop was."""
    found: dict[str, Any] = {**_NOTHING, "resident_bytes": int(now.get("resident_bytes", 0))}
    if before is None or span_s <= 0 or any(now.get(name, 0) < before.get(name, 0) for name in COUNTED):
        return found
    found["per_s"] = {name: (now.get(name, 0) - before.get(name, 0)) / span_s for name in COUNTED}
    found["cpu"] = max(0.0, (now.get("cpu_seconds", 0.0) - before.get("cpu_seconds", 0.0)) / span_s)
    found["lag_s"] = _mean(now.get("loop_lag"), before.get("loop_lag"))
    return found


def _mean(now: Answer | None, before: Answer | None) -> float | None:
    """The mean of what a histogram saw in between."""
    if not now or not before:
        return None
    seen = sum(now["counts"]) - sum(before["counts"])
    return max(0.0, now["sum"] - before["sum"]) / seen if seen > 0 else None


def _sums(rates: Sequence[Mapping[str, float]]) -> dict[str, float] | None:
    return {name: sum(one[name] for one in rates) for name in COUNTED} if rates else None


def _total(values: Sequence[Answer], name: str) -> int:
    return int(sum(one.get(name, 0) for one in values))


def _queue(values: Sequence[Answer]) -> dict[str, int]:
    """Recipients by state, over all workers."""
    found: Counter[str] = Counter()
    for one in values:
        found.update(one.get("queue_recipients", {}))
    return dict(found)


def sparkline(values: Sequence[float], width: int, *, is_plain: bool = False) -> str:
    """The last values as bars, the highest of them as the full one."""
    bars, shown = _PLAIN_BARS if is_plain else _BARS, list(values)[-width:]
    most = max(shown, default=0.0)
    if most <= 0:
        return bars[0] * len(shown)
    return "".join(bars[min(len(bars) - 1, int(one / most * len(bars)))] for one in shown)
