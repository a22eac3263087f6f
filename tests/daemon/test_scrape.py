"""What the supervisor answers a scrape from: what was sent last, whoever is busy meanwhile."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from relay.admin.metric import Of
from relay.admin.metric_names import METRICS
from relay.daemon.settings.config import Config, parse
from relay.daemon.supervisor.child import Child, Restarts
from relay.daemon.supervisor.scrape import SILENT_S, Scrape
from relay.daemon.vitals import Vitals
from tests.fakes.clock import ManualClock


@dataclass
class Scene:
    """Two workers, the second not ready; a notifier that has not been heard."""

    config: Config
    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        self.child = Child.__new__(Child)
        self.child.number, self.child.published, self.child.published_at = 0, {}, 0.0
        self.workers = SimpleNamespace(
            ready=[self.child],
            readiness=lambda: {0: True, 1: False},
            restarts={0: Restarts(), 1: Restarts(count=3)},
        )
        self.notifier = SimpleNamespace(published={}, is_ready=False, restarts=Restarts(count=1))
        self.reloading = SimpleNamespace(done=2, failed=1, last=SimpleNamespace(ok=False), done_at=1234.5)
        self.scrape = Scrape(
            lambda: self.config,
            self.workers,  # type: ignore[arg-type]
            self.notifier,  # type: ignore[arg-type]
            SimpleNamespace(used=lambda account: 10 * account),  # type: ignore[arg-type]
            self.reloading,  # type: ignore[arg-type]
            Vitals(self.clock),
            self.clock,
        )

    def publish(self, **readings: Any) -> None:
        self.child.publish(readings, self.clock.monotonic())


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    text = f"[spool]\npath = '{tmp_path}'\n[tls]\ncertificate = 'gone.pem'\nprivate_key = 'gone.key'\n"
    return Scene(parse(text, tmp_path / "relay.toml"))


def test_a_scrape_shows_what_was_sent_last_and_how_old_it_is(scene: Scene) -> None:
    assert 'relay_messages_accepted_total{worker="0"}' not in scene.scrape.metrics("")[0].decode()
    scene.publish(accepted=1)
    scene.clock.advance(2.5)
    text = scene.scrape.metrics("")[0].decode()
    assert 'relay_messages_accepted_total{worker="0"} 1.0\n' in text
    assert 'relay_worker_readings_age_seconds{worker="0"} 2.5\n' in text
    scene.publish(accepted=2)
    text = scene.scrape.metrics("")[0].decode()
    assert 'relay_messages_accepted_total{worker="0"} 2.0\n' in text
    assert 'relay_worker_readings_age_seconds{worker="0"} 0.0\n' in text


def test_what_the_supervisor_knows(scene: Scene) -> None:
    throttled = {"refused": 4, "delayed": 0, "held": 0}
    scene.publish(limited_accounts={"7": {"name": "a shop", "quota": 100, "rate": 5, "throttled": throttled}})
    own = scene.scrape.everything().supervisor
    known = {metric.key for whose in (Of.SUPERVISOR, Of.PROCESS) for metric in METRICS[whose]}
    assert known - set(own) == set()
    assert own["worker_up"] == {"0": True, "1": False}
    assert own["worker_restarts"] == {"0": 0, "1": 3}
    assert (own["notifier_up"], own["notifier_restarts"]) == (False, 1)
    assert (own["reloads"], own["reload_failures"], own["reload_is_good"], own["reloaded_at"]) == (
        2, 1, False, 1234.5,
    )  # fmt: skip
    assert own["account_sent"] == {"a shop": 70}
    assert own["account_throttled"]["refused a shop"] == 4
    (file,) = own["certificate_unreadable"]
    assert (own["certificate_unreadable"][file], own["certificate_ends_at"]) == (True, {})
    assert 0 < own["spool_free_bytes"] <= own["spool_size_bytes"]
    text = scene.scrape.metrics("")[0].decode()
    assert 'relay_account_throttled_total{outcome="refused",account="a shop"} 4.0\n' in text


def test_a_disk_that_cannot_be_asked_leaves_the_rest(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.statvfs", fail)
    assert "spool_free_bytes" not in scene.scrape.everything().supervisor


def test_health_is_of_those_that_were_heard_of_late(scene: Scene) -> None:
    assert scene.scrape.health(is_draining=False).status == "failing"  # nothing was heard yet
    scene.publish(accepted=1)
    health = scene.scrape.health(is_draining=False)
    assert (health.status, health.reasons) == ("degraded", ("worker 1 is not ready",))
    scene.publish(spool_full=True)
    assert "reserve is reached" in scene.scrape.health(is_draining=False).reasons[1]
    scene.publish(accepted=1)
    scene.clock.advance(SILENT_S + 1)
    assert scene.scrape.health(is_draining=False).status == "failing"
    assert scene.scrape.health(is_draining=True).reasons == ("the relay drains",)
