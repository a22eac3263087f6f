"""Giving way to others, and not for ever."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from relay.daemon import politeness
from relay.daemon.politeness import NICE, Politeness, nice_for, set_nice, starved_for


def test_the_longer_it_hardly_runs_the_less_nice_it_is() -> None:
    assert [nice_for(late) for late in (0.0, 59.0, 60.0, 180.0, 599.0, 600.0, 1e9)] == [
        15,
        15,
        10,
        5,
        5,
        0,
        0,
    ]


def test_time_in_which_it_runs_pays_for_time_in_which_it_did_not() -> None:
    assert starved_for(0.0, 10.0, 9.0) == 10.0
    assert starved_for(10.0, 4.0, 1.0) == 6.0
    assert starved_for(3.0, 4.0, 0.0) == 0.0
    assert starved_for(899.0, 60.0, 60.0) == 900.0, "after hours it is nice again within minutes"


def test_it_becomes_less_nice_while_it_starves_and_nice_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(politeness, "set_nice", asked.append)
    polite, waited_s = Politeness(), 0.0
    for _ in range(70):
        waited_s += 9.0
        polite.look(10.0, waited_s)
    assert (asked, polite.nice) == ([10, 5, 0], 0)
    for _ in range(70):
        polite.look(10.0, waited_s)
    assert (asked, polite.nice) == ([10, 5, 0, 5, 10, NICE], NICE)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a process less nice than it is")
def test_a_process_and_its_session_are_nice_and_no_more() -> None:
    waits = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(waits, stdin=subprocess.PIPE, start_new_session=True) as process:
        group = Path(f"/proc/{process.pid}/autogroup")
        for nice in (NICE, 0):
            set_nice(nice, process.pid)
            assert os.getpriority(os.PRIO_PROCESS, process.pid) == nice
            assert not group.exists() or group.read_text().split()[-1] == str(nice)
        assert process.stdin is not None
        process.stdin.close()
    set_nice(0, process.pid)  # one that has gone


def test_a_process_knows_how_long_it_has_waited() -> None:
    assert politeness.waited_s() >= 0.0
    if Path("/proc/self/schedstat").exists():
        first = politeness.waited_s()
        assert politeness.waited_s() >= first > 0.0
