"""The list of metrics: each name once, as Prometheus' conventions want it, and told to people."""

import re
from collections import Counter
from pathlib import Path

import pytest

from relay.admin.metric import Kind, Metric, Of
from relay.admin.metric_names import METRICS, table

ALL = [(whose, metric) for whose, metrics in METRICS.items() for metric in metrics]
DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_a_name_means_one_thing() -> None:
    names = Counter(metric.name for _, metric in ALL)
    assert [name for name, count in names.items() if count > 1] == []
    for whose in Of:
        keys = Counter(metric.key for metric in METRICS[whose])
        assert [key for key, count in keys.items() if count > 1] == []


@pytest.mark.parametrize("metric", [metric for _, metric in ALL], ids=lambda one: one.name)
def test_a_name_follows_the_conventions(metric: Metric) -> None:
    assert re.fullmatch(r"relay(_[a-z0-9]+)+", metric.name)
    assert not metric.name.endswith(("_total", "_count", "_sum", "_bucket", "_ms", "_minutes", "_kb"))
    assert metric.shown_name.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert metric.text.endswith(".")
    assert (metric.kind is Kind.HISTOGRAM) == bool(metric.bounds)
    assert not {"le", "quantile", "instance", "job"} & set(metric.labels)


def test_the_document_is_made_from_the_list() -> None:
    assert DOCUMENT.read_text() == table(), "run: python -m relay.admin.metric_names > docs/metrics.md"


def test_the_table_has_them_all() -> None:
    found = re.findall(r"^\| `(relay_[a-z0-9_]+)` \|", table(), re.MULTILINE)
    assert sorted(found) == sorted(metric.shown_name for _, metric in ALL)
