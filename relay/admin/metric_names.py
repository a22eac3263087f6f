"""The only list of metric names, by whose readings they show; and the table of it for people.

``python -m relay.admin.metric_names`` prints docs/metrics.md; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping

from relay.admin import account_metrics, client_metrics, delivery_metrics, process_metrics, queue_metrics
from relay.admin.metric import Kind, Metric, Of

METRICS: Mapping[Of, tuple[Metric, ...]] = {
    Of.WORKER: (
        *client_metrics.OF_WORKER,
        *queue_metrics.OF_WORKER,
        *delivery_metrics.OF_WORKER,
        *account_metrics.OF_WORKER,
        *process_metrics.OF_WORKER,
    ),
    Of.PROCESS: process_metrics.OF_PROCESS,
    Of.NOTIFIER: account_metrics.OF_NOTIFIER,
    Of.SUPERVISOR: (
        *process_metrics.OF_SUPERVISOR,
        *queue_metrics.OF_SUPERVISOR,
        *account_metrics.OF_SUPERVISOR,
    ),
}

_INTRODUCTION = """# Metrics

What `GET /metrics` shows; [metrics] listen in the configuration says where. This file is made by
`python -m relay.admin.metric_names`.

- Counters begin at 0 when their process starts; the names of counters end in `_total`.
- A histogram NAME has `NAME_bucket` with the label `le`, `NAME_sum` and `NAME_count`.
- With the label `worker` there is a sample for each worker, by number from 0; sums over it are the relay's.
- A worker and the notifier say once a second what they have counted, and a scrape shows what they said last;
  `relay_worker_readings_age_seconds` is how long ago that was.
- No label has values from the outside without a bound: accounts, consumers and the like are the hundred with
  the largest numbers, the rest of what can be added is under `other`.
"""

_TITLES = (
    ("Mail that comes in", client_metrics),
    ("Queue and spool", queue_metrics),
    ("Mail that leaves", delivery_metrics),
    ("Accounts, limits, events", account_metrics),
    ("The relay itself", process_metrics),
)
_GROUPS = (
    ("OF_WORKER", ("worker",)),
    ("OF_PROCESS", ("process",)),
    ("OF_SUPERVISOR", ()),
    ("OF_NOTIFIER", ()),
)


def table() -> str:
    """All metrics, in markdown."""
    lines = [_INTRODUCTION]
    for title, module in _TITLES:
        lines += [f"## {title}", "", "| metric | kind | labels | what it says |", "|---|---|---|---|"]
        for group, labels in _GROUPS:
            lines += [_row(one, labels) for one in getattr(module, group, ())]
        lines.append("")
    return "\n".join(lines)


def _row(metric: Metric, labels: tuple[str, ...]) -> str:
    names = ", ".join(f"`{label}`" for label in (*labels, *metric.labels))
    text = metric.text
    if metric.kind is Kind.HISTOGRAM:
        text = f"{text} Buckets: {', '.join(f'{bound:g}' for bound in metric.bounds)}."
    return f"| `{metric.shown_name}` | {metric.kind} | {names} | {text} |"


if __name__ == "__main__":
    print(table(), end="")
