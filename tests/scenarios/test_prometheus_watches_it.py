"""The real Prometheus with the files of conf/prometheus, beside a relay with mail of every kind."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.monitoring.dashboard import panels, plain
from bench.monitoring.prometheus import FILES, Prometheus
from bench.monitoring.scene import Scene
from tests.fakes.machine import need
from tests.fakes.prepared import Prepared, wait_until
from tests.fakes.running import RunningRelay

pytestmark = pytest.mark.timeout(300)  # whichever test is first waits for all that is below
MESSAGES = 40
# Samples that come late: of the first mail that was delivered, put off, refused, of the first bounce, and the
# ledger's of the first limit.
AWAITED = (
    "sum(relay_recipients_delivered_total) > 5",
    "sum(relay_recipients_deferred_total) > 0",
    "sum(relay_recipients_failed_total) > 0",
    "sum(relay_delivery_connections_failed_total) > 0",
    "sum(relay_dns_failures_total) > 0",
    "sum(relay_client_auth_failures_total) > 0",
    "sum(relay_messages_refused_total) > 0",
    'sum(relay_delivery_tls_versions_total{version="TLSv1.3"}) > 0',
    "relay_account_sent_recipients > 0",
    "relay_account_bounce_rate",
    "relay_notifications_posted_total > 0",
    "sum(relay_bounces_total) > 0",
    "relay_consumer_behind_seconds",
    "min(relay_queue_counted_timestamp_seconds) > 0",
    "count(count_over_time(relay_account_messages_accepted_total[30s]) > 4)",
    "count(count_over_time(relay_notifications_posted_total[30s]) > 4)",
)


@pytest.fixture(scope="module")
def watched(
    tmp_path_factory: pytest.TempPathFactory, prepared: Prepared
) -> Iterator[tuple[RunningRelay, Prometheus]]:
    program = need("prometheus", "prometheus")
    folder = tmp_path_factory.mktemp("watched")
    with ExitStack() as stack:
        scene = Scene(folder / "scene", prepared, stack)
        target = f"127.0.0.1:{scene.relay.metrics}"
        prometheus = stack.enter_context(Prometheus(folder / "prometheus", [target], program))
        prometheus.wait_for("relay_notifier_up == 1", 110.0)
        scene.begin()
        scene.wait_for(MESSAGES)
        for expression in AWAITED:
            prometheus.wait_for(expression, 110.0)
        yield scene.relay, prometheus


def test_it_is_scraped_and_all_rules_are_well(watched: tuple[RunningRelay, Prometheus]) -> None:
    _, prometheus = watched
    (target,) = prometheus.ask("targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    assert target["labels"] == {"job": "relay", "instance": "127.0.0.1"}, "the node's name is without a port"
    named = [
        name
        for file in ("relay.rules.yml", "relay.alerts.yml")
        for name in re.findall(r"- (?:record|alert): (\S+)", (FILES / file).read_text())
    ]

    def unwell() -> list[str]:
        rules = prometheus.rules()
        return [f"{one['name']}: {one.get('lastError', '')}" for one in rules if one["health"] != "ok"]

    wait_until(lambda: not unwell(), "every rule has been evaluated, and without an error", 60.0, 0.5)
    assert sorted(one["name"] for one in prometheus.rules()) == sorted(named)


def test_what_is_recorded_has_samples(watched: tuple[RunningRelay, Prometheus]) -> None:
    _, prometheus = watched
    rare = {  # a disk that shrinks; a limit that is met
        "instance:relay_spool_headroom_seconds:deriv1h",
        "instance_limit:relay_limits_refused:rate5m",
    }
    records = {one["name"] for one in prometheus.rules() if one["type"] == "recording"} - rare

    def empty() -> set[str]:
        return {name for name in records if not prometheus.query(name)}

    wait_until(lambda: not empty(), "every recording rule has a sample", 60.0, 0.5)


def test_every_panel_has_an_answer(watched: tuple[RunningRelay, Prometheus]) -> None:
    _, prometheus = watched
    empty = [
        f"{row.title}, {panel.title}: {query.expression}"
        for row, panel, query in panels()
        if not prometheus.query(plain(query.expression)) and not query.is_rare
    ]
    assert empty == []


def test_every_metric_that_is_asked_for_is_in_the_scrape(watched: tuple[RunningRelay, Prometheus]) -> None:
    relay, _ = watched
    there = set(re.findall(r"^# TYPE (\S+) ", relay.http("/metrics")[1], re.MULTILINE))
    asked = {name for _, _, query in panels() for name in metrics_in(query.expression)}
    for file in FILES.glob("relay.*.yml"):
        asked |= metrics_in(file.read_text())
    assert len(asked) > 100
    assert {name for name in asked if re.sub(r"_(bucket|sum|count)$", "", name) not in there} == set()


def test_a_relay_that_takes_mail_alarms_nobody(watched: tuple[RunningRelay, Prometheus]) -> None:
    """What is wrong here are receivers, and not for long enough; alerts without patience would be seen."""
    _, prometheus = watched
    firing = prometheus.query('ALERTS{alertstate="firing",severity="critical"}')
    assert [one["alertname"] for one, _ in firing] == []


def metrics_in(text: str) -> set[str]:
    """The names of metrics, as they are in a scrape; not those that rules record."""
    return set(re.findall(r"(?<![:\w\"@.=/])relay_[a-z0-9_]+(?![:\w])", text))


def test_the_names_in_the_files_are_told_from_those_that_rules_record() -> None:
    text = 'sum(rate(relay_a_total[5m])) / instance:relay_b:rate5m > relay_c{x="relay_d"}'
    assert metrics_in(text) == {"relay_a_total", "relay_c"}


def test_the_log_of_prometheus_has_no_complaint(watched: tuple[RunningRelay, Prometheus]) -> None:
    _, prometheus = watched
    lines = Path(prometheus.folder / "log").read_text().splitlines()
    assert lines
    assert [line for line in lines if "level=error" in line or "out-of-order" in line] == []
