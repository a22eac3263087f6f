"""/metrics and /healthz, read by those who will read them."""

import json
import os
import signal
import smtplib
import subprocess
import urllib.request

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from tests.fakes.machine import need
from tests.fakes.prepared import Port, message, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.conftest import StartRelay
from tests.scenarios.receiver import Receiver


def scrape(relay: RunningRelay) -> dict[str, float]:
    """Samples summed over workers, by name."""
    status, text = relay.http("/metrics")
    assert status == 200
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0) + sample.value
    return found


def test_prometheus_can_read_it(shared_relay: RunningRelay, shared_receiver: Receiver) -> None:
    before = scrape(shared_relay)
    shared_relay.wait_for_event(shared_relay.send(message("counted")), "delivered")
    counted = [
        "relay_messages_accepted_total",
        "relay_recipients_accepted_total",
        "relay_accept_seconds_count",
        "relay_message_size_bytes_count",
        "relay_attempts_total",
        "relay_first_attempt_seconds_count",
        "relay_recipients_delivered_total",
        "relay_delivery_seconds_count",
    ]
    wait_until(lambda: all(scrape(shared_relay)[name] > before[name] for name in counted), "it is counted")
    after = scrape(shared_relay)
    assert {name: after[name] - before[name] for name in counted} == dict.fromkeys(counted, 1)
    assert after["relay_worker_up"] == 2
    assert after["relay_spool_sync_seconds_count"] >= after["relay_spool_commits_total"] > 0
    assert after["relay_spool_free_bytes"] > after["relay_spool_reserve_bytes"] > 0
    assert after["relay_tls_certificate_expiry_timestamp_seconds"] > after["relay_start_time_seconds"]
    assert after["relay_worker_readings_age_seconds"] >= 0
    assert all(name.startswith("relay_") for name in after)


def test_promtool_has_nothing_to_say(shared_relay: RunningRelay) -> None:
    _, text = shared_relay.http("/metrics")
    words = [need("promtool", "prometheus"), "check", "metrics"]
    ended = subprocess.run(words, input=text.encode(), capture_output=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")


def test_who_asks_for_open_metrics_gets_it(shared_relay: RunningRelay) -> None:
    asks_for = {"Accept": "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2"}
    wanted = urllib.request.Request(f"http://127.0.0.1:{shared_relay.metrics}/metrics", headers=asks_for)
    with urllib.request.urlopen(wanted, timeout=30) as answer:
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        families = {one.name: one for one in open_metrics(answer.read().decode())}
    assert families["relay_messages_accepted"].type == "counter"
    assert families["relay_accept_seconds"].type == "histogram"


def test_what_became_of_clients_is_told_by_reason(shared_relay: RunningRelay) -> None:
    relay = shared_relay
    with relay.connect() as client, pytest.raises(smtplib.SMTPAuthenticationError):
        client.login(relay.prepared.username, "wrong")
    with relay.client() as client, pytest.raises(smtplib.SMTPDataError):
        client.sendmail(
            "app@stranger.example", "a@receiver.example", b"From: app@stranger.example\r\n\r\nhi\r\n"
        )
    one = 'worker="."'
    for line in (
        f'relay_client_auth_failures_total{{{one},reason="invalid"}} [1-9]',
        f'relay_messages_refused_total{{{one},code="554",reason="identity"}} [1-9]',
        f'relay_client_tls_versions_total{{{one},version="TLSv1.3"}} [1-9]',
        f'relay_listener_connections_total{{{one},listener="[^"]*:{relay.starttls}"}} [1-9]',
        'relay_process_open_fds{process="worker-0"} [1-9]',
        'relay_process_start_time_seconds{process="notifier"} [1-9]',
        'relay_consumer_behind_events{consumer="relay/statistics"} ',
    ):
        relay.wait_for_scrape(line, timeout_s=120.0)


def test_a_worker_that_stands_still_holds_up_no_scrape(start_relay: StartRelay) -> None:
    nobody = Port()
    try:
        relay = start_relay(next_hop=nobody.number, workers=1, retry='["1h"]')
        relay.wait_for_event(relay.send(message("waits")), "deferred")
        relay.wait_for_scrape('relay_queue_recipients{worker="0",state="waiting"} 1.0')
        relay.wait_for_scrape('relay_queue_oldest_seconds{worker="0",state="waiting"} [0-9.]*[1-9]')
        (worker,) = relay.worker_pids()
        os.kill(worker, signal.SIGSTOP)
        try:
            relay.wait_for_scrape('relay_worker_readings_age_seconds{worker="0"} [3-9][.]')
            found = scrape(relay)
            assert found["relay_messages_accepted_total"] == 1, "what was said last is still shown"
            assert found["relay_worker_up"] == 1
        finally:
            os.kill(worker, signal.SIGCONT)
        relay.wait_for_scrape('relay_worker_readings_age_seconds{worker="0"} [01][.]')
    finally:
        nobody.free()


def test_health_follows_the_workers(start_relay: StartRelay, receiver: Receiver) -> None:
    relay = start_relay(next_hop=receiver.port)
    status, text = relay.http("/healthz")
    assert (status, json.loads(text)) == (200, {"status": "ok", "reasons": []})
    os.kill(relay.worker_pids()[0], signal.SIGKILL)

    def reasons() -> list[str]:
        status, text = relay.http("/healthz")
        answer = json.loads(text)
        assert (status, answer["status"]) in [(200, "degraded"), (200, "ok")]
        return list(answer["reasons"])

    wait_until(lambda: any("is not ready" in reason for reason in reasons()), "it is noticed")
    wait_until(lambda: not reasons(), "all is well again")
