"""What waits about one message in the outbox, seen from beside it."""

from pathlib import Path

import pytest

from relay.base.errors import SpoolError
from relay.daemon.notifier.outbox import FILE, Notification, Outbox
from relay.daemon.notifier.outbox_view import Untaken, about


def test_what_no_topic_has_taken(tmp_path: Path) -> None:
    assert about(tmp_path, "a") == ([], {})
    outbox = Outbox(tmp_path)
    outbox.open(100.0)
    made = [Notification(topic, name, f"uid-{name}", b"{}") for topic, name in ((1, "a"), (2, "a"), (1, "b"))]
    outbox.put(made, {1: 7, 2: 3}, 100.0)
    outbox.settle([], [(1, 3, 150.0)], [2])
    outbox.note_trouble(1, 90.0, "503 not now")
    assert about(tmp_path, "a") == (
        [Untaken(1, 100.0, 3, 150.0, False, "503 not now"), Untaken(2, 100.0, 0, 0.0, True, "")],
        {1: 7, 2: 3},
    )
    outbox.settle([1, 2])
    assert about(tmp_path, "a") == ([], {1: 7, 2: 3})
    outbox.close()


def test_a_damaged_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"nonsense" * 1000)
    with pytest.raises(SpoolError, match=FILE):
        about(tmp_path, "a")
