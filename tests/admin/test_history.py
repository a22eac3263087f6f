"""What was added in a minute and an hour, as counters of workers that come and go tell it."""

from relay.admin.history import History


def reading(accepted: int, delivered: int = 0) -> dict[str, int]:
    return {"accepted": accepted, "delivered": delivered, "other": 7}


def test_nothing_is_known_at_first() -> None:
    added = History().since(100.0, 60.0)
    assert (added.seconds, set(added.counts.values())) == (0.0, {0})


def test_a_minute_and_an_hour_differ() -> None:
    history = History()
    for second in range(0, 7300, 10):
        history.note(float(second), {0: reading(second), 1: reading(2 * second, second)})
    minute, hour = history.since(7290.0, 60.0), history.since(7290.0, 3600.0)
    assert (minute.seconds, minute.counts["accepted"], minute.counts["delivered"]) == (60.0, 180, 60)
    assert (hour.seconds, hour.counts["accepted"]) == (3600.0, 3 * 3600)
    assert len(history._notes) <= 362  # an hour, and no more


def test_while_it_is_young_the_span_is_what_there_is() -> None:
    history = History()
    history.note(0.0, {0: reading(0)})
    history.note(5.0, {0: reading(50)})
    assert history.since(5.0, 3600.0).seconds == 5.0
    assert history.since(5.0, 3600.0).counts["accepted"] == 50


def test_a_worker_that_is_started_anew_takes_nothing_away() -> None:
    history = History()
    history.note(0.0, {0: reading(0), 1: reading(0)})
    history.note(10.0, {0: reading(1000), 1: reading(5)})
    history.note(20.0, {1: reading(6)})  # worker 0 is gone, and does not answer
    history.note(30.0, {0: reading(3), 1: reading(6)})
    assert history.since(30.0, 60.0).counts["accepted"] == 1000 + 3 + 6
    history.note(40.0, {0: reading(4), 1: reading(6)})
    assert history.since(40.0, 10.0).counts["accepted"] == 1


def test_one_counter_that_fell_tells_of_all() -> None:
    """A worker started anew may have counted more of one thing than its predecessor had."""
    history = History()
    history.note(0.0, {0: reading(10, 1)})
    history.note(10.0, {0: reading(5, 4)})
    assert history.since(10.0, 60.0).counts == {"accepted": 5, "delivered": 4, "deferred": 0, "failed": 0}
