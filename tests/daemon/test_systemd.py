"""What systemd hears."""

import os
import socket
from pathlib import Path

import pytest

from relay.daemon import systemd


@pytest.fixture
def heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield sock


def test_states_arrive(heard: socket.socket) -> None:
    systemd.notify("READY=1\nSTATUS=2 workers")
    systemd.extend(70.5)
    assert heard.recv(999) == b"READY=1\nSTATUS=2 workers"
    assert heard.recv(999) == b"EXTEND_TIMEOUT_USEC=70500000"


def test_a_systemd_that_does_not_read_keeps_nobody_waiting(heard: socket.socket) -> None:
    """Its socket holds a dozen messages; a loop that waited there would look as if it hung."""
    for _ in range(1000):
        systemd.notify("WATCHDOG=1", is_said_again=True)
    assert heard.recv(99) == b"WATCHDOG=1"


def test_an_abstract_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"relay-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + name)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        systemd.notify("READY=1")
        assert sock.recv(99) == b"READY=1"


def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    systemd.notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    systemd.notify("READY=1")


@pytest.mark.parametrize(
    ("usec", "pid", "interval_s"),
    [("", "", None), ("30000000", "", 15.0), ("30000000", "own", 15.0), ("30000000", "1", None)],
)
def test_the_watchdog_is_fed_twice_as_often(
    usec: str, pid: str, interval_s: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if pid == "own" else pid)
    assert systemd.watchdog_interval_s() == interval_s
