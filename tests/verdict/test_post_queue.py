"""What is posted next: in order within a message, past what is refused, and for how long."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.verdict.post_queue import DAY_S, Pending, PostQueue, Refusal

T0 = 1_000_000.0


def queue_of(*messages: str, at_once: int = 8) -> PostQueue:
    queue = PostQueue(at_once)
    for number, message in enumerate(messages, 1):
        queue.add(Pending(number, message, T0))
    return queue


def numbers(queue: PostQueue, now: float = T0) -> list[int]:
    """All that may be posted at once."""
    found = []
    while (entry := queue.next(now)) is not None:
        found.append(entry.number)
    return found


def test_different_messages_go_side_by_side_and_one_message_in_order() -> None:
    queue = queue_of("a", "b", "a", "c")
    first = [queue.next(T0) for _ in range(3)]
    assert [one.number for one in first if one] == [1, 2, 4]
    assert queue.next(T0) is None
    assert first[0] is not None
    queue.posted(first[0])
    assert numbers(queue) == [3]
    assert len(queue) == 3


def test_no_more_at_once_than_it_may() -> None:
    queue = queue_of("a", "b", "c", at_once=2)
    assert numbers(queue) == [1, 2]
    assert queue.wakes_at() == math.inf


def test_what_is_refused_holds_up_its_own_message_alone() -> None:
    queue = queue_of("a", "a", "b")
    entry = queue.next(T0)
    assert entry is not None
    assert queue.refused(entry, T0) is Refusal.RETRY
    assert (entry.attempts, entry.due_at) == (1, T0 + 1)
    assert numbers(queue) == [3]
    assert queue.wakes_at() == T0 + 1
    assert numbers(queue, T0 + 0.9) == []
    assert numbers(queue, T0 + 1) == [1]


def test_waits_double_up_to_ten_minutes_and_heed_what_is_asked_for() -> None:
    queue = queue_of("a")
    waits, now = [], T0
    for _ in range(12):
        entry = queue.next(now)
        assert entry is not None
        queue.refused(entry, now)
        waits.append(entry.due_at - now)
        now = max(entry.due_at, queue.wakes_at())
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]
    entry = queue.next(now)
    assert entry is not None
    queue.refused(entry, now, wait_s=50.0)
    assert entry.due_at - now == 600
    fresh = queue_of("a")
    entry = fresh.next(T0)
    assert entry is not None
    fresh.refused(entry, T0, wait_s=50.0)
    assert entry.due_at == T0 + 50


def test_a_topic_that_takes_nothing_is_asked_more_rarely_until_it_takes_one() -> None:
    queue = queue_of(*"abcdefgh")
    for one in [queue.next(T0) for _ in range(8)]:
        assert one is not None
        queue.refused(one, T0)
    assert numbers(queue, T0 + 0.9) == []
    [probe] = [queue.next(T0 + 1), queue.next(T0 + 1)][:1]
    assert probe is not None
    assert queue.next(T0 + 1) is None  # one at a time
    queue.refused(probe, T0 + 1)
    assert queue.wakes_at() == T0 + 3  # the second pause is twice the first
    probe = queue.next(T0 + 3)
    assert probe is not None
    queue.posted(probe)
    assert len(numbers(queue, T0 + 3)) == 7


@pytest.mark.parametrize(("hours", "verdict"), [(23.9, Refusal.RETRY), (24.0, Refusal.DROP)])
def test_a_topic_that_has_taken_nothing_for_a_day_is_dropped(hours: float, verdict: Refusal) -> None:
    queue = queue_of("a")
    now = T0
    for _ in range(5):
        entry = queue.next(now)
        assert entry is not None
        last = queue.refused(entry, now)
        assert last is Refusal.RETRY
        now = max(entry.due_at, queue.wakes_at())
    entry = queue.next(T0 + hours * 3600)
    assert entry is not None
    assert queue.refused(entry, T0 + hours * 3600) is verdict


def test_a_jump_of_the_clock_alone_drops_nothing() -> None:
    """Refused once, then the clock is set a week on: it is asked some more times first."""
    queue = queue_of("a")
    entry = queue.next(T0)
    assert entry is not None
    queue.refused(entry, T0)
    now = T0 + 7 * DAY_S
    entry = queue.next(now)
    assert entry is not None
    assert queue.refused(entry, now) is Refusal.RETRY


def test_a_clock_that_is_set_back_makes_no_pause_longer() -> None:
    queue = queue_of(*"abcd")
    for _ in range(3):
        entry = queue.next(T0)
        assert entry is not None
        queue.refused(entry, T0)
    now = T0 - 30 * DAY_S
    assert numbers(queue, now) == [4]
    queue.in_flight = queue.refusals = 0
    assert numbers(queue, now) == [1, 2, 3]


def test_what_waited_while_the_relay_was_down_is_not_given_up_at_once() -> None:
    """Two days old when it is posted for the first time, to a topic that is up a minute later."""
    queue = queue_of("a", "b")
    now, verdicts = T0 + 2 * DAY_S, []
    for _ in range(12):
        entry = queue.next(now)
        assert entry is not None
        verdicts.append(queue.refused(entry, now))
        now = queue.wakes_at()
    assert verdicts == [Refusal.RETRY] * 12


def test_what_a_restart_interrupted_goes_on() -> None:
    queue = queue_of("a")
    queue.restore(T0 - 2 * DAY_S)
    now, verdicts = T0, []
    for _ in range(5):
        entry = queue.next(now)
        assert entry is not None
        verdicts.append(queue.refused(entry, now))
        now = max(entry.due_at, queue.wakes_at())
    assert verdicts == [Refusal.RETRY] * 4 + [Refusal.DROP]


def test_one_that_is_refused_for_a_day_while_others_are_taken_is_put_aside() -> None:
    queue = queue_of("poison", "poison")
    now, number, aside = T0, 10, False
    while not aside:
        number += 1
        queue.add(Pending(number, f"good {number}", now))
        while not aside and (entry := queue.next(now)) is not None:
            if entry.message_id.startswith("good"):
                queue.posted(entry)
            else:
                aside = queue.refused(entry, now) is Refusal.ASIDE
        now += 600
    assert now - 600 - T0 >= DAY_S
    assert 2 in numbers(queue, now)


@given(
    st.lists(st.sampled_from("abc"), max_size=30),
    st.lists(st.booleans(), max_size=200),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_whatever_is_refused_each_message_is_told_in_order_and_to_the_end(
    messages: list[str], refusals: list[bool], at_once: int, random: object
) -> None:
    queue = PostQueue(at_once)
    for number, message in enumerate(messages):
        queue.add(Pending(number, message, T0))
    told: list[int] = []
    flying: list[Pending] = []
    fates = iter(refusals)
    now = T0
    while len(queue):
        while (entry := queue.next(now)) is not None:
            assert entry.message_id not in {one.message_id for one in flying}
            flying.append(entry)
        assert len(flying) == queue.in_flight <= at_once
        if not flying:
            now = queue.wakes_at()
            continue
        entry = flying.pop(random.randrange(len(flying)))  # type: ignore[attr-defined]
        if next(fates, False):
            assert queue.refused(entry, now) is Refusal.RETRY
        else:
            queue.posted(entry)
            told.append(entry.number)
    assert sorted(told) == list(range(len(messages)))
    for message in "abc":
        mine = [number for number in told if messages[number] == message]
        assert mine == sorted(mine)


def test_the_content_of_what_waits_is_forgotten_and_nothing_else() -> None:
    queue = PostQueue()
    first, second = Pending(1, "a", 0.0, body=b"1"), Pending(2, "a", 0.0, body=b"2")
    queue.add(first)
    queue.add(second)
    queue.forget_bodies()
    assert (first.body, second.body, len(queue)) == (None, None, 2)
    assert queue.next(1.0) is first
