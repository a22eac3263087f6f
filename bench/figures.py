"""Percentiles and ratios of what was measured: pure functions on numbers, in seconds unless named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """p50, p99 and max by nearest rank; empty without values."""
    ordered = sorted(values)
    if not ordered:
        return {}
    last = len(ordered) - 1
    return {"p50": ordered[round(last * 0.5)], "p99": ordered[round(last * 0.99)], "max": ordered[last]}


def median(values: Sequence[float]) -> float:
    """The middle value (of two middle ones the mean); 0 without values."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    if not ordered:
        return 0.0
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def ratio(ours: float, theirs: float) -> float | None:
    """How many times ``theirs`` is ``ours``; None where there is nothing to compare with."""
    return ours / theirs if ours and theirs else None


def transit(accepted_at: Sequence[float], arrived_at: Sequence[float]) -> dict[str, float]:
    """Accepted-to-delivered percentiles of the messages that arrived. A message may arrive before the source
    has read its 250 (the server wrote it first, another process saw it first): that counts as 0."""
    return percentiles(
        max(arrived - accepted, 0.0)
        for accepted, arrived in zip(accepted_at, arrived_at, strict=True)
        if arrived and accepted
    )


def merge(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of each figure over several rounds."""
    return {key: median([one[key] for one in rounds if key in one]) for key in (rounds[0] if rounds else {})}
