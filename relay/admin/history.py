"""What was counted in the last minute and the last hour, from counters that only grow.

A decision, pure: ``note`` takes the counters of all workers every few seconds, ``since`` says how much was
added in about the last so many seconds, and over how many seconds that really is: less than asked while the
relay is young. A worker that was started anew counts from zero again; what its predecessor had counted since
the last note is lost to the figures, and nothing is counted twice or below zero.

Bound: as many notes as fit into the longest span; a note is a few integers. Not on the hot path.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

COUNTED = ("accepted", "delivered", "deferred", "failed")
LONGEST_S = 3600.0


@dataclass(frozen=True, slots=True)
class Added:
    """What was added within ``seconds``."""

    seconds: float
    counts: Mapping[str, int]


class History:
    """The notes of one relay. Owner: the supervisor's event loop."""

    def __init__(self, names: tuple[str, ...] = COUNTED, longest_s: float = LONGEST_S) -> None:
        self._names = names
        self._longest_s = longest_s
        self._last: dict[int, dict[str, int]] = {}  # of each worker, as it was last read
        self._totals = dict.fromkeys(names, 0)
        self._notes: deque[tuple[float, dict[str, int]]] = deque()

    def note(self, now: float, workers: Mapping[int, Mapping[str, Any]]) -> None:
        """The counters at monotonic ``now``. A worker that does not answer is left as it was."""
        for number, readings in workers.items():
            before = self._last.get(number, {})
            current = {name: int(readings.get(name, 0)) for name in self._names}
            is_anew = any(current[name] < before.get(name, 0) for name in self._names)
            for name in self._names:
                self._totals[name] += current[name] - (0 if is_anew else before.get(name, 0))
            self._last[number] = current
        self._notes.append((now, dict(self._totals)))
        while len(self._notes) > 1 and self._notes[1][0] <= now - self._longest_s:
            self._notes.popleft()

    def since(self, now: float, span_s: float) -> Added:
        """What was added from the newest note that is at least so old, else from the oldest, to the last."""
        if not self._notes:
            return Added(0.0, dict.fromkeys(self._names, 0))
        start = self._notes[0]
        for note in reversed(self._notes):
            if note[0] <= now - span_s:
                start = note
                break
        at, last = self._notes[-1]
        return Added(at - start[0], {name: last[name] - start[1][name] for name in self._names})
