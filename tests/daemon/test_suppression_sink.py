"""Bounces and complaints in the event log put addresses on the lists, once, and over crashes."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.base.errors import DirectoryError
from relay.base.events import EventKind
from relay.base.suppression import SERVICE, Listed, SuppressionReason
from relay.daemon.notifier.following import Follower
from relay.daemon.notifier.suppression_sink import NAME, SuppressionSink
from relay.directory.secrets import create_key_file
from relay.directory.store import Directory
from relay.directory.suppression import SuppressionLists
from relay.spool.positions import OWN, Positions
from tests.fakes.clock import ManualClock
from tests.fakes.event_log import Shards

BOUNCE, COMPLAINT = SuppressionReason
DAY = 86_400.0
SHOP, QUIET = 1, 2


class Told(Shards):
    """Shards in which bounces and complaints are told."""

    def tell(self, kind: EventKind, address: str, at: float, *, account: int = SHOP, **more: object) -> str:
        detail: dict[str, object] = {"recipient": address, "source": "smtp"}
        if kind is EventKind.BOUNCE:
            detail |= {"bounceType": "Permanent", "bounceSubType": "General"}
        self.add(1, 1, kind, at, account=account, detail=json.dumps(detail | more))
        return self.ids[0]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def directory(tmp_path: Path, clock: ManualClock) -> Iterator[Directory]:
    create_key_file(tmp_path / "relay.key")
    directory = Directory(f"sqlite:///{tmp_path / 'directory.db'}", tmp_path / "relay.key", "x", clock)
    directory.migrate()
    directory.accounts.create("shop")
    directory.accounts.create("quiet")
    directory.accounts.set("quiet", suppressed_reasons=frozenset())
    yield directory
    directory.close()


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    made = Told(tmp_path / "spool", 1)
    yield made
    made.close()


def sink_of(lists: SuppressionLists, spool: Path, clock: ManualClock) -> SuppressionSink:
    return SuppressionSink(lists, Positions(spool), clock, lambda: 14 * DAY, lambda: "relay.example")


def entries(directory: Directory) -> dict[int, dict[str, Listed]]:
    return {
        number: {one.address: one for one in directory.suppression.listed(number)}
        for number in (SERVICE, SHOP, QUIET)
    }


async def test_who_bounces_or_complains_is_put_on_the_lists(
    told: Told, directory: Directory, clock: ManualClock
) -> None:
    now = clock.now()
    by = told.tell(EventKind.BOUNCE, "Gone@x.example", now - 5)
    told.tell(EventKind.BOUNCE, "full@x.example", now - 4, bounceType="Transient")
    told.tell(EventKind.BOUNCE, "gone-too@x.example", now - 3, account=QUIET)
    told.tell(EventKind.COMPLAINT, "angry@x.example", now - 2, source="arf")
    told.tell(EventKind.COMPLAINT, "cross@x.example", now - 1, account=QUIET, source="arf")
    told.tell(EventKind.DELIVERY, "fine@x.example", now)
    follower = Follower(told.path, sink_of(directory.suppression, told.path, clock))
    assert await follower.step()
    gone = Listed("gone@x.example", BOUNCE, now - 5, by)
    angry = Listed("angry@x.example", COMPLAINT, now - 2, by)
    assert entries(directory) == {
        SERVICE: {
            "gone@x.example": gone,
            "gone-too@x.example": Listed("gone-too@x.example", BOUNCE, now - 3, by),
            "angry@x.example": angry,
        },
        SHOP: {"gone@x.example": gone, "angry@x.example": angry},
        QUIET: {},
    }
    assert not await follower.step()


async def test_the_same_events_again_change_nothing(
    told: Told, directory: Directory, clock: ManualClock
) -> None:
    for n in range(3):
        told.tell(EventKind.BOUNCE, f"{n}@x.example", clock.now() - n)
    await Follower(told.path, sink_of(directory.suppression, told.path, clock)).step()
    before = entries(directory)
    Positions(told.path).forget(OWN + NAME)  # killed before the position was on disk
    await Follower(told.path, sink_of(directory.suppression, told.path, clock)).step()
    assert entries(directory) == before


async def test_it_goes_on_where_it_was(told: Told, directory: Directory, clock: ManualClock) -> None:
    told.tell(EventKind.BOUNCE, "a@x.example", clock.now())
    await Follower(told.path, sink_of(directory.suppression, told.path, clock)).step()
    directory.suppression.remove(SHOP, ["a@x.example"])
    told.tell(EventKind.BOUNCE, "b@x.example", clock.now())
    await Follower(told.path, sink_of(directory.suppression, told.path, clock)).step()
    assert set(entries(directory)[SHOP]) == {"b@x.example"}


async def test_one_batch_tells_of_an_address_more_than_once(
    told: Told, directory: Directory, clock: ManualClock
) -> None:
    now = clock.now()
    told.tell(EventKind.COMPLAINT, "a@x.example", now - 3, source="arf")
    told.tell(EventKind.BOUNCE, "a@x.example", now - 1)
    told.tell(EventKind.BOUNCE, "A@x.example", now - 2)
    await Follower(told.path, sink_of(directory.suppression, told.path, clock)).step()
    found = entries(directory)[SHOP]["a@x.example"]
    assert (found.reason, found.since) == (COMPLAINT, now - 1)


async def test_the_service_forgets_after_its_time_and_a_new_bounce_begins_it_anew(
    told: Told, directory: Directory, clock: ManualClock
) -> None:
    start = clock.now()
    sink = sink_of(directory.suppression, told.path, clock)
    follower = Follower(told.path, sink)
    told.tell(EventKind.BOUNCE, "a@x.example", clock.now())
    told.tell(EventKind.BOUNCE, "b@x.example", clock.now())
    await follower.step()
    clock.advance(10 * DAY)
    told.tell(EventKind.BOUNCE, "b@x.example", clock.now())
    await follower.step()
    assert {one.since for one in entries(directory)[SERVICE].values()} == {start, start + 10 * DAY}
    clock.advance(5 * DAY)
    told.tell(EventKind.DELIVERY, "c@x.example", clock.now())
    await follower.step()
    assert set(entries(directory)[SERVICE]) == {"b@x.example"}
    assert set(entries(directory)[SHOP]) == {"a@x.example", "b@x.example"}


async def test_what_cannot_be_written_comes_again(
    told: Told, directory: Directory, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.tell(EventKind.BOUNCE, "a@x.example", clock.now())
    follower = Follower(told.path, sink_of(directory.suppression, told.path, clock))

    def locked(_: object) -> None:
        raise DirectoryError("locked")

    with monkeypatch.context() as patch:
        patch.setattr(directory.suppression, "put_newer", locked)
        with pytest.raises(DirectoryError, match="locked"):
            await follower.step()
    assert Positions(told.path).get(OWN + NAME) == {}  # what the follower has written down is not further
    assert await follower.step()
    assert set(entries(directory)[SHOP]) == {"a@x.example"}


async def test_mail_that_concerns_no_list_costs_no_write(
    told: Told, directory: Directory, clock: ManualClock
) -> None:
    sink = sink_of(directory.suppression, told.path, clock)
    await sink.take([], {1: 5})
    assert Positions(told.path).get(OWN + NAME) == {}
    told.tell(EventKind.BOUNCE, "a@x.example", clock.now(), bounceType="Transient")
    await Follower(told.path, sink).step()
    assert Positions(told.path).get(OWN + NAME) == {1: 1}


async def test_a_complaint_of_one_of_several_puts_none_on_a_list(
    told: Told, directory: Directory, clock: ManualClock
) -> None:
    for address in ("a@x.example", "b@x.example"):
        told.tell(EventKind.COMPLAINT, address, clock.now(), source="arf")
    told.tell(EventKind.COMPLAINT, "c@x.example", clock.now() + 1.0, source="arf")
    told.tell(EventKind.BOUNCE, "d@x.example", clock.now())
    told.tell(EventKind.BOUNCE, "e@x.example", clock.now())
    await Follower(told.path, sink_of(directory.suppression, told.path, clock)).step()
    assert set(entries(directory)[SHOP]) == {"c@x.example", "d@x.example", "e@x.example"}
