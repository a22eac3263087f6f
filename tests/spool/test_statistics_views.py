"""What the file tells, narrowed down or of all."""

from pathlib import Path

import pytest

from relay.base.counts import OTHER, QUARTER_S, Counts, Place, Sent
from relay.spool.statistics import Statistics
from relay.spool.statistics_views import reading

QUARTER = 1_800_000_000


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    statistics = Statistics(tmp_path)
    counts = {}
    for account, identity, domain, start, number in (
        (7, "shop.example", "a.example", QUARTER, 10),
        (7, "shop.example", "b.example", QUARTER, 20),
        (7, "news.example", "a.example", QUARTER + QUARTER_S, 5),
        (7, "shop.example", OTHER, QUARTER, 90),
        (8, "shop.example", "a.example", QUARTER, 1),
    ):
        counts[Place(account, start, identity, domain)] = Counts(sent=number, mails=number)
    counts[Place(7, QUARTER - QUARTER_S, "shop.example", "a.example")] = Counts(mails=3, bounced=1)
    statistics.add(counts, {1: 1})
    statistics.close()
    return tmp_path


def test_without_a_file_there_is_nothing(tmp_path: Path) -> None:
    with reading(tmp_path) as views:
        assert views.accounts() == views.points(None, 0.0) == views.volume(7) == []
        assert (views.total(None, 0.0), views.standings()) == (Counts(), {})


def test_points_of_one_and_of_all(spool: Path) -> None:
    with reading(spool) as views:
        assert (views.accounts(), views.position()) == ([7, 8], {1: 1})
        assert [(at, one.sent) for at, one in views.points(7, 0.0)] == [
            (QUARTER, 120),
            (QUARTER + QUARTER_S, 5),
        ]
        assert next((at, one.sent) for at, one in views.points(None, 0.0)) == (QUARTER, 121)
        assert [at for at, _ in views.points(None, QUARTER + QUARTER_S)] == [QUARTER + QUARTER_S]
        assert [at for at, _ in views.points(7, QUARTER + 10.0)] == [QUARTER, QUARTER + QUARTER_S]
        assert views.points(9, 0.0) == []


def test_narrowed_down(spool: Path) -> None:
    with reading(spool) as views:
        assert [one.sent for _, one in views.points(7, 0.0, identity="news.example")] == [5]
        assert [one.sent for _, one in views.points(None, 0.0, domain="a.example")] == [11, 5]
        assert views.total(7, 0.0, identity="shop.example", domain="b.example").sent == 20
        assert views.total(None, 0.0).sent == 126
        assert views.volume(7, domain="a.example") == [
            Sent(QUARTER + QUARTER_S, 5, 0, 0),
            Sent(QUARTER, 10, 0, 0),
            Sent(QUARTER - QUARTER_S, 3, 1, 0),
        ]
        assert views.volume(7)[-1] == Sent(QUARTER - QUARTER_S, 3, 1, 0)


def test_domains_with_the_most_mail_first_and_the_rest_last(spool: Path) -> None:
    with reading(spool) as views:
        assert [(name, one.sent) for name, one in views.domains(None, 0.0, 10)] == [
            ("b.example", 20),
            ("a.example", 16),
            (OTHER, 90),
        ]
        assert [name for name, _ in views.domains(7, 0.0, 1)] == ["b.example"]
        assert [name for name, _ in views.domains(7, 0.0, 10, "news.example", "a.example")] == ["a.example"]
