"""``relay queue``: mail for a receiver that is down is looked at, held, let go, deleted, and tried again."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from relay.daemon.commands.app import app
from tests.fakes.prepared import DOMAIN, SENDER, Port, message, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.conftest import StartRelay
from tests.scenarios.receiver import Receiver


@pytest.fixture
def port() -> Iterator[Port]:
    """Where the receiver will be, once it is back."""
    held = Port()
    yield held
    held.free()


def queue(relay: RunningRelay, *words: str) -> Any:
    """The command line within this process: starting it takes a second of CPU each time."""
    ended = CliRunner().invoke(app, ["queue", *words, "--json"], env={"RELAY_CONFIG": str(relay.file)})
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.stdout)


def test_what_is_deferred_is_shown_held_released_deleted_and_flushed(
    start_relay: StartRelay, port: Port
) -> None:
    relay = start_relay(next_hop=port.number, retry='["1h"]')
    names = ("flushed", "released", "deleted")
    ids = {name: relay.send(message(name), f"{name}@receiver.example") for name in names}
    for message_id in ids.values():
        relay.wait_for_event(message_id, "deferred")

    def states() -> dict[str, str]:
        return {row["id"]: row["state"] for row in queue(relay, "list")}

    wait_until(lambda: states() == dict.fromkeys(ids.values(), "deferred"), "all are listed as deferred")
    (row,) = (
        row for row in queue(relay, "list", "--domain", "receiver.example") if row["id"] == ids["released"]
    )
    assert row["sender"] == SENDER
    assert row["recipient"] == "released@receiver.example"
    shown = queue(relay, "show", ids["flushed"])  # the first: the others may find the site known to be down
    assert shown["recipients"][0]["attempts"] == 1
    assert "connect" in shown["recipients"][0]["reply"]

    assert queue(relay, "hold", ids["released"]) == {"hold": 1}
    assert queue(relay, "delete", ids["deleted"]) == {"delete": 1}

    with Receiver(Port(number=port.number)) as receiver:
        assert queue(relay, "flush", "--all")["flush"] >= 1
        receiver.wait_for("flushed")
        relay.wait_for_event(ids["flushed"], "delivered")
        assert states() == {ids["released"]: "held"}
        assert queue(relay, "release", ids["released"]) == {"release": 1}
        receiver.wait_for("released")
        wait_until(lambda: not states(), "nothing waits")
        assert sorted(receiver.subjects()) == ["flushed", "released"]


def test_the_queue_is_shown_while_the_relay_does_not_run(start_relay: StartRelay, port: Port) -> None:
    relay = start_relay(next_hop=port.number, workers=1, retry='["1h"]')
    message_id = relay.send(message("waits"))
    relay.wait_for_event(message_id, "deferred")
    relay.stop()
    assert [row["id"] for row in queue(relay, "list")] == [message_id]
    ended = relay.command("queue", "flush", "--all")
    assert ended.returncode == 1
    assert b"no relay runs" in ended.stderr


def test_a_lost_reply_is_listed_as_uncertain(start_relay: StartRelay, receiver: Receiver) -> None:
    receiver.is_mute = True
    relay = start_relay(next_hop=receiver.port, workers=1)
    message_id = relay.send(message("unknown"))
    wait_until(lambda: receiver.muted, "the dot was sent")
    relay.kill()
    receiver.is_mute = False
    relay.start()
    receiver.wait_for("unknown")
    (row,) = queue(relay, "uncertain")
    assert (row["id"], row["recipient"], row["why"]) == (message_id, "someone@receiver.example", "crash")


def test_a_message_that_grows_too_old_is_bounced(start_relay: StartRelay, port: Port) -> None:
    with Receiver() as sender:
        back = f'[[route]]\ndomain = "{DOMAIN}"\nnext_hop = "127.0.0.1:{sender.port}"\ntls = "none"\n'
        relay = start_relay(next_hop=port.number, workers=1, delivery='max_age = "2s"', more=back)
        message_id = relay.send(message("too old"))
        assert relay.wait_for_event(message_id, "expired")["reason"] == "connect"
        bounce = sender.wait_for_bounce("someone@receiver.example").parsed
        _, report, _ = bounce.get_payload()
        assert report.get_payload()[1]["action"] == "failed"
        assert report.get_payload()[1]["status"].startswith("4.")
