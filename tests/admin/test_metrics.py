"""The scrape: accepted by promtool, complete, and of bounded size."""

import re
import subprocess

from relay.admin import metrics
from relay.admin.metrics import NotifierReadings, SupervisorReadings, render
from tests.fakes.machine import need

NOTIFIER = NotifierReadings(
    is_ready=True,
    restarts=2,
    counted={
        "taken": {"statistics": 40},
        "behind": {"statistics": 2},
        "take_failures": {"statistics": 1},
        "bounces": {"Permanent": 3, "Transient": 0},
        "complaints": 5,
        "bounce_rates": {"shop": 0.06},
        "complaint_rates": {"shop": 0.0},
        "statuses": {"shop": 2},
    },
)
SUPERVISOR = SupervisorReadings({0: True, 1: False}, {0: 0, 1: 3}, 1_800_000_000.5, "0.1.0", NOTIFIER)
READINGS = {
    "accepted": 17,
    "delivery_seconds": 1.5,
    "refused": {"554": 2, "451": 1},
    "reasons": {"timeout": 4},
    "spool_full": True,
    "fresh_bytes": 1_000_000_000_000,
}


def samples(workers: dict[int, dict[str, object]]) -> dict[str, float]:
    lines = render(workers, SUPERVISOR).decode().splitlines()
    return {
        name: float(value)
        for name, _, value in (one.rpartition(" ") for one in lines if not one.startswith("#"))
    }


def test_what_a_worker_counts_is_a_sample_of_it() -> None:
    found = samples({0: READINGS})
    assert found['relay_messages_accepted_total{worker="0"}'] == 17
    assert found['relay_delivery_seconds_total{worker="0"}'] == 1.5
    assert found['relay_messages_refused_total{code="554",worker="0"}'] == 2
    assert found['relay_outcomes_total{reason="timeout",worker="0"}'] == 4
    assert found['relay_spool_full{worker="0"}'] == 1
    assert found['relay_queue_memory_bytes{worker="0"}'] == 1e12
    assert found['relay_recipients_failed_total{worker="0"}'] == 0


def test_what_the_supervisor_knows_is_there_without_any_worker() -> None:
    found = samples({})
    assert found['relay_worker_up{worker="0"}'] == 1
    assert found['relay_worker_up{worker="1"}'] == 0
    assert found['relay_worker_restarts_total{worker="1"}'] == 3
    assert found["relay_start_time_seconds"] == 1_800_000_000.5
    assert found['relay_info{version="0.1.0"}'] == 1
    assert not any(name.startswith("relay_messages") for name in found)


def test_what_the_notifier_counts() -> None:
    found = samples({})
    assert found['relay_events_taken_total{sink="statistics"}'] == 40
    assert found['relay_events_behind{sink="statistics"}'] == 2
    assert found['relay_events_failures_total{sink="statistics"}'] == 1
    assert found['relay_bounces_total{type="Permanent"}'] == 3
    assert found["relay_complaints_total"] == 5
    assert found['relay_account_bounce_rate{account="shop"}'] == 0.06
    assert found['relay_account_complaint_rate{account="shop"}'] == 0
    assert found['relay_account_reputation{account="shop"}'] == 2


def test_names_are_ours_and_labels_few() -> None:
    names = re.findall(r"^([a-z_]+)(?:\{(.*)\})? ", render({0: READINGS}, SUPERVISOR).decode(), re.MULTILINE)
    assert names
    for name, labels in names:
        assert name.startswith("relay_")
        assert {label.partition("=")[0] for label in labels.split(",") if label} <= {
            "worker",
            "code",
            "reason",
            "version",
            "sink",
            "type",
            "account",
        }


def test_the_content_type_says_what_is_rendered() -> None:
    assert metrics.CONTENT_TYPE == "text/plain; version=0.0.4; charset=utf-8"
    assert not render({0: READINGS}, SUPERVISOR).endswith(b"# EOF\n")  # that would be OpenMetrics


def test_promtool_accepts_it() -> None:
    ended = subprocess.run(
        [need("promtool", "prometheus"), "check", "metrics"],
        input=render({0: READINGS, 1: READINGS}, SUPERVISOR),
        capture_output=True,
    )
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, b"")
