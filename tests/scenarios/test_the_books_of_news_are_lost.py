"""What the notifier keeps is removed while the relay runs, or is damaged when it starts: mail goes on, the
log says what is to be known, everything is told again, and the statistics are right."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.base.events import EventKind
from relay.daemon.notifier.outbox import FILE as OUTBOX
from relay.spool.positions import FILE as POSITIONS
from relay.spool.statistics import FILE as STATISTICS
from relay.spool.statistics_views import reading
from tests.crash import told as telling
from tests.fakes.authority import Authority
from tests.fakes.endpoint import Endpoint
from tests.fakes.prepared import Prepared, message, wait_until
from tests.scenarios.receiver import Receiver
from tests.scenarios.test_webhooks_are_told import Told

FILES = (OUTBOX, STATISTICS, POSITIONS)


@pytest.fixture
def told(tmp_path: Path, prepared: Prepared, receiver: Receiver) -> Iterator[Told]:
    with Endpoint(Authority(tmp_path)) as endpoint:
        made = Told(tmp_path / "relay", prepared, receiver, endpoint)
        with made.relay:
            yield made
            made.relay.stop()
            assert "Traceback" not in made.relay.log()


def send(told: Told) -> str:
    sent = told.relay.send(message(), "someone@receiver.example")
    told.wait(sent, "Send", "Delivery")
    return sent


def times(told: Told, message_id: str) -> int:
    """How often a message's delivery was taken."""
    return sum(post.message_id == message_id and post.kind == "Delivery" for post in told.endpoint.taken)


def is_counted(told: Told) -> bool:
    """The statistics are what the event log says, and there are positions."""
    spool = told.relay.spool
    logged = list(telling.events(spool))
    deliveries = sum(one.event.kind is EventKind.DELIVERY for one in logged)
    with reading(spool) as views:
        return views.total(None, 0.0).delivered == deliveries and telling.is_all_taken(spool)


def test_removed_or_damaged_they_are_made_anew_and_all_is_told_again(told: Told) -> None:
    spool = told.relay.spool
    first = send(told)
    wait_until(lambda: is_counted(told), "the first is counted")
    for name in FILES:
        for suffix in ("", "-wal", "-shm"):
            (spool / f"{name}{suffix}").unlink(missing_ok=True)
    second = send(told)
    wait_until(lambda: times(told, first) == 2, "the first is told again")
    wait_until(lambda: is_counted(told), "both are counted")
    assert "the outbox of notifications is lost" in told.relay.log()

    told.relay.stop()
    for name in FILES:
        (spool / f"{name}-wal").unlink(missing_ok=True)
        (spool / name).write_bytes(b"no database" * 1000)
    told.relay.start()
    send(told)
    wait_until(lambda: times(told, first) == 3 and times(told, second) >= 2, "both are told again")
    wait_until(lambda: is_counted(told), "all are counted")
    assert all(any((spool / "corrupt").glob(f"*{name}*")) for name in FILES)
    for said in (
        "the outbox of notifications is damaged; set aside, and all kept events are told again",
        "the statistics are damaged; set aside, and counted anew from the events that are kept",
        "the positions of consumers are damaged; set aside",
    ):
        assert said in told.relay.log()
