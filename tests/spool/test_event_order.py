"""Events of several shards in order: any history of workers, read by anybody at any pace."""

from dataclasses import dataclass, field
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from relay.base.events import Event, EventKind, Logged
from relay.base.ids import MessageIds
from relay.spool.event_order import Page, home_of, in_order, is_foreign

IDS = {shard: MessageIds(shard) for shard in (1, 2, 3)}


def logged(shard: int, offset: int, at: float, home: int, arrived: float = 1.0) -> Logged:
    return Logged(shard, offset, Event(at, EventKind.BOUNCE, IDS[home].make(arrived), 1, "{}"))


def told(batch: list[Logged]) -> list[tuple[int, int]]:
    return [(one.shard, one.offset) for one in batch]


def whole(*events: Logged) -> Page:
    return Page(list(events), len(events), len(events), is_end=True)


def test_an_event_about_no_message_is_at_home_where_it_is() -> None:
    one = Logged(4, 1, Event(1.0, EventKind.GAP, "", 1, "{}"))
    assert (home_of(one), is_foreign(one)) == (4, False)
    assert is_foreign(logged(1, 1, 1.0, home=2))


def test_what_is_foreign_waits_for_its_home_and_holds_up_its_shard() -> None:
    foreign, behind = logged(1, 5, 8.0, home=2), logged(1, 6, 9.0, home=1)
    first = Page([logged(2, 1, 6.0, home=2)], 1, 1, is_end=False)
    batch, reached = in_order({1: Page([foreign, behind], 2, 6, is_end=True), 2: first})
    assert (told(batch), reached) == ([(2, 1)], {1: 4, 2: 1})
    second = Page([logged(2, 2, 8.5, home=2)], 1, 2, is_end=False)
    batch, reached = in_order({1: Page([foreign, behind], 2, 6, is_end=True), 2: second})
    assert (told(batch), reached) == ([(2, 2), (1, 5), (1, 6)], {1: 6, 2: 2})


def test_two_shards_that_wait_for_each_other_go_on_by_time() -> None:
    batch, reached = in_order(
        {
            1: whole(logged(1, 1, 5.0, home=2), logged(1, 2, 7.0, home=1)),
            2: whole(logged(2, 1, 4.0, home=1), logged(2, 2, 6.0, home=2)),
        }
    )
    assert (told(batch), reached) == ([(2, 1), (2, 2), (1, 1), (1, 2)], {1: 2, 2: 2})
    batch, _ = in_order({1: whole(logged(1, 1, 5.0, home=2)), 2: whole(logged(2, 1, 5.0, home=1))})
    assert sorted(told(batch)) == [(1, 1), (2, 1)], "at the same moment too"


def test_what_came_while_its_home_was_read_comes_the_next_time() -> None:
    batch, reached = in_order({1: Page([logged(1, 1, 5.0, home=2)], 0, 1, is_end=True), 2: whole()})
    assert (batch, reached) == ([], {1: 0, 2: 0})


def test_a_clock_that_was_set_back_puts_nothing_before_the_arrival() -> None:
    """The bounce says five, by a clock that was set back; the message arrived at nine."""
    foreign = logged(1, 1, 5.0, home=2, arrived=9.0)
    batch, _ = in_order({1: whole(foreign), 2: Page([logged(2, 1, 8.0, home=2)], 1, 1, is_end=False)})
    assert told(batch) == [(2, 1)]


@dataclass
class History:
    """Shards with events, written as workers do: nothing is learned of a message before its sending is
    committed, and an event has its time a while before it is committed."""

    random: Random
    now: float = 10.0
    shards: dict[int, list[Logged]] = field(default_factory=lambda: {1: [], 2: [], 3: []})
    sent: list[tuple[str, int, int, float]] = field(default_factory=list)  # id, shard, offset, committed at
    after: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)  # foreign: the Send event

    def go_on(self, steps: int) -> None:
        for _ in range(steps):
            self.now += self.random.choice((0.001, 0.5))
            shard = self.random.choice((1, 1, 1, 2, 3))
            events = self.shards[shard]
            offset = len(events) + 1
            stamped = self.now - self.random.random()
            if self.sent and self.random.random() < 0.4:
                message, home, number, committed = self.random.choice(self.sent)
                if home != shard:
                    self.after[shard, offset] = (home, number)
                stamped = max(stamped, committed)
            else:
                message = IDS[shard].make(stamped)
                self.sent.append((message, shard, offset, self.now))
            events.append(Logged(shard, offset, Event(stamped, EventKind.SEND, message, 1, "{}")))

    def read(self, after: dict[int, int], limit: int, meanwhile: int) -> tuple[list[Logged], dict[int, int]]:
        """As the event log does, while workers write so much at most."""
        ends = {shard: len(events) for shard, events in self.shards.items()}
        pages = {}
        for shard, end in ends.items():
            self.go_on(self.random.randint(0, meanwhile))
            events = self.shards[shard][after[shard] : after[shard] + limit]
            late = (at for at, one in enumerate(events) if one.offset > end and is_foreign(one))
            reached = after[shard] + len(events)
            pages[shard] = Page(
                events, next(late, len(events)), reached, is_end=reached == len(self.shards[shard])
            )
        return in_order(pages)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(0, 120), st.integers(1, 40))
def test_any_history_is_read_whole_and_no_news_before_the_sending(seed: int, steps: int, limit: int) -> None:
    history = History(Random(seed))
    history.go_on(steps)
    seen, after = list[tuple[int, int]](), dict.fromkeys(history.shards, 0)
    for meanwhile in [3] * 40 + [0] * 400:
        batch, reached = history.read(after, limit, meanwhile)
        if not meanwhile and reached == after:
            break
        seen, after = seen + told(batch), reached
    places = {place: at for at, place in enumerate(seen)}
    assert len(places) == len(seen) == sum(map(len, history.shards.values()))
    assert all(places[send] < places[place] for place, send in history.after.items())
    for shard in history.shards:
        offsets = [offset for of, offset in seen if of == shard]
        assert offsets == list(range(1, len(offsets) + 1))
