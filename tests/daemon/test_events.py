"""``relay events tail``, at a relay that runs."""

import json
import subprocess
import sys

from typer.testing import CliRunner

from relay.daemon.commands.app import app
from tests.fakes.prepared import SENDER, message
from tests.fakes.running import RunningRelay


def tail(relay: RunningRelay, *words: str) -> list[str]:
    ended = CliRunner(env={"RELAY_CONFIG": str(relay.file)}).invoke(app, ["events", "tail", *words])
    assert ended.exit_code == 0, ended.output
    return ended.stdout.splitlines()


def send(relay: RunningRelay, *subjects: str) -> None:
    with relay.client() as client:
        for subject in subjects:
            client.sendmail(SENDER, ["x@receiver.example"], message(subject))


def test_the_last_ones_come_oldest_first(running: RunningRelay) -> None:
    send(running, "one", "two", "three")
    found = [json.loads(line) for line in tail(running, "--kind", "Send", "--json")]
    assert len(found) >= 3
    assert [one["at"] for one in found] == sorted(one["at"] for one in found)
    last = found[-1]
    assert set(last) == {"shard", "offset", "at", "kind", "message_id", "account_id", "detail"}
    assert (last["kind"], last["detail"]["destination"]) == ("Send", ["x@receiver.example"])
    shown = tail(running, "-n", "2", "--kind", "Send")
    assert len(shown) == 2
    assert last["message_id"] in shown[-1]
    assert ' destination=["x@receiver.example"] ' in shown[-1]  # lists as JSON, for people too
    assert tail(running, "-n", "0") == []


def test_following_shows_what_comes(running: RunningRelay) -> None:
    send(running, "before")
    following = subprocess.Popen(
        [sys.executable, "-m", "relay", "--config", str(running.file), "events", "tail", "-f", "-n", "1",
         "--kind", "Send"],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert following.stdout is not None
    try:
        before = following.stdout.readline()
        send(running, "after")
        after = following.stdout.readline()
        assert before.split()[2] != after.split()[2]
        following.send_signal(2)
        assert following.wait(30) == 0
    finally:
        following.kill()
        following.wait()
        following.stdout.close()
