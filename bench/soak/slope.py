"""What grows, and how surely: a line through samples, and how far it is from level. Pure functions.

The slope is Theil and Sen's, the median of the slopes between all pairs, which a step or a few wild samples
do not move. How sure it is comes from least squares: its standard error, widened because neighbouring samples
are much alike (the residuals' correlation at lag one: n samples then say as much as n (1 - r) / (1 + r)
independent ones). ``lower`` is what the slope is at least, with two such errors: what is above a bound by
its ``lower`` grows, whatever the noise.

Memory fills caches and arenas at first, which is no leak; so a line is laid through the last two thirds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

_MOST_SAMPLES = 400  # of each line: the pairs of more would take seconds
WARM_UP = 1 / 3


@dataclass(frozen=True, slots=True)
class Line:
    """Units an hour; ``lower`` and ``upper`` enclose the slope two standard errors wide."""

    per_hour: float
    error: float

    @property
    def lower(self) -> float:
        return self.per_hour - 2 * self.error

    @property
    def upper(self) -> float:
        return self.per_hour + 2 * self.error


def settled(samples: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """The samples (second, value) after the first third of the time."""
    if not samples:
        return samples
    begin, end = samples[0][0], samples[-1][0]
    from_s = begin + (end - begin) * WARM_UP
    return [one for one in samples if one[0] >= from_s]


def line(samples: Sequence[tuple[float, float]]) -> Line | None:
    """The line through samples (second, value); None for fewer than eight of them."""
    step = -(-len(samples) // _MOST_SAMPLES)
    samples = samples[::step] if step else samples
    if len(samples) < 8:
        return None
    slopes = sorted(
        (later[1] - one[1]) / (later[0] - one[0])
        for at, one in enumerate(samples)
        for later in samples[at + 1 :]
        if later[0] > one[0]
    )
    middle = len(slopes) // 2
    median = slopes[middle] if len(slopes) % 2 else (slopes[middle - 1] + slopes[middle]) / 2
    return Line(median * 3600, _error(samples) * 3600)


def _error(samples: Sequence[tuple[float, float]]) -> float:
    count = len(samples)
    mean_at = sum(at for at, _ in samples) / count
    mean = sum(value for _, value in samples) / count
    spread = sum((at - mean_at) ** 2 for at, _ in samples)
    slope = sum((at - mean_at) * (value - mean) for at, value in samples) / spread
    left = [value - mean - slope * (at - mean_at) for at, value in samples]
    squares = sum(one * one for one in left)
    if squares == 0:
        return 0.0
    alike = sum(one * other for one, other in pairwise(left)) / squares
    alike = min(max(alike, 0.0), 0.98)
    return sqrt(squares / (count - 2) / spread * (1 + alike) / (1 - alike))
