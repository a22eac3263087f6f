"""``python -m bench.monitoring`` prints docs/dashboard.md: what a real Prometheus answers to the dashboard.

A relay with two workers gets a thousand messages of every kind (``bench.monitoring.scene``), is scraped once
a second, and then every query is asked. Grafana draws these same answers.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, redirect_stdout
from pathlib import Path

import relay
from bench.monitoring.dashboard import panels, plain
from bench.monitoring.panel import Panel, Row
from bench.monitoring.prometheus import Prometheus, Sample
from bench.monitoring.scene import Scene
from tests.fakes.prepared import prepare

_MOST = 6
SPAN = "30s"


def main() -> None:
    """Run, ask, print."""
    options = argparse.ArgumentParser(description="What Prometheus answers to the dashboard's queries.")
    options.add_argument("--messages", type=int, default=1000)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="relay-monitoring-") as name, ExitStack() as stack:
        stack.enter_context(redirect_stdout(sys.stderr))  # the relay's log, at its end
        folder = Path(name)
        (folder / "prepared").mkdir()
        scene = Scene(folder / "scene", prepare(folder / "prepared"), stack)
        target = f"127.0.0.1:{scene.relay.metrics}"
        prometheus = stack.enter_context(Prometheus(folder / "prometheus", [target]))
        prometheus.wait_for("relay_notifier_up == 1", 120.0)
        scene.begin()
        scene.wait_for(given.messages, 600.0)
        prometheus.wait_for(f"sum(relay_messages_accepted_total) >= {given.messages}", 120.0)
        found = "\n".join(report(prometheus))
    print(found)


def report(prometheus: Prometheus) -> Iterator[str]:
    """The document."""
    version = prometheus.ask("status/buildinfo")["version"]
    yield f"""# The dashboard in text

conf/grafana/relay.json holds these rows and panels. Below each are its queries, and what Prometheus
{version} answered while relay {relay.__version__} with two workers got mail of every kind;
`make monitoring-docs` makes this file anew. `{SPAN}` stands for Grafana's `$__rate_interval`, `.*` for the
variables. After a dash come a line's legend and its value. A query that found nothing is about what did not
happen meanwhile: no operator stepped in, no limit was met."""
    last: tuple[Row, Panel] | None = None
    for row, panel, query in panels():
        if last is None or last[0] is not row:
            yield f"\n## {row.title}"
        if last is None or last[1] is not panel:
            yield f"\n### {panel.title}\n\n{panel.text} Unit: {panel.unit}."
        last = row, panel
        expression = plain(query.expression, SPAN)
        yield f"\n    {expression}\n"
        samples = prometheus.query(expression)
        for labels, value in _largest(samples):
            yield f"- {_named(query.legend, labels)}: {_number(value)}"
        if len(samples) > _MOST:
            yield f"- and {len(samples) - _MOST} more"
        if not samples:
            yield "- (nothing)"


def _largest(samples: list[Sample]) -> list[Sample]:
    return sorted(samples, key=lambda one: -one[1] if not math.isnan(one[1]) else math.inf)[:_MOST]


def _named(legend: str, labels: dict[str, str]) -> str:
    name = legend
    for label, value in labels.items():
        name = name.replace(f"{{{{{label}}}}}", Path(value).name if label == "file" else value)
    return name


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) and abs(value) < 1e15 else f"{value:.4g}"


if __name__ == "__main__":
    main()
