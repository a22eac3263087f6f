"""The outbox: stored with the position it came from, and gone when it was taken."""

from pathlib import Path

import pytest

from relay.base.errors import SpoolCorrupt, SpoolError
from relay.daemon.notifier.outbox import FILE, Notification, Outbox, Waiting, look


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    made = Outbox(tmp_path)
    made.open(100.0)
    return made


def of(topic: int, message: str = "m", body: bytes = b"{}") -> Notification:
    return Notification(topic, message, f"uid-{message}", body)


def test_what_is_put_is_there_after_a_kill_with_its_position(outbox: Outbox, tmp_path: Path) -> None:
    assert outbox.put([of(1, "a", b"1"), of(2, "b"), of(1, "a", b"2")], {1: 7, 2: 3}, 100.0) == [1, 2, 3]
    again = Outbox(tmp_path)  # the first is not closed, as after a kill
    again.open(100.0)
    assert again.position() == {1: 7, 2: 3}
    assert [(one.number, one.message_id, one.body) for one in again.load(1, 0, 10)] == [
        (1, "a", b"1"),
        (3, "a", b"2"),
    ]
    assert [one.number for one in again.load(1, 1, 10)] == [3]
    assert again.body(2) == b"{}"
    assert again.body(9) is None


def test_what_was_taken_is_gone_and_what_was_not_has_its_attempts(outbox: Outbox) -> None:
    outbox.put([of(1, name) for name in "abc"], {1: 1}, 100.0)
    outbox.settle([1], [(2, 3, 150.0)], [3])
    [left] = outbox.load(1, 0, 10)
    assert (left.number, left.attempts, left.due_at, left.since, left.uid) == (2, 3, 150.0, 100.0, "uid-b")
    assert outbox.waiting() == {1: Waiting(1, 1, 100.0, 0.0, "")}


def test_more_than_a_statement_takes_is_settled(outbox: Outbox) -> None:
    numbers = outbox.put([of(1, str(n)) for n in range(1201)], {}, 100.0)
    outbox.settle(numbers[:-1])
    assert [one.number for one in outbox.load(1, 0, 10)] == [numbers[-1]]


def test_a_dropped_topic_keeps_what_it_had_until_it_is_revived(outbox: Outbox) -> None:
    outbox.put([of(1, "a"), of(2, "b")], {}, 100.0)
    outbox.settle([], [(1, 5, 600.0)])
    outbox.note_trouble(1, 50.0, "500")
    assert outbox.put_aside(1) == 1
    assert outbox.load(1, 0, 10) == []
    assert outbox.waiting()[1] == Waiting(0, 1, 0.0, 50.0, "500")
    assert outbox.revive(1) == 1
    [back] = outbox.load(1, 0, 10)
    assert (back.attempts, back.due_at) == (0, 0.0)
    assert outbox.waiting()[1] == Waiting(1, 0, 100.0, 0.0, "")


def test_what_is_for_topics_that_are_no_more_goes_and_what_is_aside_too_long(outbox: Outbox) -> None:
    outbox.put([of(1, "a"), of(2, "b")], {}, 100.0)
    outbox.put([of(2, "c")], {}, 200.0)
    assert outbox.keep_only([2]) == 1
    outbox.put_aside(2)
    assert outbox.prune(150.0) == 1
    assert outbox.waiting() == {2: Waiting(0, 1, 0.0, 0.0, "")}


def test_trouble_is_seen_from_outside_also_where_nothing_waits(outbox: Outbox, tmp_path: Path) -> None:
    outbox.note_trouble(4, 50.0, "no answer")
    assert look(tmp_path) == {4: Waiting(0, 0, 0.0, 50.0, "no answer")}
    outbox.note_trouble(4, 0.0, "")
    assert look(tmp_path) == {}
    assert look(tmp_path / "elsewhere") == {}


def test_a_damaged_file_is_set_aside_and_begun_anew(outbox: Outbox, tmp_path: Path) -> None:
    outbox.close()
    (tmp_path / FILE).write_bytes(b"no database" * 500)
    outbox.open(123.0)
    assert outbox.position() == {}
    assert (tmp_path / "corrupt" / f"123-{FILE}").read_bytes().startswith(b"no database")


def test_a_disk_without_room_is_a_matter_of_time(outbox: Outbox) -> None:
    (pages,) = outbox._open.execute("PRAGMA page_count").fetchone()
    outbox._open.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(SpoolError, match="full") as failure:
        outbox.attempt(1.0, outbox.put, [of(1, body=b"x" * 50_000)], {1: 7}, 100.0)
    assert not isinstance(failure.value, SpoolCorrupt)
    assert outbox.attempt(1.0, outbox.position) == {}
    outbox._open.execute(f"PRAGMA max_page_count = {pages + 100}")
    assert outbox.attempt(1.0, outbox.put, [of(1, body=b"x" * 50_000)], {1: 7}, 100.0) == [1]


def test_a_file_that_is_removed_in_use_is_lost_and_nothing_more_is_done(
    outbox: Outbox, tmp_path: Path
) -> None:
    outbox.put([of(1)], {1: 7}, 100.0)
    (tmp_path / FILE).unlink()
    for _ in range(2):
        with pytest.raises(SpoolCorrupt, match=FILE):
            outbox.attempt(1.0, outbox.position)
    outbox.open(100.0)
    assert outbox.attempt(1.0, outbox.position) == {}


def test_a_file_that_is_found_damaged_in_use_is_set_aside(outbox: Outbox, tmp_path: Path) -> None:
    outbox.put([of(1)], {1: 7}, 100.0)
    outbox.close()
    outbox.open(100.0)
    with (tmp_path / FILE).open("r+b") as stream:
        stream.seek(2 * 4096)
        stream.write(b"\xff" * 20 * 4096)
    with pytest.raises(SpoolCorrupt, match="corrupt/123-"):
        outbox.attempt(123.0, outbox.put, [of(1)], {1: 8}, 100.0)
    outbox.open(124.0)
    assert outbox.attempt(1.0, outbox.position) == {}
