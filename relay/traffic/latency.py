"""Whether a receiver gets slower: its reply time of late against what is usual for it.

Contract: a decision; ``now`` is monotonic seconds. ``heard`` takes the seconds of one dialogue. *Of late*
moves an eighth of the way to each new value. *Usual* follows it down as fast, and up only by the clock,
doubling in an hour: a receiver that is sent too much for an hour must not come to look usual by that. Below
0.8 seconds nothing counts as slow: a dialogue's length depends on its content too.

Cost: 0.5 microseconds.
"""

from __future__ import annotations

_FAST = 1 / 8
_RISE_PER_S = 1 / 3600
_LEAST_S = 0.8
_STRAINED = 2.0  # times the usual: more would not help
_OVERLOADED = 6.0  # times the usual: much too much


class Latency:
    """The reply time of one lane, or of lanes that share a receiver."""

    __slots__ = ("_at", "late_s", "usual_s")

    def __init__(self) -> None:
        self.late_s = 0.0
        self.usual_s = 0.0
        self._at = 0.0

    def heard(self, now: float, took_s: float) -> bool:
        """One dialogue took so long; True if dialogues are long enough to ask ``is_strained``."""
        usual = self.usual_s
        if not usual:
            self.late_s = self.usual_s = took_s
            self._at = now
            return False
        late = self.late_s
        self.late_s = late = late + (took_s - late) * _FAST
        if late < usual:
            self.usual_s = usual + (late - usual) * _FAST
        else:
            self.usual_s = min(late, usual * (1.0 + (now - self._at) * _RISE_PER_S))
        self._at = now
        return late > _LEAST_S

    @property
    def is_strained(self) -> bool:
        """Slower than usual."""
        return self.late_s > _LEAST_S and self.late_s > _STRAINED * self.usual_s

    @property
    def is_overloaded(self) -> bool:
        """Much slower than usual."""
        return self.late_s > _LEAST_S and self.late_s > _OVERLOADED * self.usual_s
