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
    after = scrape(shared_relay)
    for name in ("relay_messages_accepted_total", "relay_recipients_delivered_total"):
        assert after[name] - before[name] == 1, name
    assert after["relay_worker_up"] == 2
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
