"""``relay queue``: deliveries are suspended and resumed; mail is explained, sent elsewhere, deleted."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from relay.daemon.commands.app import app
from tests.fakes.prepared import DOMAIN, Port, message, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.conftest import StartRelay
from tests.scenarios.receiver import Receiver


@pytest.fixture
def nobody() -> Iterator[Port]:
    """Where no receiver is."""
    held = Port()
    yield held
    held.free()


def queue(relay: RunningRelay, *words: str, as_json: bool = True) -> Any:
    more = ["--json"] if as_json else []
    ended = CliRunner().invoke(app, ["queue", *words, *more], env={"RELAY_CONFIG": str(relay.file)})
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.stdout) if as_json else ended.stdout


def explained(relay: RunningRelay, message_id: str) -> dict[str, Any]:
    (recipient,) = queue(relay, "explain", message_id)["recipients"]
    assert isinstance(recipient, dict)
    return recipient


def in_force(relay: RunningRelay) -> None:
    """Wait until every worker knows the directory as it is now."""
    directory = relay.directory()
    relay.wait_for_directory(directory)
    directory.close()


def hop(domain: str, port: int) -> str:
    return f'[[route]]\ndomain = "{domain}"\nnext_hop = "127.0.0.1:{port}"\ntls = "none"\n'


def test_what_is_suspended_waits_and_what_is_resumed_leaves(
    start_relay: StartRelay, receiver: Receiver
) -> None:
    relay = start_relay(next_hop=receiver.port, workers=2)
    queue(relay, "suspend", "--domain", "wait.example", "--reason", "they asked", as_json=False)
    in_force(relay)
    waits = [relay.send(message(f"waits {n}"), f"a{n}@wait.example") for n in range(4)]
    relay.send(message("leaves"), "b@other.example")
    receiver.wait_for("leaves")
    states = {row["id"]: row["state"] for row in queue(relay, "list", "--domain", "wait.example")}
    assert states == dict.fromkeys(waits, "parked")
    found = explained(relay, waits[0])
    assert (found["limit"], found["why"]) == ("suspension", "domain wait.example is suspended: they asked")
    assert found["advice"] == 'relay queue resume --domain "wait.example"'

    relay.stop()  # it holds over a restart
    relay.start()
    relay.send(message("leaves too"), "b@other.example")
    receiver.wait_for("leaves too")
    assert not any(subject.startswith("waits") for subject in receiver.subjects())

    queue(relay, "resume", "--domain", "wait.example", as_json=False)
    for n in range(4):
        receiver.wait_for(f"waits {n}")
    wait_until(lambda: not queue(relay, "list"), "nothing waits")


def test_a_site_and_an_account_are_suspended_while_mail_comes_in(
    start_relay: StartRelay, receiver: Receiver
) -> None:
    relay = start_relay(next_hop=receiver.port, workers=1)
    site = f"hop:127.0.0.1:{receiver.port}"
    for words, name in ((["--site", site], "site"), (["--account", "tests"], "account")):
        queue(relay, "suspend", *words, as_json=False)
        in_force(relay)
        waits = relay.send(message(f"by {name}"))
        wait_until(
            lambda waits=waits: explained(relay, waits)["limit"] == "suspension", f"{name} is suspended"
        )
        assert f"by {name}" not in receiver.subjects()
        queue(relay, "resume", *words, as_json=False)
        receiver.wait_for(f"by {name}")


def test_mail_is_sent_elsewhere_and_back(start_relay: StartRelay, nobody: Port) -> None:
    with Receiver() as elsewhere:
        routes = hop("never.example", elsewhere.port)  # lends its TLS to what is sent there
        relay = start_relay(next_hop=nobody.number, workers=1, retry='["1h"]', more=routes)
        moved, stays = (relay.send(message(one), f"{one}@receiver.example") for one in ("moved", "stays"))
        for one in (moved, stays):
            relay.wait_for_event(one, "deferred")
        assert queue(relay, "reroute", stays, "--to", "127.0.0.1:1") == {"reroute": 1}
        assert queue(relay, "reroute", stays, "--back") == {"reroute": 1}
        to = f"127.0.0.1:{elsewhere.port}"
        assert queue(relay, "reroute", moved, "--to", to) == {"reroute": 1}
        got = elsewhere.wait_for("moved")
        assert got.recipients == ["moved@receiver.example"]
        relay.wait_for_event(moved, "delivered")
        assert elsewhere.subjects() == ["moved"]
        assert queue(relay, "count")["domains"] == {"receiver.example": 1}


def test_the_last_attempt_is_told_line_by_line(start_relay: StartRelay, tmp_path: Any) -> None:
    with Receiver() as receiver:
        receiver.replies["RCPT full@receiver.example"] = "452 4.2.2 mailbox \x1b[2J full"
        relay = start_relay(next_hop=receiver.port, workers=1, retry='["1h"]')
        waits = relay.send(message("secret text"), "full@receiver.example")
        relay.wait_for_event(waits, "deferred")
        wait_until(lambda: "transcript" in explained(relay, waits), "the transcript is on disk")
        lines = explained(relay, waits)["transcript"].split("\n")
        assert "> RCPT TO:<full@receiver.example>" in lines
        assert lines[lines.index("> RCPT TO:<full@receiver.example>") + 1].startswith("< 452 4.2.2 mailbox ")
        assert lines[1].startswith("< 220 ")
        assert not any("secret text" in line or "\x1b" in line for line in lines)
        said = queue(relay, "explain", waits, as_json=False)
        assert "limit:" in said
        assert "last attempt, 20" in said
        relay.stop()
        ended = relay.command("queue", "explain", waits)  # as the disk tells
        assert ended.returncode == 0, ended.stderr
        assert b"no relay runs" in ended.stderr
        assert b"< 452 4.2.2 mailbox" in ended.stdout

        relay.start()
        del receiver.replies["RCPT full@receiver.example"]
        assert queue(relay, "flush", "--domain", "receiver.example")["flush"] == 1
        receiver.wait_for("secret text")


def test_deleted_mail_comes_back_to_its_sender_where_that_is_wanted(
    start_relay: StartRelay, nobody: Port
) -> None:
    with Receiver() as sender:
        relay = start_relay(next_hop=nobody.number, workers=1, retry='["1h"]', more=hop(DOMAIN, sender.port))
        told, untold = (relay.send(message(one), f"{one}@receiver.example") for one in ("told", "untold"))
        for one in (told, untold):
            relay.wait_for_event(one, "deferred")
        assert queue(relay, "delete", untold) == {"delete": 1}
        assert queue(relay, "delete", "--domain", "receiver.example", "--bounce") == {"delete": 1}
        bounce = sender.wait_for_bounce("told@receiver.example").parsed
        _, report, _ = bounce.get_payload()
        fields = report.get_payload()[1]
        assert (fields["action"], fields["status"]) == ("failed", "5.7.1")
        assert relay.wait_for_event(told, "failed")["reason"] == "deleted"
        assert relay.wait_for_event(untold, "deleted")["by"]
        wait_until(lambda: not queue(relay, "list"), "nothing waits")
        assert len(sender.received) == 1
