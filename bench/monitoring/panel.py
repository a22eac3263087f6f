"""The words of a dashboard: rows of panels with queries."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Shape(StrEnum):
    """Grafana's names of the kinds of panels that are used."""

    LINES = "timeseries"
    NUMBER = "stat"
    BARS = "bargauge"
    HEAT = "heatmap"


@dataclass(frozen=True, slots=True)
class Query:
    """In Prometheus' language. ``legend`` names a line by its labels. ``is_rare``: without samples in a relay
    that does well, or that does not use what it is about."""

    expression: str
    legend: str = ""
    is_rare: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """``unit`` is Grafana's name of it; ``bounds``: from where a number is yellow, and red."""

    title: str
    text: str
    unit: str
    queries: tuple[Query, ...]
    shape: Shape = Shape.LINES
    width: int = 8  # of 24
    bounds: tuple[float, float] | None = None
    is_stacked: bool = False
    shows_names: bool = False  # of numbers: what counts is in the legend


@dataclass(frozen=True, slots=True)
class Row:
    """A title and the panels below it."""

    title: str
    panels: tuple[Panel, ...]
    is_open: bool = True


OF_NODE = 'instance=~"$instance"'
OF_WORKER = f'{OF_NODE},worker=~"$worker"'
SPAN = "$__rate_interval"


def rate(metric: str, by: str = "instance", more: str = "") -> str:
    """How much a second a counter of workers grows."""
    return f"sum by ({by}) (rate({metric}{{{OF_WORKER}{more}}}[{SPAN}]))"


def total(metric: str, by: str = "instance", more: str = "") -> str:
    """The sum of a gauge over workers."""
    return f"sum by ({by}) ({metric}{{{OF_WORKER}{more}}})"


def quantile(share: float, metric: str) -> str:
    """The value that such a share of what a histogram counted is not above."""
    return f"histogram_quantile({share}, {rate(f'{metric}_bucket', 'instance, le')})"


def quantiles(metric: str, of: str = "") -> tuple[Query, ...]:
    """Half, nearly all, and all but one in a hundred; ``of`` begins the legend."""
    return tuple(
        Query(quantile(share, metric), f"{of}p{share * 100:.0f} {{{{instance}}}}")
        for share in (0.5, 0.95, 0.99)
    )


def share(part: str, whole: str) -> str:
    """A part of a whole; no sample where there is no whole."""
    return f"{part} / ({whole} > 0)"
