"""Places in the journal of dots: taken before the dot, free after the outcome."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from relay.base.errors import SpoolError
from relay.spool.journal import DotJournal
from tests.fakes.disk import small_disk


def test_taken_and_cleared(tmp_path: Path) -> None:
    journal = DotJournal(tmp_path)
    a, b = journal.begin(7, [0, 3]), journal.begin(2**62, [1])
    assert {(key, number) for _, key, number in journal.pending()} == {(7, 0), (7, 3), (2**62, 1)}
    journal.clear(a)
    assert [place[1:] for place in journal.pending()] == [(2**62, 1)]
    journal.clear(list(b))
    assert journal.pending() == []
    journal.close()


def test_what_is_there_survives_the_process_that_wrote_it(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from relay.spool.journal import DotJournal\n"
        "j = DotJournal(Path(sys.argv[1])); j.clear(j.begin(1, [9])); j.begin(5, [1, 2])\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=Path(__file__).parents[2])
    assert done.returncode == -signal.SIGKILL
    journal = DotJournal(tmp_path)
    assert {place[1:] for place in journal.pending()} == {(5, 1), (5, 2)}
    taken = {place for place, _, _ in journal.pending()}
    assert not taken & set(journal.begin(6, list(range(100))))
    journal.close()


def test_no_place_left_takes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.spool.journal._PLACES", 4)
    journal = DotJournal(tmp_path)
    journal.begin(1, [0, 1, 2])
    with pytest.raises(SpoolError):
        journal.begin(2, [0, 1])
    assert {key for _, key, _ in journal.pending()} == {1}
    journal.begin(3, [0])
    journal.close()


def test_a_full_disk_is_an_error_at_the_start_and_not_a_signal_later(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "512k") as disk:
        with pytest.raises(OSError) as caught:  # noqa: PT011
            DotJournal(disk)
        assert caught.value.errno == errno.ENOSPC


def test_its_file_has_no_holes(tmp_path: Path) -> None:
    DotJournal(tmp_path).close()
    state = os.stat(tmp_path / "dots")
    assert state.st_blocks * 512 >= state.st_size
