"""Whether a receiver gets slower: its reply time of late against what is usual for it.

Contract: a decision. ``heard`` takes the seconds of one dialogue. *Of late* moves an eighth of the way to
each new value; *usual* follows down at once by as much, and up only by 1/512, so that a receiver which slowly
drowns is seen. Below one second nothing counts as slow: a dialogue's length depends on its content too.

Cost: 0.1 microseconds.
"""

from __future__ import annotations

_FAST = 1 / 8
_SLOW = 1 / 512
_LEAST_S = 1.0
_STRAINED = 3.0  # times the usual: grow no more
_OVERLOADED = 8.0  # times the usual: give way


class Latency:
    """The reply time of one lane, or of lanes that share a receiver."""

    __slots__ = ("late_s", "usual_s")

    def __init__(self) -> None:
        self.late_s = 0.0
        self.usual_s = 0.0

    def heard(self, took_s: float) -> bool:
        """One dialogue took so long; True if dialogues are long enough to ask ``is_strained``."""
        usual = self.usual_s
        if not usual:
            self.late_s = self.usual_s = took_s
            return False
        late = self.late_s
        self.late_s = late = late + (took_s - late) * _FAST
        self.usual_s = usual + (late - usual) * (_FAST if late < usual else _SLOW)
        return late > _LEAST_S

    @property
    def is_strained(self) -> bool:
        """Slower than usual: more would not help."""
        return self.late_s > _LEAST_S and self.late_s > _STRAINED * self.usual_s

    @property
    def is_overloaded(self) -> bool:
        """Much slower than usual."""
        return self.late_s > _LEAST_S and self.late_s > _OVERLOADED * self.usual_s
