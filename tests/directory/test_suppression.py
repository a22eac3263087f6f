"""The lists in the database, on SQLite and on PostgreSQL."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from relay.base.suppression import SERVICE, Listed, SuppressionReason
from relay.directory.store import Directory
from relay.directory.suppression import SuppressionLists
from tests.fakes.clock import ManualClock

BOUNCE, COMPLAINT = SuppressionReason
SHOP = 1


@pytest.fixture(params=["sqlite", "postgresql"])
def directory(
    request: pytest.FixtureRequest, tmp_path: Path, key_file: Path, clock: ManualClock
) -> Iterator[Directory]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'directory.db'}"
    else:
        url = request.getfixturevalue("postgresql_url")
        engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
        with engine.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
        engine.dispose()
    directory = Directory(url, key_file, "us-east-1", clock)
    directory.migrate()
    directory.accounts.create("shop")
    directory.accounts.create("blog")
    yield directory
    directory.close()


@pytest.fixture
def lists(directory: Directory) -> SuppressionLists:
    return directory.suppression


def listed(address: str, since: float = 100.0, reason: SuppressionReason = BOUNCE, by: str = "") -> Listed:
    return Listed(address, reason, since, by)


def test_who_is_on_which_list(lists: SuppressionLists) -> None:
    lists.put([(SHOP, listed("a@x.example")), (SERVICE, listed("b@x.example", 50.0))])
    wanted = {SHOP: ["a@x.example", "b@x.example"], SERVICE: ["a@x.example", "b@x.example"]}
    assert lists.find(wanted, 10.0) == {(SHOP, "a@x.example"): BOUNCE, (SERVICE, "b@x.example"): BOUNCE}
    # the service forgets, an account does not
    assert lists.find(wanted, 50.0) == {(SHOP, "a@x.example"): BOUNCE}
    assert lists.find({SHOP: [f"{n}@x.example" for n in range(1200)] + ["a@x.example"]}, 0.0) == {
        (SHOP, "a@x.example"): BOUNCE
    }


def test_who_puts_overwrites_and_news_only_if_they_are_newer(lists: SuppressionLists) -> None:
    lists.put_newer([(SHOP, listed("a@x.example", 100.0, by="m1"))])
    lists.put_newer([(SHOP, listed("a@x.example", 90.0, by="m0"))])
    lists.put_newer([(SHOP, listed("a@x.example", 100.0, by="m2"))])
    assert list(lists.listed(SHOP)) == [listed("a@x.example", 100.0, by="m1")]
    lists.put_newer([(SHOP, listed("a@x.example", 101.0, COMPLAINT, "m3"))])
    lists.put_newer([(SHOP, listed("a@x.example", 102.0, BOUNCE, "m4"))])
    assert list(lists.listed(SHOP)) == [listed("a@x.example", 102.0, COMPLAINT, "m4")]
    lists.put([(SHOP, listed("a@x.example", 5.0, BOUNCE))])
    assert list(lists.listed(SHOP)) == [listed("a@x.example", 5.0)]


def test_a_list_is_read_in_pages(lists: SuppressionLists, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.directory.suppression._PAGE", 3)
    entries = [
        listed(f"{n}@x.example", 100.0 + n, COMPLAINT if n % 2 else BOUNCE, f"m{n}") for n in range(10)
    ]
    lists.put([(SHOP, one) for one in reversed(entries)])
    lists.put([(SERVICE, listed("z@x.example"))])
    assert list(lists.listed(SHOP)) == entries
    assert list(lists.listed(SHOP, limit=4)) == entries[:4]
    assert list(lists.listed(SHOP, after="3@x.example", limit=4)) == entries[4:8]
    assert list(lists.listed(SHOP, reason=COMPLAINT)) == entries[1::2]
    assert list(lists.listed(SHOP, start=103.0, end=106.0)) == entries[3:6]
    assert list(lists.listed(SHOP, after="9@x.example")) == []
    assert (lists.count(SHOP), lists.count(SERVICE), lists.count(2)) == (10, 1, 0)


def test_everywhere(lists: SuppressionLists) -> None:
    on = [(SERVICE, listed("a@x.example")), (2, listed("a@x.example", 7.0)), (SHOP, listed("a@x.example"))]
    lists.put([*on, (SHOP, listed("b@x.example"))])
    assert lists.everywhere("a@x.example") == on  # by the names of the accounts: blog, shop
    assert lists.everywhere("c@x.example") == []


def test_what_is_taken_off_is_off(lists: SuppressionLists) -> None:
    lists.put([(SHOP, listed("a@x.example")), (2, listed("a@x.example"))])
    assert lists.remove(SHOP, ["a@x.example", "b@x.example"]) == ["a@x.example"]
    assert lists.remove(SHOP, ["a@x.example"]) == []
    assert lists.count(2) == 1


def test_serials_grow_and_are_never_given_twice(lists: SuppressionLists) -> None:
    assert lists.serial() == 0
    lists.put([(SHOP, listed("a@x.example")), (SHOP, listed("b@x.example"))])
    assert lists.changes(0, 10) == [(1, SHOP, "a@x.example"), (2, SHOP, "b@x.example")]
    lists.remove(SHOP, ["b@x.example"])
    lists.put([(SERVICE, listed("c@x.example"))])
    assert lists.serial() == 3
    assert lists.changes(2, 10) == [(3, SERVICE, "c@x.example")]
    lists.put([(SHOP, listed("a@x.example"))])  # put again: whoever polls hears of it again
    assert lists.changes(2, 1) == [(3, SERVICE, "c@x.example")]
    assert lists.changes(3, 10) == [(4, SHOP, "a@x.example")]
    lists.put([])
    assert lists.serial() == 4


def test_who_polls_while_others_write_misses_nothing(lists: SuppressionLists) -> None:
    def write(who: int) -> None:
        for n in range(20):
            lists.put([(SHOP, listed(f"{who}-{n}-{k}@x.example")) for k in range(3)])

    threads = [threading.Thread(target=write, args=(who,)) for who in range(3)]
    for thread in threads:
        thread.start()
    seen: list[str] = []
    reached = 0
    while any(thread.is_alive() for thread in threads) or reached < lists.serial():
        for serial, _, address in lists.changes(reached, 7):
            seen.append(address)
            reached = serial
    for thread in threads:
        thread.join()
    assert len(seen) == len(set(seen)) == 180


def test_who_puts_and_who_takes_off_do_not_wait_for_each_other_for_ever(lists: SuppressionLists) -> None:
    addresses = [f"{n}@x.example" for n in range(400)]
    failures: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            for _ in range(15):
                work()
        except BaseException as error:
            failures.append(error)

    works: list[Callable[[], object]] = [
        lambda: lists.put([(SHOP, listed(one)) for one in addresses]),
        lambda: lists.put_newer([(SHOP, listed(one)) for one in reversed(addresses)]),
        lambda: lists.remove(SHOP, addresses[::-1]),
    ]
    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_the_service_forgets(lists: SuppressionLists, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.directory.suppression._PAGE", 3)
    lists.put([(SERVICE, listed(f"{n}@x.example", float(n))) for n in range(10)] + [(SHOP, listed("0", 0.0))])
    assert lists.prune(6.0) == 7
    assert [one.since for one in lists.listed(SERVICE)] == [7.0, 8.0, 9.0]
    assert lists.prune(6.0) == 0
    assert lists.count(SHOP) == 1


def test_the_lists_leave_the_revision_alone_and_go_with_their_account(directory: Directory) -> None:
    lists, revision = directory.suppression, directory.revision()
    lists.put([(SHOP, listed("a@x.example")), (2, listed("a@x.example"))])
    lists.remove(2, ["a@x.example"])
    assert directory.revision() == revision
    assert lists.reasons([SHOP, 2, 9]) == dict.fromkeys([SHOP, 2], frozenset(SuppressionReason))
    directory.accounts.set("blog", suppressed_reasons=frozenset())
    assert lists.reasons([2]) == {2: frozenset()}
    directory.accounts.delete("shop")
    assert lists.count(SHOP) == 0
