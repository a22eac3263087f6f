"""The disk, as a table of what is seen and what is said of it."""

from dataclasses import replace

import pytest

from relay.admin.finding import Level
from relay.admin.host_facts import DiskSeen
from relay.admin.judge_disk import judge_kind, judge_room

GOOD = DiskSeen("/var/spool/relay", 50_000_000_000, 100_000_000_000, 900, 1000, "ext4", ("rw", "relatime"))
RESERVE = 256_000_000


@pytest.mark.parametrize(
    ("free", "level", "said"),
    [(50e9, Level.OK, "50 GB free on /var/spool/relay, reserve 256 MB"), (400e6, Level.WARNING, "is near"),
     (256e6, Level.PROBLEM, "is reached"), (0, Level.PROBLEM, "answered 452")],
)  # fmt: skip
def test_room(free: float, level: Level, said: str) -> None:
    (found,) = judge_room(replace(GOOD, free=int(free)), RESERVE)
    assert found.level is level
    assert said in found.seen
    assert ("[spool] disk_reserve" in found.publish) == (level is not Level.OK)


def test_inodes_and_a_folder_that_may_not_be_seen() -> None:
    found = list(judge_room(replace(GOOD, free_inodes=10), RESERVE))
    assert (found[1].level, found[1].seen) == (
        Level.WARNING,
        "10 of 1,000 inodes are left on /var/spool/relay",
    )
    (unknown,) = judge_room(DiskSeen("/x", fault="Permission denied"), RESERVE)
    assert (unknown.level, unknown.seen) == (Level.UNKNOWN, "/x: Permission denied")


@pytest.mark.parametrize(
    ("kind", "options", "level", "said"),
    [("tmpfs", (), Level.PROBLEM, "loses all mail"), ("nfs4", (), Level.PROBLEM, "locks"),
     ("overlay", (), Level.NOTE, "is on overlay"), ("", (), Level.UNKNOWN, "not known"),
     ("ext4", ("rw", "nobarrier"), Level.PROBLEM, "mounted with nobarrier"),
     ("xfs", ("ro",), Level.PROBLEM, "read-only")],
)  # fmt: skip
def test_kinds(kind: str, options: tuple[str, ...], level: Level, said: str) -> None:
    (found,) = judge_kind(replace(GOOD, kind=kind, options=options))
    assert found.level is level
    assert said in found.seen


def test_a_local_disk_gives_no_cause_for_complaint() -> None:
    assert list(judge_kind(GOOD)) == []
