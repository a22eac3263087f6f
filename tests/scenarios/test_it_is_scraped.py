"""/metrics and /healthz, read by those who will read them."""

import json
import os
import signal
import subprocess

from prometheus_client.parser import text_string_to_metric_families

from tests.fakes.machine import need
from tests.fakes.prepared import message, wait_until
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
