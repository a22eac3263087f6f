"""The relay in one line."""

from relay.admin.status_line import status_line

WELL = {
    "queue_recipients": {"due": 4, "held": 3, "fresh": 0},
    **{"client_sessions": 2, "connections": 5, "accepted": 100, "delivered": 90, "failed": 1},
}


def test_when_all_is_well() -> None:
    assert status_line({0: True, 1: True}, {0: WELL, 1: WELL}) == (
        "ok: 2 workers, 14 recipients waiting, 4 client sessions, 10 connections out; "
        "accepted 200, delivered 180, deferred 0, failed 2"
    )


def test_what_is_wrong_comes_first() -> None:
    line = status_line({0: True, 1: False}, {0: WELL | {"spool_full": True}})
    assert line.startswith(
        "failing (worker 1 is not ready; worker 0: the disk reserve is reached; new mail is answered 452): "
        "1 of 2 workers, "
    )
    line = status_line({0: True, 1: True}, {0: WELL, 1: WELL | {"directory_stale": True}})
    assert line.startswith(
        "degraded (worker 1: the directory cannot be read; the last state of it is in force)"
    )


def test_it_drains() -> None:
    assert status_line({0: True}, {0: WELL}, is_draining=True).startswith(
        "failing (the relay drains): 1 workers"
    )


def test_it_stays_one_short_line() -> None:
    count = 64
    line = status_line(dict.fromkeys(range(count), False), {})
    assert "and 61 more (relay status)" in line
    assert "\n" not in line
    assert len(line) < 400
