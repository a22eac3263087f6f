"""``relay message`` with a relay that runs, after it was stopped, and about what nobody knows."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.base.ids import MessageIds
from relay.daemon.commands.message import _print_news
from tests.daemon.conftest import StartRelay
from tests.daemon.test_running import run
from tests.fakes.prepared import ACCOUNT, SENDER, message, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.receiver import Receiver

REPLIES = {
    "RCPT bad@receiver.example": "550 5.1.1 who",
    "RCPT later@receiver.example": "451 4.2.0 \x1b later",
}
TO = ("good@receiver.example", "bad@receiver.example", "later@receiver.example")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        started.replies = dict(REPLIES)
        yield started


def send(relay: RunningRelay) -> str:
    content = b"X-SES-MESSAGE-TAGS: campaign=spring\r\n" + message("a life")
    with relay.client() as client:
        client.ehlo()
        client.mail(SENDER)
        for one in TO:
            client.rcpt(one)
        code, reply = client.data(content)
    assert code == 250
    return reply.decode().rpartition(" ")[2]


def test_the_life_of_a_message(start_relay: StartRelay, receiver: Receiver) -> None:
    relay = start_relay(workers=1, next_hop=receiver.port, retry='["1h"]')
    message_id = send(relay)
    relay.wait_for_event(message_id, "deferred")
    bounce = relay.wait_for_event(message_id, "failed")["bounce"]
    relay.wait_for_event(bounce, "delivered")
    status, said, error = run(relay.file, "message", f"<{message_id}@relay.test.example>")
    assert (status, error) == (0, "")
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert lines[1:4] == [f"account: {ACCOUNT}", f"from: {SENDER}", "identity: sender.example"]
    head = "\n".join(lines[4:12])
    assert f"client: 127.0.0.1, {relay.prepared.username}, ESMTPSA, TLSv1.3 " in head
    assert "tags: campaign=spring" in head
    assert "signed by: sender.example (" in head
    assert "relay.test.example (service, rsa-sha256)" in head
    table = [line for line in lines if line.startswith(tuple(TO))]
    assert [line.split()[1] for line in table] == ["delivered", "failed", "deferred"]
    assert table[1].endswith("Permanent/NoEmail: 550 5.1.1 who")
    assert any(line.endswith(f"told in {bounce}") for line in lines)
    assert any(" report Delivery " in line for line in lines)
    assert "> RCPT TO:<later@receiver.example>" in lines
    assert any(line.startswith("why: attempt 1 was answered: 451 4.2.0") for line in lines)
    assert "\x1b" not in said
    found = json.loads(run(relay.file, "message", message_id, "--json")[1])
    assert (found["asked"], found["account"]) == ("the relay", ACCOUNT)
    assert [one["state"] for one in found["recipients"]] == ["delivered", "failed", "deferred"]
    assert found["recipients"][2]["limit"] == "backoff"
    relay.stop()
    status, said, error = run(relay.file, "message", message_id)
    assert status == 0
    assert "as the disk tells; no relay runs" in error
    assert "451 4.2.0" in said
    late = MessageIds(1).make(1.0)
    status, said, error = run(relay.file, "message", late)
    assert (status, said) == (1, "")
    assert f"{late}: unknown; it is older than [events] keep_for (14 days)" in error
    wait_until(lambda: receiver.received, "the receiver has it")


@pytest.mark.parametrize("word", ["nonsense", "<mine@client.example>"])
def test_what_names_no_message(tmp_path: Path, word: str) -> None:
    (tmp_path / "relay.toml").write_text("[spool]\npath='s'\n")
    status, said, error = run(tmp_path / "relay.toml", "message", word)
    assert (status, said) == (1, "")
    assert "names no message of this relay" in error


WAITING = {
    "topic_id": 4, "topic": "orders", "since": 5.0, "attempts": 3, "due_at": 60.0, "is_aside": False,
    "said": "503",
}  # fmt: skip


@pytest.mark.parametrize(
    ("news", "topics", "behind", "said"),
    [
        ([], [], 0, ""),
        ([], ["orders"], 0, "nothing waits for the topics of its account (orders)"),
        ([], ["orders"], 2, "2 of its events were not made notifications of yet"),
        (
            [WAITING],
            ["orders"],
            0,
            "not taken by topic orders since 1970-01-01T00:00:05Z; 3 tries, "
            "tried again 1970-01-01T00:01:00Z: 503",
        ),
        ([{**WAITING, "topic": "", "is_aside": True}], [], 0, "not taken by topic number 4 since"),
    ],
)
def test_what_topics_have_yet_to_take_is_told(
    news: list[dict[str, object]],
    topics: list[str],
    behind: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _print_news({"notifications_waiting": news, "topics": topics, "events_not_looked_at": behind})
    out = capsys.readouterr().out
    assert out.strip().startswith(said)
    assert bool(out) == bool(said)
