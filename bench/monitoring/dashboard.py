"""``python -m bench.monitoring.dashboard`` prints conf/grafana/relay.json, as Grafana 10 and later read it.

The panels themselves are in ``rows_of_mail`` and ``rows_of_relay``. A panel's place follows from its width.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import count
from typing import Any

from bench.monitoring import rows_of_mail, rows_of_relay
from bench.monitoring.panel import OF_NODE, Panel, Query, Row, Shape

ROWS: tuple[Row, ...] = (
    rows_of_relay.HEALTH,
    rows_of_mail.THROUGHPUT,
    rows_of_mail.LATENCIES,
    rows_of_mail.QUEUE,
    rows_of_mail.RECEIVERS,
    rows_of_relay.ACCOUNTS,
    rows_of_relay.EVENTS,
    rows_of_relay.PROCESS,
)
VARIABLES = {
    "instance": ("Node", "label_values(relay_build_info, instance)"),
    "worker": ("Worker", f"label_values(relay_worker_up{{{OF_NODE}}}, worker)"),
    "account": ("Account", f"label_values(relay_account_messages_accepted_total{{{OF_NODE}}}, account)"),
}
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH, _HEIGHT, _SMALL = 24, 8, 4


def plain(expression: str, span: str = "1m") -> str:
    """An expression as Prometheus takes it: all nodes, workers and accounts, and a span of time."""
    return re.sub(r"\$(instance|worker|account)\b", ".*", expression).replace("$__rate_interval", span)


def panels() -> Iterator[tuple[Row, Panel, Query]]:
    """Every query, with where it is."""
    for row in ROWS:
        for panel in row.panels:
            for query in panel.queries:
                yield row, panel, query


def dashboard() -> dict[str, Any]:
    """The whole, as Grafana keeps it."""
    return {
        "uid": "relay",
        "title": "Relay",
        "description": "A mail relay: is it well, what goes through, what waits, who hears. Made for Grafana "
        "10 and later.",
        "tags": ["mail", "relay"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "timezone": "browser",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_source_variable(), *(_variable(name) for name in VARIABLES)]},
        "annotations": {"list": [_annotation()]},
        "links": [],
        "panels": list(_placed()),
    }


def _placed() -> Iterator[dict[str, Any]]:
    numbers, y = count(1), 0
    for row in ROWS:
        head: dict[str, Any] = {
            "id": next(numbers),
            "type": "row",
            "title": row.title,
            "collapsed": not row.is_open,
            "gridPos": {"h": 1, "w": _WIDTH, "x": 0, "y": y},
            "panels": [],
        }
        y += 1
        shown, x, height = [], 0, 0
        for panel in row.panels:
            if x + panel.width > _WIDTH:
                x, y, height = 0, y + height, 0
            tall = _SMALL if panel.width < 8 or panel.shape is Shape.NUMBER else _HEIGHT
            height = max(height, tall)
            place = {"h": tall, "w": panel.width, "x": x, "y": y}
            shown.append({"id": next(numbers), "gridPos": place, **_panel(panel)})
            x += panel.width
        y += height
        if row.is_open:
            yield head
            yield from shown
        else:  # Grafana keeps the panels of a closed row inside it
            yield {**head, "panels": shown}


def _panel(panel: Panel) -> dict[str, Any]:
    is_heat, most = panel.shape is Shape.HEAT, {}
    if panel.shape is Shape.BARS and panel.bounds is not None:  # where the bar is full
        most = {"min": 0, "max": min(1, 2 * panel.bounds[1])}
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.bounds == (0, 0):  # less than all is bad
        steps = [{"color": "red", "value": None}, {"color": "green", "value": 1}]
    elif panel.bounds is not None:
        steps += [{"color": "yellow", "value": panel.bounds[0]}, {"color": "red", "value": panel.bounds[1]}]
    return {
        "type": panel.shape.value,
        "title": panel.title,
        "description": panel.text,
        "datasource": _SOURCE,
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "thresholds": {"mode": "absolute", "steps": steps},
                "custom": _drawn(panel) if panel.shape is Shape.LINES else {},
                **most,
            },
            "overrides": [],
        },
        "options": _options(panel),
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": _SOURCE,
                "expr": query.expression,
                "legendFormat": query.legend,
                "editorMode": "code",
                "range": panel.shape in (Shape.LINES, Shape.HEAT),
                "instant": panel.shape in (Shape.NUMBER, Shape.BARS),
                "format": "heatmap" if is_heat else "time_series",
            }
            for place, query in enumerate(panel.queries)
        ],
    }


def _drawn(panel: Panel) -> dict[str, Any]:
    drawn: dict[str, Any] = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "never"}
    if panel.is_stacked:
        drawn["stacking"] = {"mode": "normal", "group": "A"}
    return drawn


def _options(panel: Panel) -> dict[str, Any]:
    newest = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    return {
        Shape.LINES: {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        Shape.NUMBER: {
            "reduceOptions": newest,
            "colorMode": "value",
            "graphMode": "none",
            "textMode": "auto",
        },
        Shape.BARS: {"reduceOptions": newest, "displayMode": "basic", "orientation": "horizontal"},
        Shape.HEAT: {
            "calculate": False,
            "yAxis": {"unit": panel.unit},
            "color": {"scheme": "Oranges", "mode": "scheme"},
        },
    }[panel.shape]


def _source_variable() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "refresh": 1,
        "hide": 0,
        "multi": False,
        "includeAll": False,
    }


def _variable(name: str) -> dict[str, Any]:
    label, query = VARIABLES[name]
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": _SOURCE,
        "definition": query,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 3,
        "hide": 0,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }


def _annotation() -> dict[str, Any]:
    return {
        "name": "Starts of the relay",
        "datasource": _SOURCE,
        "enable": True,
        "hide": False,
        "iconColor": "blue",
        "expr": f"changes(relay_start_time_seconds{{{OF_NODE}}}[$__rate_interval]) > 0",
        "titleFormat": "started",
        "textFormat": "{{instance}}",
    }


def text() -> str:
    """The file."""
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(text(), end="")
