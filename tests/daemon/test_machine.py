"""What the kernel tells of this machine, and of one that a folder plays."""

import os
from pathlib import Path

import pytest

from relay.admin.host_facts import ClockSeen
from relay.daemon.checkup import machine
from relay.daemon.settings.config import parse


def test_this_machine() -> None:
    seen = machine.machine([os.getpid()])
    assert seen.is_of_the_relay
    assert 0 < seen.descriptors_used <= seen.descriptors
    assert seen.backlog > 0
    assert seen.memory > 0
    assert not machine.machine([]).is_of_the_relay
    assert isinstance(machine.clock(), ClockSeen)


def test_the_least_bound_of_several_processes(tmp_path: Path) -> None:
    for pid, bound in ((1, 1024), (2, 512)):
        (tmp_path / str(pid) / "fd").mkdir(parents=True)
        (tmp_path / str(pid) / "fd" / "0").touch()
        (tmp_path / str(pid) / "limits").write_text(
            f"Limit     Soft  Hard Units\nMax open files   {bound}  4096 files\n"
        )
    (tmp_path / "meminfo").write_text("MemTotal: 10 kB\nMemAvailable: 5 kB\n")
    seen = machine.machine([1, 2, 3], tmp_path)  # 3 has just ended
    assert (seen.descriptors, seen.descriptors_used, seen.memory, seen.backlog) == (512, 1, 5120, 0)


def test_what_may_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.may_see(tmp_path)
    assert machine.may_see(tmp_path / "gone")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert not machine.may_see(tmp_path)


def test_the_processes_of_a_relay(tmp_path: Path) -> None:
    (tmp_path / "7" / "task" / "7").mkdir(parents=True)
    (tmp_path / "7" / "task" / "7" / "children").write_text("8 9 ")
    assert machine.pids_of(7, tmp_path) == [7, 8, 9]
    assert machine.pids_of(6, tmp_path) == [6]
    assert machine.pids_of(0) == []


def test_files_with_secrets(tmp_path: Path) -> None:
    (tmp_path / "relay.key").touch(mode=0o600)
    (tmp_path / "password").touch(mode=0o644)
    text = (
        "[directory]\nkey_file='relay.key'\n[spool]\npath='spool'\n[[route]]\ndomain='*'\n"
        "next_hop='127.0.0.1:25'\ntls='required'\nusername='u'\npassword_file='password'\n"
    )
    files = {one.what: one for one in machine.secret_files(parse(text, tmp_path / "relay.toml"))}
    assert set(files) == {
        "[spool] path", "[directory] key_file", "[directory] url", "[[route]] password_file",
    }  # fmt: skip
    assert files["[directory] key_file"].mode == 0o600
    assert files["[[route]] password_file"].mode & 0o004
    assert files["[spool] path"].fault == "No such file or directory"
    assert machine.owner(parse("[relay]\nuser='root'\n", tmp_path / "r")) == 0
    assert machine.owner(parse("[relay]\nuser='nobody-is-called-so'\n", tmp_path / "r")) is None
