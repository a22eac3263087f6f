"""The statistics file: counts and position in one transaction, bounded domains, standings."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.base.counts import OTHER, QUARTER_S, Counts, Place, Sent
from relay.base.errors import SpoolCorrupt, SpoolError
from relay.spool import statistics as module
from relay.spool.statistics import FILE, YOUNG_DOMAINS, Statistics
from relay.spool.statistics_views import reading

QUARTER = 1_800_000_000
HERE = Place(7, QUARTER, "shop.example", "there.example")


@pytest.fixture
def statistics(tmp_path: Path) -> Iterator[Statistics]:
    made = Statistics(tmp_path)
    yield made
    made.close()


def test_counts_add_up_and_the_position_is_kept(statistics: Statistics, tmp_path: Path) -> None:
    assert statistics.position() == {}
    statistics.add(
        {HERE: Counts(sent=2, mails=2), HERE._replace(account_id=8): Counts(sent=5)}, {1: 10, 2: 3}
    )
    statistics.add({HERE: Counts(delivered=1, bounced=1)}, {1: 12})
    assert statistics.position() == {1: 12, 2: 3}
    statistics.close()
    again = Statistics(tmp_path)
    assert again.position() == {1: 12, 2: 3}
    again.close()
    with reading(tmp_path) as views:
        assert views.points(7, 0.0) == [(QUARTER, Counts(sent=2, delivered=1, mails=2, bounced=1))]
        assert views.volume(7) == [Sent(QUARTER, 2, 1, 0)]
        assert views.volume(8) == []


def test_nothing_of_a_batch_that_fails_is_counted(
    statistics: Statistics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statistics.add({HERE: Counts(sent=1)}, {1: 1})
    with monkeypatch.context() as patched:
        patched.setattr(module, "ADD_VOLUME", "INSERT INTO no_such_table VALUES (?, ?, ?, ?, ?, ?)")
        with pytest.raises(SpoolError, match=FILE):
            statistics.add({HERE: Counts(sent=1, mails=1)}, {1: 2})
    assert statistics.position() == {1: 1}
    statistics.add({HERE: Counts(sent=1, mails=1)}, {1: 2})
    with reading(tmp_path) as views:
        assert views.total(7, 0.0).sent == 2


def test_a_young_quarter_has_so_many_domains_and_no_more(statistics: Statistics, tmp_path: Path) -> None:
    for start in range(0, YOUNG_DOMAINS + 40, 40):  # in several batches
        counts = {HERE._replace(domain=f"d{n}.example"): Counts(sent=1) for n in range(start, start + 40)}
        statistics.add(counts, {1: start})
    statistics.add({HERE._replace(domain="d1.example"): Counts(sent=1)}, {1: 1})
    with reading(tmp_path) as views:
        found = dict(views.domains(7, 0.0, 10_000))
    assert len(found) == YOUNG_DOMAINS + 1
    assert found[OTHER].sent == 40
    assert found["d1.example"].sent == 2


def test_an_account_that_is_judged_anew(statistics: Statistics, tmp_path: Path) -> None:
    statistics.add({HERE: Counts(sent=9, mails=9, bounced=3)}, {1: 1})
    statistics.put_standing(7, "paused")
    assert statistics.standings() == {7: (0.0, "paused")}
    statistics.judge_anew(7, QUARTER + 5.0, "fresh")
    statistics.add({HERE: Counts(mails=1)}, {1: 2})
    statistics.put_standing(7, "later")
    with reading(tmp_path) as views:
        assert views.standings() == {7: (QUARTER + 5.0, "later")}
        assert views.volume(7) == views.volume(7, identity="shop.example") == [Sent(QUARTER, 1, 0, 0)]
        assert views.total(7, 0.0).sent == 9  # what happened has happened


def test_a_damaged_file_is_named_and_at_the_start_set_aside(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"x" * 8192)
    damaged = Statistics(tmp_path)
    with pytest.raises(SpoolCorrupt, match=r"statistics\.db: .*not a database"):
        damaged.standings()
    with pytest.raises(SpoolError, match=r"statistics\.db"), reading(tmp_path) as views:
        views.points(7, 0.0)
    assert damaged.position() == {}
    damaged.add({HERE: Counts(sent=1)}, {1: 1})
    damaged.close()
    assert (tmp_path / "corrupt" / f"{FILE}-1").read_bytes() == b"x" * 8192
    (tmp_path / FILE).write_bytes(b"y" * 8192)
    assert damaged.position() == {}
    damaged.close()
    assert (tmp_path / "corrupt" / f"{FILE}-2").read_bytes() == b"y" * 8192


def test_a_file_that_cannot_be_opened_is_left_where_it_is(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(SpoolError, match="unable to open"):
        Statistics(tmp_path).position()
    assert (tmp_path / FILE).is_dir()


def test_readers_do_not_hold_up_the_writer(statistics: Statistics, tmp_path: Path) -> None:
    statistics.add({HERE: Counts(sent=1)}, {1: 1})
    with reading(tmp_path) as views:
        assert views.total(7, 0.0).sent == 1
        statistics.add({HERE: Counts(sent=1)}, {1: 2})
        assert views.total(7, 0.0).sent == 1  # one view is one moment
    with sqlite3.connect(tmp_path / FILE) as connection:
        assert connection.execute("SELECT count(*), max(start % ?) FROM point", (QUARTER_S,)).fetchone() == (
            1,
            0,
        )
    connection.close()


def test_a_file_that_is_removed_in_use_is_made_anew_from_the_beginning(
    statistics: Statistics, tmp_path: Path
) -> None:
    statistics.add({HERE: Counts(sent=1)}, {1: 1})
    (tmp_path / FILE).unlink()
    for _ in range(2):  # whoever asks first: it stays so until the position is asked
        with pytest.raises(SpoolCorrupt, match="removed"):
            statistics.standings()
    assert statistics.position() == {}
    statistics.add({HERE: Counts(sent=5)}, {1: 5})
    with reading(tmp_path) as views:
        assert views.total(7, 0.0).sent == 5
    assert not (tmp_path / "corrupt").exists()


def test_a_file_that_is_found_damaged_in_use_is_set_aside(statistics: Statistics, tmp_path: Path) -> None:
    statistics.add({HERE: Counts(sent=1)}, {1: 1})
    statistics.close()
    pages = (tmp_path / FILE).read_bytes()
    with (tmp_path / FILE).open("r+b") as stream:  # all but what says that it is a database, and the schema
        stream.seek(4096)
        stream.write(b"\xff" * (len(pages) - 4096))
    with pytest.raises(SpoolCorrupt, match=FILE):
        statistics.add({HERE: Counts(sent=1)}, {1: 2})
    with pytest.raises(SpoolCorrupt, match=FILE):
        statistics.standings()
    assert statistics.position() == {}
    assert (tmp_path / "corrupt" / f"{FILE}-1").exists()
    statistics.add({HERE: Counts(sent=1)}, {1: 2})
