"""With time: quarters closed, days summed up, old days dropped."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.base.counts import COLUMNS, DAY_S, OTHER, QUARTER_S, Counts, Place, Sent
from relay.spool.statistics import Statistics
from relay.spool.statistics_upkeep import DOMAINS
from relay.spool.statistics_views import Views, reading

DAY = 20_834 * DAY_S
HERE = Place(7, DAY, "shop.example", "there.example")
ALL = {name: 1 for name in COLUMNS}


@pytest.fixture
def statistics(tmp_path: Path) -> Iterator[Statistics]:
    made = Statistics(tmp_path)
    yield made
    made.close()


def domains(views: Views) -> dict[str, int]:
    return {name: counts.sent for name, counts in views.domains(7, 0.0, 10_000)}


def test_a_closed_quarter_keeps_the_domains_with_the_most_mail(
    statistics: Statistics, tmp_path: Path
) -> None:
    small = {HERE._replace(domain=f"s{n:02}.example"): Counts(sent=1) for n in range(30)}
    large = {HERE._replace(domain=f"l{n:02}.example"): Counts(sent=5) for n in range(DOMAINS)}
    statistics.add(small, {1: 1})
    statistics.add(large, {1: 2})
    statistics.add({HERE._replace(domain=""): Counts(rejects=3)}, {1: 3})
    statistics.tidy(DAY + QUARTER_S + 3599.0)
    with reading(tmp_path) as views:
        assert len(domains(views)) == 50
    statistics.tidy(DAY + QUARTER_S + 3600.0)
    with reading(tmp_path) as views:
        assert domains(views) == {f"l{n:02}.example": 5 for n in range(DOMAINS)} | {OTHER: 30}
        assert views.total(7, 0.0).rejects == 3
    late = {
        HERE._replace(domain=name): Counts(hard=1) for name in ("s01.example", "l01.example", "new.example")
    }
    statistics.add(late, {1: 4})
    with reading(tmp_path) as views:
        found = dict(views.domains(7, 0.0, 100))
    assert (found[OTHER].hard, found["l01.example"].hard, len(found)) == (2, 1, DOMAINS + 1)


def test_after_two_weeks_quarters_become_days_and_nothing_is_lost(
    statistics: Statistics, tmp_path: Path
) -> None:
    places = [
        HERE._replace(
            start=DAY + quarter * QUARTER_S, identity=identity, domain=f"d{n}.example", account_id=account
        )
        for quarter in (0, 1, 95, 96)
        for identity in ("shop.example", "info@shop.example")
        for n in range(12)
        for account in (7, 8)
    ]
    statistics.add({place: Counts(**ALL) for place in places}, {1: 1})
    with reading(tmp_path) as views:
        before = views.total(7, 0.0), views.total(8, 0.0), views.volume(7)
    assert before[2] == [Sent(DAY + n * QUARTER_S, 24, 24, 24) for n in (96, 95, 1, 0)]
    statistics.tidy(DAY + 15 * DAY_S)
    with reading(tmp_path) as views:
        assert (views.total(7, 0.0), views.total(8, 0.0)) == before[:2]
        assert [start for start, _ in views.points(7, 0.0)] == [DAY + 96 * QUARTER_S]
        assert views.volume(7) == [Sent(DAY + DAY_S, 24, 24, 24), Sent(DAY, 72, 72, 72)]
        assert views.volume(7, identity="shop.example", domain="d3.example") == [
            Sent(DAY + DAY_S, 1, 1, 1),
            Sent(DAY, 3, 3, 3),
        ]
    statistics.add({HERE._replace(start=DAY + QUARTER_S, domain="d3.example"): Counts(bounced=1)}, {1: 2})
    with reading(tmp_path) as views:  # a bounce of a mail of long ago
        assert views.volume(7)[1] == Sent(DAY, 72, 73, 72)
        assert views.points(7, 0.0) == [(DAY + 96 * QUARTER_S, Counts(*[24] * 10))]
    statistics.tidy(DAY + 15 * DAY_S + QUARTER_S)
    with reading(tmp_path) as views:
        assert views.points(7, 0.0) == []
        assert views.volume(7) == [Sent(DAY + DAY_S, 24, 24, 24), Sent(DAY, 72, 73, 72)]


def test_a_day_has_as_few_domains_as_a_quarter(statistics: Statistics, tmp_path: Path) -> None:
    for quarter in range(3):
        counts = {
            HERE._replace(start=DAY + quarter * QUARTER_S, domain=f"q{quarter}n{n}.example"): Counts(
                sent=n + 1
            )
            for n in range(DOMAINS)
        }
        statistics.add(counts, {1: quarter})
    statistics.tidy(DAY + 16 * DAY_S)
    with reading(tmp_path) as views:
        found = domains(views)
    assert len(found) == DOMAINS + 1
    assert sum(found.values()) == 3 * sum(range(1, DOMAINS + 1))


def test_days_are_dropped_after_a_year(statistics: Statistics, tmp_path: Path) -> None:
    statistics.add({HERE: Counts(**ALL)}, {1: 1})
    statistics.tidy(DAY + 366.0 * DAY_S)
    with reading(tmp_path) as views:
        assert views.total(7, 0.0).sent == 1
    statistics.tidy(DAY + 367.0 * DAY_S)
    with reading(tmp_path) as views:
        assert (views.total(7, 0.0).sent, views.volume(7), views.accounts()) == (0, [], [])


def test_a_clock_that_was_set_back_closes_nothing_twice(statistics: Statistics, tmp_path: Path) -> None:
    statistics.tidy(DAY + 20.0 * DAY_S)
    statistics.add({HERE: Counts(sent=1)}, {1: 1})  # long ago: part of its day at once
    statistics.tidy(DAY + 10.0 * DAY_S)
    statistics.tidy(DAY + 20.0 * DAY_S)
    with reading(tmp_path) as views:
        assert (views.points(7, 0.0), views.total(7, 0.0).sent) == ([], 1)


counted = st.tuples(
    st.integers(0, 30 * 96), st.integers(0, 45), st.sampled_from(["shop.example", ""]), st.integers(1, 9)
)
steps = st.lists(st.one_of(st.lists(counted, max_size=40), st.integers(0, 40)), max_size=12)


@settings(max_examples=25, deadline=None)
@given(steps)
def test_no_order_of_counting_and_tidying_loses_or_invents_anything(done: list[list[tuple] | int]) -> None:  # type: ignore[type-arg]
    sent: Counter[int] = Counter()  # by day
    with TemporaryDirectory() as folder:
        statistics = Statistics(Path(folder))
        for step in done:
            if isinstance(step, int):
                statistics.tidy(DAY + step * DAY_S)
                continue
            counts: dict[Place, Counts] = {}
            for quarter, domain, identity, number in step:
                place = Place(7, DAY + quarter * QUARTER_S, identity, f"d{domain}.example")
                counts.setdefault(place, Counts()).add(Counts(sent=number, mails=number))
                sent[(DAY + quarter * QUARTER_S) // DAY_S] += number
            statistics.add(counts, {1: 1})
        statistics.close()
        with reading(Path(folder)) as views:
            assert views.total(7, 0.0) == Counts(sent=sent.total(), mails=sent.total())
            found: Counter[int] = Counter()
            for one in views.volume(7):
                found[one.start // DAY_S] += one.mails
            assert found == sent
            assert sum(counts.sent for _, counts in views.domains(7, 0.0, 1000)) == sent.total()
