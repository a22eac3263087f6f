"""What a scrape of ``/metrics`` shows: the readings of all processes, written as Prometheus reads them.

Contract: ``render`` turns readings into text by the one list of names (``metric_names``), in Prometheus' own
format, or in OpenMetrics 1.0 where the scraper asks for it. Whatever a label's values are, there are at most
``MOST`` of a metric and process, each at most ``LONGEST`` characters, and no sample comes twice; Prometheus
would refuse the whole scrape for one that does.

Cost: 2.5 ms for 1,900 lines (two workers, a hundred accounts), in the supervisor. prometheus_client takes 9
to 14 for the same, in which no lease of limits would be answered; in the tests its parsers read what is
written here.

Pure: no process is asked here, and none is waited for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from typing import Any

from relay.admin.metric import Kind, Metric, Of
from relay.admin.metric_names import METRICS

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
MOST = 100  # values of the labels of a metric, of one process
LONGEST = 128
REST = "other"

Readings = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Everything:
    """The readings of all processes. A worker that does not work has none."""

    workers: Mapping[int, Readings] = field(default_factory=dict)
    notifier: Readings = field(default_factory=dict)
    supervisor: Readings = field(default_factory=dict)

    def of(self, whose: Of) -> list[tuple[str, Readings]]:
        """Pairs of what the label says, and readings."""
        if whose is Of.WORKER:
            return [(str(number), readings) for number, readings in self.workers.items()]
        if whose is Of.NOTIFIER:
            return [("", self.notifier)]
        if whose is Of.SUPERVISOR:
            return [("", self.supervisor)]
        all_of_them = [
            ("supervisor", self.supervisor),
            ("notifier", self.notifier),
            *((f"worker-{number}", readings) for number, readings in self.workers.items()),
        ]
        return [(name, readings) for name, readings in all_of_them if readings]


def wants_open_metrics(accept: str) -> bool:
    """Whether a scraper that sends this field "Accept" reads OpenMetrics."""
    return any(one.partition(";")[0].strip() == "application/openmetrics-text" for one in accept.split(","))


def render(everything: Everything, accept: str = "") -> tuple[bytes, str]:
    """The text of a scrape, and its content type; ``accept``: what the scraper says that it reads."""
    is_open = wants_open_metrics(accept)
    lines: list[str] = []
    for whose, metrics in METRICS.items():
        sources = everything.of(whose)
        own = whose.label
        for metric in metrics:
            lines.append(_head(metric, is_open))
            for value, readings in sources:
                lines += _samples(metric, f'{own}="{value}"' if own else "", readings)
    if is_open:
        lines.append("# EOF")
    return ("\n".join(lines) + "\n").encode(), OPEN_METRICS if is_open else TEXT


@lru_cache(maxsize=1024)
def _head(metric: Metric, is_open: bool) -> str:
    name = metric.name if is_open else metric.shown_name
    text = metric.text.replace("\\", r"\\").replace("\n", r"\n")
    if is_open:
        text = text.replace('"', r"\"")
    return f"# HELP {name} {text}\n# TYPE {name} {metric.kind}"


def _samples(metric: Metric, own: str, readings: Readings) -> Iterator[str]:
    if metric.kind is Kind.HISTOGRAM:
        if (reading := readings.get(metric.key)) is not None:
            yield from _histogram(metric.name, own, reading)
    elif not metric.labels:
        labels = f"{{{own}}}" if own else ""
        if (number := readings.get(metric.key)) is not None:  # else nobody knows, and 0 would be a lie
            yield f"{metric.shown_name}{labels} {_number(number)}"
    else:
        start = f"{metric.shown_name}{{{own}," if own else f"{metric.shown_name}{{"
        for values, number in bounded(readings.get(metric.key, {}), len(metric.labels)).items():
            pairs = zip(metric.labels, values, strict=True)
            labels = ",".join([f'{label}="{_escaped(value)}"' for label, value in pairs])
            yield f"{start}{labels}}} {_number(number)}"


def _histogram(name: str, own: str, reading: Mapping[str, Any]) -> Iterator[str]:
    start = f"{name}_bucket{{{own},le=" if own else f"{name}_bucket{{le="
    labels = f"{{{own}}}" if own else ""
    count = 0
    for bound, count in zip(
        [*map(_number, reading["le"]), "+Inf"], accumulate(reading["counts"]), strict=True
    ):
        yield f'{start}"{bound}"}} {count}'
    yield f"{name}_sum{labels} {_number(reading['sum'])}"
    yield f"{name}_count{labels} {count}"


def _number(value: float) -> str:
    """As Go reads it; a whole number within a double's is written as one with a fraction."""
    return repr(float(value)) if value != float("inf") else "+Inf"


def _clean(word: str) -> str:
    """Short, and such that it can be written; before samples are told apart."""
    return word[:LONGEST] if word.isascii() else word[:LONGEST].encode(errors="replace").decode()


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def bounded(reading: Mapping[str, float], labels: int, most: int = MOST) -> dict[tuple[str, ...], float]:
    """The numbers by the values of so many labels: the ``most`` largest, the others added up."""
    found: dict[tuple[str, ...], float] = {}
    pairs: Sequence[tuple[str, float]] = list(reading.items())
    if len(pairs) > most:
        pairs = sorted(pairs, key=lambda pair: -pair[1])
        pairs = [*pairs[:most], (" ".join([REST] * labels), sum(number for _, number in pairs[most:]))]
    for text, number in pairs:
        words = text.split(" ", labels - 1)
        values = tuple(_clean(word) for word in (*words, *[""] * (labels - len(words))))
        found[values] = found.get(values, 0.0) + number
    return found
