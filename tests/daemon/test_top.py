"""``relay top``: one frame, lines of JSON, and the live screen on a terminal."""

import json
import os
import pty
import subprocess
import sys
from contextlib import suppress

import pytest

from relay.daemon.commands.top import Keys
from tests.fakes.command_line import ROOT
from tests.fakes.prepared import ACCOUNT, message, wait_until
from tests.fakes.running import RunningRelay


def test_one_frame(running: RunningRelay) -> None:
    running.send(message("seen"))
    done = running.command("top", "--once")
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode()
    assert text.startswith("relay ")
    assert "2 of 2 workers" in text
    assert ACCOUNT in text
    assert "hop:127.0.0.1" in text


def test_a_line_of_json(running: RunningRelay) -> None:
    done = running.command("top", "--once", "--json")
    frame = json.loads(done.stdout)
    assert len(done.stdout.splitlines()) == 1
    assert set(frame["per_s"]) == {"accepted", "delivered", "deferred", "failed"}
    assert [one["worker"] for one in frame["workers"]] == ["0", "1"]
    assert frame["accounts"][0]["account"] == ACCOUNT


def test_without_a_relay(running: RunningRelay, tmp_path: pytest.TempPathFactory) -> None:
    file = f"{tmp_path}/relay.toml"
    with open(file, "w") as stream:
        stream.write("[spool]\npath = 'none'\n")
    environment = {**os.environ, "RELAY_CONFIG": file, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "relay", "top", "--once"], env=environment, capture_output=True, timeout=60
    )
    assert done.returncode == 1
    assert b"no relay runs on" in done.stderr


def test_on_a_terminal_it_goes_on_until_q(running: RunningRelay) -> None:
    ours, theirs = pty.openpty()
    environment = {
        **os.environ, "RELAY_CONFIG": str(running.file), "TERM": "xterm", "COLUMNS": "80", "LINES": "24",
        "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1",
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "relay", "top"], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    os.set_blocking(ours, False)
    seen = bytearray()

    def frames() -> int:
        with suppress(OSError):
            seen.extend(os.read(ours, 65536))
        return seen.count(b"the last minute")

    wait_until(lambda: frames() >= 2, "two frames")
    before = frames()
    os.write(ours, b"s")
    wait_until(lambda: frames() > before, "a frame at once")
    os.write(ours, b"q")
    assert wait_until(lambda: (frames(), process.poll())[1] is not None, "it has ended")
    os.close(ours)
    assert process.returncode == 0, seen


async def test_keys() -> None:
    keys = Keys()
    orders = [keys.order]
    for _ in range(3):
        keys.type(b"s")
        orders.append(keys.order)
    assert orders == ["busy", "waiting", "state", "busy"]
    keys.type(b"x")
    assert not keys.has_ended
    keys.type(b"sq")
    assert keys.has_ended
    gone = Keys()
    gone.type(b"")
    assert gone.has_ended
