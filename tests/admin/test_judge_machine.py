"""Clock, disk, bounds and modes, as tables."""

from dataclasses import replace

import pytest

from relay.admin.finding import Finding, Level
from relay.admin.host_facts import ClockSeen, FileSeen, Machine, Speed
from relay.admin.judge_machine import judge_bounds, judge_clock, judge_file, judge_resolver, judge_speed


@pytest.mark.parametrize(
    ("clock", "level"),
    [
        (ClockSeen(), Level.UNKNOWN),
        (ClockSeen(is_synchronised=False), Level.WARNING),
        (ClockSeen(is_synchronised=True, error_s=0.1), Level.OK),
        (ClockSeen(is_synchronised=True, error_s=16.0), Level.WARNING),
    ],
)
def test_clock(clock: ClockSeen, level: Level) -> None:
    found = judge_clock(clock)
    assert found.level is level
    assert bool(found.publish) == (level is not Level.OK)


@pytest.mark.parametrize(
    ("took", "level", "said"),
    [
        ([0.001] * 50, Level.OK, "safe after 1 ms, the slowest of 50 after 1 ms"),
        ([0.030] * 50, Level.WARNING, "30 ms"),
        ([0.150] * 10, Level.PROBLEM, "150 ms"),
        ([0.001] * 49 + [0.9], Level.WARNING, "after 900 ms"),
        ([0.000_003] * 50, Level.WARNING, "no disk is so fast"),
        ([], Level.UNKNOWN, "nothing was written"),
    ],
)
def test_speed(took: list[float], level: Level, said: str) -> None:
    found = judge_speed(Speed("/s", tuple(took)))
    assert found.level is level
    assert said in found.seen
    assert bool(found.publish) == (level is not Level.OK)


def test_a_folder_that_may_not_be_written_has_no_speed() -> None:
    found = judge_speed(Speed("/s", fault="Permission denied"))
    assert (found.level, found.seen) == (Level.UNKNOWN, "/s: Permission denied")


@pytest.mark.parametrize(
    ("took", "trouble", "level"),
    [(0.01, "", Level.OK), (1.5, "", Level.WARNING), (5.0, "no answer", Level.PROBLEM)],
)
def test_resolver(took: float, trouble: str, level: Level) -> None:
    found = judge_resolver("127.0.0.1:53", took, trouble)
    assert found.level is level
    assert ("[delivery] resolver" in found.publish) == (level is not Level.OK)


GOOD = Machine(20_000, 50, 4096, 8_000_000_000, is_of_the_relay=False)


def bounds(machine: Machine) -> list[Finding]:
    return list(
        judge_bounds(machine, clients=1000, deliveries=200, backlog=4096, workers=2, budgets=128_000_000)
    )


@pytest.mark.parametrize(
    ("machine", "levels", "said"),
    [
        (GOOD, {Level.OK}, "may open 20,000 files"),
        (replace(GOOD, descriptors=1024), {Level.WARNING, Level.OK}, "LimitNOFILE=2800"),
        (replace(GOOD, descriptors=-1), {Level.UNKNOWN, Level.OK}, "not known"),
        (replace(GOOD, descriptors_used=19_000), {Level.WARNING, Level.OK}, "19,000 of 20,000"),
        (replace(GOOD, backlog=128), {Level.NOTE, Level.OK}, "sysctl -w net.core.somaxconn=4096"),
        (replace(GOOD, memory=100_000_000), {Level.WARNING, Level.OK}, "[spool] fresh_memory"),
        (replace(GOOD, memory=100_000_000, is_of_the_relay=True), {Level.OK}, "100 MB are free"),
    ],
)
def test_bounds(machine: Machine, levels: set[Level], said: str) -> None:
    found = bounds(machine)
    assert {one.level for one in found} == levels
    assert any(said in f"{one.seen} {one.publish}" for one in found)


KEY = FileSeen("[tls] private_key", "/etc/relay/tls.key", 0o640, 0)
SPOOL = FileSeen("[spool] path", "/var/spool/relay", 0o710, 990, is_folder=True)


@pytest.mark.parametrize(
    ("file", "level", "fix"),
    [
        (KEY, None, ""),
        (replace(KEY, mode=0o644), Level.PROBLEM, "chmod o-rwx /etc/relay/tls.key"),
        (replace(KEY, owner=1000), Level.WARNING, "chown 990 /etc/relay/tls.key"),
        (replace(KEY, fault="Permission denied"), Level.UNKNOWN, "ask as root"),
        (SPOOL, None, ""),
        (replace(SPOOL, mode=0o755), Level.PROBLEM, "chmod o-rwx"),
        (replace(SPOOL, owner=0), Level.PROBLEM, "chown -R 990 /var/spool/relay"),
    ],
)
def test_modes(file: FileSeen, level: Level | None, fix: str) -> None:
    found = list(judge_file(file, 990))
    assert [one.level for one in found] == ([level] if level is not None else [])
    assert all(fix in one.publish for one in found)
    assert not list(judge_file(replace(KEY, owner=1000), None))  # whose it should be is not known
