"""The window of connections: 1/N both ways, with hysteresis, cohorts and learned caps."""

from hypothesis import given
from hypothesis import strategies as st

from relay.traffic.concurrency import Concurrency


def test_it_grows_by_one_after_a_window_of_successes() -> None:
    window = Concurrency(20)
    sizes = []
    for _ in range(5 + 6 + 7):
        window.success(0.0)
        sizes.append(window.window)
    assert sizes == [5] * 4 + [6] * 6 + [7] * 7 + [8]


def test_one_failure_among_many_successes_changes_nothing() -> None:
    window = Concurrency(5)
    for _ in range(3):
        window.failure()
        for _ in range(10):
            window.success(0.0)
        assert window.window == 5
        assert not window.is_dead


def test_a_window_of_failures_costs_one_connection_and_three_windows_the_site() -> None:
    window = Concurrency(5)
    sizes = []
    while not window.is_dead:
        window.failure()
        sizes.append(window.window)
    assert sizes == [5, 5, 5, 5, 4, 4, 4, 4, 3, 3, 3, 2]
    window.restart()
    assert (window.window, window.is_dead) == (1, False)


def test_an_answer_ends_the_row_of_failures_but_does_not_grow() -> None:
    window = Concurrency(5)
    for _ in range(100):
        window.failure()
        window.failure()
        window.answered()
    assert not window.is_dead
    assert window.window == 1


def test_it_gives_way_to_slow_replies_but_not_below_its_start() -> None:
    window = Concurrency(20)
    for _ in range(200):
        window.success(0.0)
    assert window.window > 15
    for _ in range(500):
        window.give_way()
    assert window.window == 5
    assert not window.is_dead


def test_a_cap_is_believed_for_longer_each_time() -> None:
    window = Concurrency(20)
    now, held = 0.0, []
    for _ in range(6):
        window.cap(now, 4)
        until = now
        while window.window <= 4:
            until += 10.0
            window.success(until)
        held.append((until - now) // 600 * 600)
        assert window.window == 5
        now = until
    assert held == [600.0, 1200.0, 2400.0, 4800.0, 7200.0, 7200.0]
    assert window.crowded == 6


def test_refusals_of_one_wave_count_as_one_cap() -> None:
    window = Concurrency(20)
    for _ in range(8):
        window.cap(0.0, 5)
    assert window.capped_for_s(0.0) == 600.0


@given(
    st.integers(0, 30),
    st.lists(
        st.sampled_from(["success", "failure", "answered", "cap", "restart", "shrink", "widen"]), max_size=200
    ),
)
def test_the_limit_stays_between_one_and_the_ceiling(ceiling: int, events: list[str]) -> None:
    window = Concurrency(ceiling)
    for now, event in enumerate(events):
        if event == "success":
            window.success(now * 100.0)
        elif event == "cap":
            window.cap(now * 100.0, window.limit)
        elif event in ("shrink", "widen"):
            window.ceiling = ceiling // 2 if event == "shrink" else ceiling
        else:
            getattr(window, event)()
        assert min(1, window.ceiling) <= window.limit <= window.ceiling
