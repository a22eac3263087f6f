"""A backup of a relay at work: its clients notice nothing, and what it holds is all that was promised."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.fakes.prepared import SENDER, wait_until
from tests.fakes.running import RunningRelay
from tests.fakes.stopped_relay import waiting
from tests.scenarios.conftest import StartRelay
from tests.scenarios.load import Load
from tests.scenarios.receiver import Receiver

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LARGE = 400_000


def to_nobody(subject: str, size: int = 0) -> bytes:
    return f"From: {SENDER}\r\nSubject: {subject}\r\n\r\n".encode() + (b"x" * 68 + b"\r\n") * (size // 70 + 1)


def delivered(relay: RunningRelay) -> set[str]:
    """By the log; those on their way to it are in neither set, and allowed for."""
    lines = [line.split() for line in relay.log().splitlines() if " event=delivered " in line]
    return {word[3:] for line in lines for word in line if word.startswith("id=")}


def backup(relay: RunningRelay, target: Path) -> "subprocess.CompletedProcess[bytes]":
    done = relay.command("backup", str(target))
    assert done.returncode == 0, done.stderr
    assert b"made and verified" in done.stdout
    return done


def test_taken_lost_and_restored(start_relay: StartRelay, receiver: Receiver, tmp_path: Path) -> None:
    """Mail flows to one receiver, and waits for another one. A backup is made, all is lost, the backup is
    restored, and held; released, what waited arrives, and nothing that was promised before it is missing."""
    more = '[[route]]\ndomain = "waits.example"\nnext_hop = "127.0.0.1:1"\ntls = "none"\n'
    relay = start_relay(next_hop=receiver.port, more=more, retry='["1h"]')
    late = [relay.send(to_nobody(f"late-{n}", LARGE * (n % 2)), f"{n}@waits.example") for n in range(6)]
    target = tmp_path / "backup.tar"
    with Load(relay, clients=1, per_session=10) as load:
        load.wait_for(30)
        promised = list(load.ids)
        subjects = set(load.promised)
        backup(relay, target)
        finished = delivered(relay)
        count = len(load.promised)
        load.wait_for(count + 20)  # it goes on
    relay.stop()
    shutil.rmtree(relay.spool)

    done = relay.command("restore", str(target), "--only", "spool")
    assert done.returncode == 0, done.stderr
    found = waiting(relay.spool)
    assert set(late) <= set(found)
    unfinished = {one for one in promised if one not in finished}
    assert {one for one in unfinished if one not in found} <= delivered(relay)
    assert {state for of in found.values() for state in of.values()} == {2}
    assert f"held: {len(found)} recipients" in done.stdout.decode()

    relay.configure(more=more.replace("127.0.0.1:1", f"127.0.0.1:{receiver.port}"))
    before = len(receiver.subjects())
    relay.start()
    assert relay.command("queue", "count").stdout.decode().count(f"held recipients:     {len(found)}") == 1
    assert len(receiver.subjects()) == before  # nothing goes by itself
    assert relay.command("queue", "release", "--all").returncode == 0
    wait_until(
        lambda: {f"late-{n}" for n in range(6)} | subjects <= set(receiver.subjects()),
        "all of it has arrived",
        60,
    )
    relay.send(to_nobody("new"))
    receiver.wait_for("new")
