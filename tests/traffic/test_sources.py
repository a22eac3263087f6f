"""From which source a message leaves: by account, by message id, and when a source has gone."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from relay.base.route import ANY_SOURCE, Host, Route, Source
from relay.traffic.sources import Departures, Pool, Sources

ONE, TWO, THREE = Source("one"), Source("two"), Source("three")
IDS = [f"{n:016x}-5b1c9d{n * 7919:06x}-000001" for n in range(3000)]


def test_an_account_names_a_source_a_pool_or_nothing() -> None:
    sources = Sources([ONE, TWO], {"both": [(ONE, 1), (TWO, 1)]}, "two")
    assert sources.choose("one", "x") is ONE
    assert sources.choose("", "x") is TWO
    assert {sources.choose("both", i).name for i in IDS[:50]} == {"one", "two"}
    assert not sources.is_trivial
    assert Sources().is_trivial
    assert Sources([ONE]).choose("", "x") is ANY_SOURCE


def test_a_name_that_is_gone_means_the_default_and_is_told_once() -> None:
    told: list[str] = []
    sources = Sources([ONE], {}, "one", told.append)
    assert sources.choose("old", "x") is ONE
    assert sources.choose("old", "y") is ONE
    assert sources.choose("older", "y") is ONE
    assert told == ["old", "older"]
    assert Sources([ONE], {}, "", told.append).choose("old", "x") is ANY_SOURCE


def test_a_pool_spreads_by_weight() -> None:
    even = Counter(Pool([(ONE, 1), (TWO, 1), (THREE, 1)]).choose(i).name for i in IDS)
    assert all(900 < count < 1100 for count in even.values()), even
    heavy = Counter(Pool([(ONE, 1), (TWO, 3)]).choose(i).name for i in IDS)
    assert 2130 < heavy["two"] < 2370, heavy


def test_only_the_messages_of_a_source_that_is_taken_out_move() -> None:
    before = Pool([(ONE, 1), (TWO, 2), (THREE, 1)])
    after = Pool([(THREE, 1), (ONE, 1)])
    for i in IDS[:500]:
        if before.choose(i) is not TWO:
            assert after.choose(i) is before.choose(i)


@given(st.text(max_size=60))
def test_the_same_message_leaves_from_the_same_source_after_a_restart(message_id: str) -> None:
    members = [(ONE, 1), (TWO, 2), (THREE, 3)]
    assert Pool(members).choose(message_id) is Pool(members).choose(message_id)
    assert Pool([(ONE, 5)]).choose(message_id) is ONE


def test_a_route_from_a_source_is_made_once() -> None:
    departures = Departures()
    route = Route("mx:a", (Host("a"),))
    made = departures.route(route, ONE)
    assert (made.lane, made.source) == ("mx:a@one", ONE)
    assert departures.route(route, ONE) is made
    assert departures.route(route, TWO) is not made
    renewed = Source("one", ("192.0.2.1",))
    assert departures.route(route, renewed).source is renewed
    other = Route("mx:a", (Host("b"),))
    assert departures.route(other, renewed).hosts == (Host("b"),)
