"""What systemd hears from one who announces, with workers that are only said to be."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from relay.base.tasks import Tasks
from relay.daemon.supervisor.announcing import Announcing
from relay.daemon.supervisor.watchdog import Pulse
from tests.fakes.clock import ManualClock


class Workers:
    def __init__(self) -> None:
        self.count = 2
        self.ready: list[int] = []
        self.restarts: dict[int, Any] = {}
        self.all_ready = asyncio.Event()
        self.beats = [0.0, 0.0]

    def readiness(self) -> dict[int, bool]:
        return {0: True, 1: True}

    def pulses(self) -> list[Pulse]:
        return [Pulse(number, 0.5, beat) for number, beat in enumerate(self.beats)]


class Systemd:
    def __init__(self, path: Path) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(str(path))
        self.sock.setblocking(False)

    async def hears(self) -> str:
        async with asyncio.timeout(30):
            return (await asyncio.get_running_loop().sock_recv(self.sock, 4096)).decode()

    async def hears_only(self, unwanted: str, steps: int = 5) -> None:
        """Of what is said in the next steps, nothing is this."""
        for _ in range(steps):
            await asyncio.sleep(0.01)
        while True:
            try:
                assert self.sock.recv(4096).decode() != unwanted
            except BlockingIOError:
                return


@pytest.fixture
async def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Systemd]:
    heard = Systemd(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "2000")
    yield heard
    heard.sock.close()


def announcing(workers: Any, clock: ManualClock) -> Announcing:
    return Announcing(workers, 30.0, clock, lambda: {0: {"accepted": 7}}, lambda: False)


async def test_ready_then_the_watchdog_and_the_state(systemd: Systemd) -> None:
    clock, workers, tasks = ManualClock(), Workers(), Tasks("test")
    workers.beats = [clock.monotonic()] * 2
    tasks.spawn(announcing(workers, clock).run(), "announce")
    assert await systemd.hears() == "EXTEND_TIMEOUT_USEC=30000000"
    workers.all_ready.set()
    assert await systemd.hears() == "READY=1\nSTATUS=2 workers"
    assert await systemd.hears() == "WATCHDOG=1"
    clock.advance(11.0)
    while (line := await systemd.hears()) == "WATCHDOG=1":
        pass
    assert line.startswith("STATUS=ok: 2 workers, ")
    assert "accepted 7" in line
    await tasks.end()


async def test_silence_while_one_cannot_be_mended(systemd: Systemd, caplog: pytest.LogCaptureFixture) -> None:
    clock, workers, tasks = ManualClock(), Workers(), Tasks("test")
    workers.all_ready.set()
    workers.beats = [clock.monotonic()] * 2
    tasks.spawn(announcing(workers, clock).run(), "announce")
    while await systemd.hears() != "WATCHDOG=1":
        pass
    clock.advance(100.0)  # in one step: the machine stood still, which is not the workers' fault
    workers.beats[1] = clock.monotonic()
    await systemd.hears_only("nothing")
    assert "cannot be mended" in caplog.text  # but they had their breath since
    await systemd.hears_only("WATCHDOG=1")
    assert caplog.text.count("cannot be mended") == 1
    workers.beats[0] = clock.monotonic()
    while await systemd.hears() != "WATCHDOG=1":
        pass
    await tasks.end()


async def test_without_systemd_it_ends(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    caplog.set_level("INFO")
    workers = Workers()
    workers.all_ready.set()
    await asyncio.wait_for(announcing(workers, ManualClock()).run(), 30)
    assert "relay ready" in caplog.text
