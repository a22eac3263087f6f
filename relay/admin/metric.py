"""What is known of one metric: where its number comes from, its name, its labels, and what it means.

A ``Metric`` says which key of a process's readings it shows. Plain numbers are one sample; where a metric has
labels the reading is a mapping, from the label's value (of several labels: the values with a space between
them) to the number; a histogram is what ``relay.base.histogram`` reads. The metrics themselves are in the
modules ``*_metrics``, joined by ``metric_names``; how they are written is in ``metrics``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from relay.base.histogram import Bounds


class Kind(StrEnum):
    """As Prometheus calls it."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Of(StrEnum):
    """Whose readings."""

    WORKER = "worker"
    PROCESS = "process"  # every one: "supervisor", "notifier", "worker-0" and so on
    NOTIFIER = "notifier"
    SUPERVISOR = "supervisor"

    @property
    def label(self) -> str:
        """The label that tells one process from the others, or none."""
        return self.value if self in (Of.WORKER, Of.PROCESS) else ""


@dataclass(frozen=True, slots=True)
class Metric:
    """One family. ``name`` is without what the kind adds to it."""

    key: str
    name: str
    text: str
    kind: Kind
    labels: tuple[str, ...] = ()
    bounds: Bounds = ()

    @property
    def shown_name(self) -> str:
        """As it is in a scrape and in queries; a histogram has ``_bucket``, ``_sum`` and ``_count`` of it."""
        return f"{self.name}_total" if self.kind is Kind.COUNTER else self.name


def counter(key: str, name: str, text: str, *labels: str) -> Metric:
    """A number that only grows while the process lives."""
    return Metric(key, name, text, Kind.COUNTER, labels)


def gauge(key: str, name: str, text: str, *labels: str) -> Metric:
    """A number that goes up and down."""
    return Metric(key, name, text, Kind.GAUGE, labels)


def histogram(key: str, name: str, text: str, bounds: Bounds) -> Metric:
    """How often a value was how large."""
    return Metric(key, name, text, Kind.HISTOGRAM, (), bounds)
