"""The scrape: accepted by promtool and by Prometheus' parsers, complete, and of bounded size."""

import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics import parser as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from relay.admin.metric import Kind, Of
from relay.admin.metric_names import METRICS
from relay.admin.metrics import LONGEST, MOST, OPEN_METRICS, TEXT, Everything, bounded, render
from relay.base.histogram import Histogram
from tests.fakes.machine import need

ASKS_FOR_OPEN = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;q=0.8,text/plain;q=0.5"
)


def full(whose: Of, values: int = 3) -> dict[str, Any]:
    """Readings with something for every metric."""
    found: dict[str, Any] = {}
    for metric in METRICS[whose]:
        if metric.kind is Kind.HISTOGRAM:
            counted = Histogram(metric.bounds)
            for bound in metric.bounds:
                counted.observe(bound)
            found[metric.key] = counted.reading()
        elif metric.labels:
            words = [" ".join([f"v{number}"] * len(metric.labels)) for number in range(values)]
            found[metric.key] = {word: number + 1 for number, word in enumerate(words)}
        else:
            found[metric.key] = 17
    return found


def everything(values: int = 3) -> Everything:
    worker = {**full(Of.WORKER, values), **full(Of.PROCESS, values)}
    return Everything(
        {0: worker, 1: worker},
        {**full(Of.NOTIFIER, values), **full(Of.PROCESS, values)},
        {**full(Of.SUPERVISOR, values), **full(Of.PROCESS, values)},
    )


def samples(one: Everything) -> dict[str, float]:
    lines = render(one)[0].decode().splitlines()
    return {
        name: float(value)
        for name, _, value in (one.rpartition(" ") for one in lines if not one.startswith("#"))
    }


def test_what_a_worker_counts_is_a_sample_of_it() -> None:
    found = samples(
        Everything(
            {
                0: {
                    "accepted": 17,
                    "refusals": {"554 content": 2, "451 trouble": 1},
                    "reasons": {"timeout": 4},
                    "spool_full": True,
                    "fresh_bytes": 1_000_000_000_000,
                    "delivery_seconds": {"le": [0.5, 2.0], "counts": [3, 1, 2], "sum": 12.5},
                }
            }
        )
    )
    assert found['relay_messages_accepted_total{worker="0"}'] == 17
    assert found['relay_messages_refused_total{worker="0",code="554",reason="content"}'] == 2
    assert found['relay_outcomes_total{worker="0",reason="timeout"}'] == 4
    assert found['relay_spool_full{worker="0"}'] == 1
    assert found['relay_queue_memory_bytes{worker="0"}'] == 1e12
    assert 'relay_recipients_failed_total{worker="0"}' not in found  # nobody has said so
    assert found['relay_delivery_seconds_bucket{worker="0",le="0.5"}'] == 3
    assert found['relay_delivery_seconds_bucket{worker="0",le="2.0"}'] == 4
    assert found['relay_delivery_seconds_bucket{worker="0",le="+Inf"}'] == 6
    assert found['relay_delivery_seconds_count{worker="0"}'] == 6
    assert found['relay_delivery_seconds_sum{worker="0"}'] == 12.5


def test_what_others_know_is_there_without_any_worker() -> None:
    own = {"worker_up": {"0": True, "1": False}, "worker_restarts": {"1": 3}, "started_at": 1_800_000_000.5}
    told = {"taken": {"statistics": 40}, "bounces": {"Permanent": 3}, "complaints": 5, "open_fds": 9}
    found = samples(Everything({}, told, {**own, "info": {"0.1.0": 1}, "open_fds": 12}))
    assert found['relay_worker_up{worker="0"}'] == 1
    assert found['relay_worker_up{worker="1"}'] == 0
    assert found['relay_worker_restarts_total{worker="1"}'] == 3
    assert found["relay_start_time_seconds"] == 1_800_000_000.5
    assert found['relay_info{version="0.1.0"}'] == 1
    assert found['relay_events_taken_total{sink="statistics"}'] == 40
    assert found['relay_bounces_total{type="Permanent"}'] == 3
    assert found["relay_complaints_total"] == 5
    assert found['relay_process_open_fds{process="supervisor"}'] == 12
    assert found['relay_process_open_fds{process="notifier"}'] == 9
    assert not any(name.startswith("relay_messages") for name in found)


@pytest.mark.parametrize("asks_for", ["", "text/plain;version=0.0.4", "*/*", ASKS_FOR_OPEN])
def test_the_parsers_of_prometheus_read_all_of_it(asks_for: str) -> None:
    text, kind = render(everything(), asks_for)
    is_open = asks_for == ASKS_FOR_OPEN
    assert kind == (OPEN_METRICS if is_open else TEXT)
    parse = open_metrics.text_string_to_metric_families if is_open else text_string_to_metric_families
    families = {family.name: family for family in parse(text.decode())}
    for whose, metrics in METRICS.items():
        for metric in metrics:
            family = families[metric.name]
            assert (family.type, family.documentation) == (metric.kind.value, metric.text)
            own = {whose.label} - {""}
            labels = [set(sample.labels) - {"le"} for sample in family.samples]
            assert labels
            assert all(one == own | set(metric.labels) for one in labels), metric.name
    if is_open:
        assert text.endswith(b"\n# EOF\n")


def test_promtool_accepts_it() -> None:
    words = [need("promtool", "prometheus"), "check", "metrics"]
    ended = subprocess.run(words, input=render(everything(values=150))[0], capture_output=True)
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, b"")


HOSTILE = st.text(st.characters(), max_size=300)


@given(st.dictionaries(HOSTILE, st.integers(0, 10**12), max_size=20))
def test_what_comes_from_outside_stays_within_its_label(reading: dict[str, int]) -> None:
    one = Everything({0: {"reasons": reading, "refusals": reading}}, {"bounce_rates": reading}, {})
    families = {family.name: family for family in text_string_to_metric_families(render(one)[0].decode())}
    assert all(name.startswith("relay_") for name in families)
    for name in ("relay_outcomes", "relay_messages_refused", "relay_account_bounce_rate"):
        found = [tuple(sorted(sample.labels.items())) for sample in families[name].samples]
        assert len(found) == len(set(found)) <= len(reading)
        assert sum(sample.value for sample in families[name].samples) == sum(reading.values())
    open_text = render(one, ASKS_FOR_OPEN)[0].decode()
    assert len(list(open_metrics.text_string_to_metric_families(open_text))) == len(families)


def test_the_number_of_series_has_a_bound() -> None:
    few, many = (len(samples(everything(values))) for values in (MOST + 1, 20_000))
    assert few == many
    labelled = sum(bool(metric.labels) for metric in METRICS[Of.WORKER])
    assert few < 40 * (MOST + 1) + 2 * labelled * (MOST + 1) + 4000


def test_the_largest_keep_their_names_and_the_rest_is_added_up() -> None:
    reading = {f"account-{number}": number for number in range(1000)}
    found = bounded(reading, 1, most=2)
    assert found == {("account-999",): 999, ("account-998",): 998, ("other",): sum(range(998))}
    assert bounded({"other": 1, "a": 5, "b": 4}, 1, most=2) == {("a",): 5, ("b",): 4, ("other",): 1}
    assert bounded({"x" * 500: 1, "x" * 600: 2}, 1) == {("x" * LONGEST,): 3}
    assert bounded({"554": 1, "554 two words": 2}, 2) == {("554", ""): 1, ("554", "two words"): 2}
