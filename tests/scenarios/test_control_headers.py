"""Control fields and the rest of what becomes of a header (SES.md 5), over TLS, with two workers: the fields
in, the exact reply out, what events tell, and what the receiver sees."""

import json
import re
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from relay.base.arn import identity_arn
from relay.base.clock import SystemClock
from tests.fakes.prepared import DOMAIN, HOSTNAME, SENDER, message, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.conftest import StartRelay
from tests.scenarios.receiver import Receiver

TO = "someone@receiver.example"
SIMULATOR = f"simulator.{HOSTNAME}"
REGION, ACCOUNT = "us-east-1", 1
OWN = identity_arn(REGION, ACCOUNT, DOMAIN)
SET = "ses:configuration-set"


def hand_in(relay: RunningRelay, content: bytes, *recipients: str) -> tuple[int, str]:
    """The reply to the dot."""
    with relay.client() as client:
        client.mail(SENDER)
        for one in recipients or (TO,):
            client.rcpt(one)
        code, said = client.data(content)
        return code, said.decode()


def taken(relay: RunningRelay, content: bytes, *recipients: str) -> str:
    """The id of a message that must be taken."""
    code, said = hand_in(relay, content, *recipients)
    assert (code, said[:9]) == (250, "2.6.0 Ok "), said
    return said.split()[2]


def told(relay: RunningRelay, message_id: str, *kinds: str) -> dict[str, dict[str, Any]]:
    """The detail of the events of a message by kind, once there is one of each."""

    def found() -> dict[str, dict[str, Any]] | None:
        listed = relay.command("events", "tail", "--json", "-n", "1000").stdout.splitlines()
        every = [json.loads(line) for line in listed]
        details = {one["kind"]: one["detail"] for one in every if one["message_id"] == message_id}
        return details if set(kinds) <= set(details) else None

    details = wait_until(found, f"{kinds} of {message_id}")
    assert isinstance(details, dict)
    return details


@pytest.mark.parametrize(
    ("fields", "asks"),
    [
        ("X-SES-CONFIGURATION-SET: news", {"tags": {SET: ["news"]}}),
        (
            "X-SES-MESSAGE-TAGS: campaign=book, day=monday\r\nX-SES-CONFIGURATION-SET: ConfigSet",
            {"tags": {SET: ["ConfigSet"], "campaign": ["book"], "day": ["monday"]}},
        ),
        ("x-ses-message-tags: a=1,\r\n b=2", {"tags": {"a": ["1"], "b": ["2"]}}),
        ("X-SES-MESSAGE-TAGS: a=\u00e9", {"ignored": ["X-SES-MESSAGE-TAGS"]}),
        (f"X-SES-SOURCE-ARN: {OWN}", {"sourceArn": OWN}),
        (
            f"X-SES-FROM-ARN: {OWN}\r\nX-SES-RETURN-PATH-ARN: {OWN}",
            {"fromArn": OWN, "returnPathArn": OWN},
        ),
        ("X-SES-Nothing-Known: at all", {}),
        ("X-Other: stays", {}),
    ],
)
def test_what_is_asked_is_told_and_never_sent(
    shared_relay: RunningRelay, shared_receiver: Receiver, fields: str, asks: dict[str, Any]
) -> None:
    message_id = taken(shared_relay, fields.encode() + b"\r\n" + message("asks"))
    for detail in told(shared_relay, message_id, "Send", "Delivery").values():
        found = {name: detail[name] for name in detail if name in ("tags", "ignored") or "Arn" in name}
        assert found == asks
    got = next(one for one in shared_receiver.received if message_id.encode() in one.content)
    assert b"x-ses-" not in got.content.lower()
    assert (b"X-Other: stays" in got.content) == ("X-Other" in fields)
    assert all(shared_relay.signatures(got.content).values())


def test_a_bounce_tells_it_too(shared_relay: RunningRelay, shared_receiver: Receiver) -> None:
    content = b"X-SES-MESSAGE-TAGS: campaign=book\r\n" + message("bounced and tagged")
    message_id = taken(shared_relay, content, f"bounce@{SIMULATOR}", f"success@{SIMULATOR}")
    details = told(shared_relay, message_id, "Send", "Bounce", "Delivery")
    assert [one["tags"] for one in details.values()] == [{"campaign": ["book"]}] * 3
    report = shared_receiver.wait_for_bounce(f"bounce@{SIMULATOR}")
    assert b"x-ses-" not in report.content.lower()  # the header that it quotes is the one that was sent


@pytest.mark.parametrize(
    ("field", "reply"),
    [
        (
            "X-SES-CONFIGURATION-SET: two words",
            "5.6.0 Transaction failed: Configuration set does not exist: 'two words'. "
            "A name has 1 to 64 letters, digits, hyphens and underscores.",
        ),
        (
            "X-SES-MESSAGE-TAGS: campaign:book",
            "5.6.0 Transaction failed: Invalid message tag: 'campaign:book'. "
            "X-SES-MESSAGE-TAGS is name=value, name=value; "
            "names and values have 1 to 256 letters, digits, hyphens and underscores.",
        ),
        (
            "X-SES-SOURCE-ARN: sender.example",
            f"5.6.0 Transaction failed: X-SES-SOURCE-ARN is not the ARN of an identity, "
            f"such as {identity_arn(REGION, ACCOUNT, 'example.com')}.",
        ),
        (
            f"X-SES-FROM-ARN: {identity_arn(REGION, ACCOUNT, 'elsewhere.example')}",
            "5.7.1 Access denied: User `{user}' is not authorized to perform `ses:SendRawEmail' on resource "
            f"`{identity_arn(REGION, ACCOUNT, 'elsewhere.example')}'",
        ),
        (
            f"X-SES-RETURN-PATH-ARN: {identity_arn(REGION, 2, DOMAIN)}",
            "5.7.1 Access denied: User `{user}' is not authorized to perform `ses:SendRawEmail' on resource "
            f"`{identity_arn(REGION, 2, DOMAIN)}'",
        ),
        (
            "X-SES-LIST-MANAGEMENT-OPTIONS: customers; topic=news",
            "5.6.0 Transaction failed: Contact list does not exist: 'customers'.",
        ),
    ],
)
def test_what_is_refused(shared_relay: RunningRelay, field: str, reply: str) -> None:
    expected = (554, reply.replace("{user}", shared_relay.prepared.username))
    assert hand_in(shared_relay, f"{field}\r\n".encode() + message("never")) == expected


def test_a_large_message_is_read_alike(shared_relay: RunningRelay, shared_receiver: Receiver) -> None:
    """Above one megabyte it is checked and signed in a thread, and kept in a file."""
    tagged = b"X-SES-MESSAGE-TAGS: campaign=large\r\n" + message("large and tagged")
    message_id = taken(shared_relay, tagged + (b"x" * 70 + b"\r\n") * 20_000)
    got = shared_receiver.wait_for("large and tagged")
    assert b"x-ses-" not in got.content.lower()
    assert told(shared_relay, message_id, "Delivery")["Delivery"]["tags"] == {"campaign": ["large"]}


def test_it_is_kept_over_a_restart(start_relay: StartRelay, receiver: Receiver) -> None:
    relay = start_relay(next_hop=receiver.port, workers=1, retry='["100ms"]')
    receiver.replies["RCPT later@receiver.example"] = ["450 4.2.0 later"] * 10_000
    tagged = b"X-SES-CONFIGURATION-SET: news\r\n" + message("waits")
    message_id = taken(relay, tagged, "later@receiver.example")
    relay.wait_for_event(message_id, "deferred")
    relay.kill()
    relay.start()
    shown = json.loads(relay.command("queue", "show", message_id, "--json").stdout)
    assert shown["control"] == {"tags": {SET: ["news"]}}
    receiver.replies["RCPT later@receiver.example"] = "550 5.2.1 gone"
    details = told(relay, message_id, "Bounce")
    assert details["Bounce"]["tags"] == {SET: ["news"]}


def _lines(content: bytes, name: bytes) -> list[bytes]:
    header = content.partition(b"\r\n\r\n")[0]
    return [line for line in header.split(b"\r\n") if line.lower().startswith(name.lower() + b":")]


def test_what_is_overridden_removed_and_added(shared_relay: RunningRelay, shared_receiver: Receiver) -> None:
    """SES.md 5 in one message: Date, Message-ID, Return-Path, Bcc, X-SES-*, Received."""
    submitted = (
        b"Received: from before.example by app.example; Tue, 03 Mar 2020 09:30:00 +0100\r\n"
        b"Return-Path: <someone-else@sender.example>\r\n"
        b"Date: Tue, 03 Mar 2020 09:30:00 +0100\r\n"
        b"Message-Id: <mine@app.example>\r\n"
        b"Bcc: hidden@receiver.example,\r\n\tmore-hidden@receiver.example\r\n"
        b"x-SES-anything: folded\r\n over lines\r\n"
        b"X-SES: a name that only begins alike\r\n"
    ) + message("as a whole")
    before = int(SystemClock().now())
    message_id = taken(shared_relay, submitted, TO, "hidden@receiver.example")
    got = shared_receiver.wait_for("as a whole")
    content = got.content
    assert sorted(got.recipients) == ["hidden@receiver.example", TO]
    ours = content.partition(b"\r\nReceived: from before.example by app.example;")[0].decode()
    assert re.match(rf"Received: from \S+ \(\[127\.0\.0\.1\]\)\r\n\tby {HOSTNAME} with ESMTPSA \(TLSv1", ours)
    assert f"\tid {message_id};\r\n" in ours
    (date,) = _lines(content, b"Date")
    assert date.endswith(b" +0000")
    assert before <= _moment(date) <= int(SystemClock().now())
    assert _lines(content, b"Message-ID") == [f"Message-ID: <{message_id}@{HOSTNAME}>".encode()]
    assert _lines(content, b"Return-Path") == []
    assert b"hidden" not in content.lower()
    assert b"over lines" not in content
    assert _lines(content, b"X-SES") == [b"X-SES: a name that only begins alike"]
    assert all(shared_relay.signatures(content).values())


def _moment(date: bytes) -> int:
    return int(parsedate_to_datetime(date.partition(b": ")[2].decode()).timestamp())


MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("limits", "limit"),
    [("", 10 * MIB), ('message_size = "40 MiB"', 40 * MIB)],
    ids=["by default", "by configuration"],
)
def test_the_size_limit_is_exact(
    start_relay: StartRelay, receiver: Receiver, limits: str, limit: int
) -> None:
    relay = start_relay(next_hop=receiver.port, workers=1, limits=limits)

    def sized(subject: str, size: int) -> bytes:
        head = message(subject)
        rest = size - len(head)
        return head + (b"y" * 70 + b"\r\n") * (rest // 72 - 1) + b"z" * (rest % 72 + 70) + b"\r\n"

    with relay.client() as client:
        assert client.esmtp_features["size"] == str(limit)
        assert client.mail(SENDER, [f"SIZE={limit + 1}"]) == (552, b"5.3.4 Message is too long.")
    assert hand_in(relay, sized("too long", limit + 1)) == (552, "5.3.4 Message is too long.")
    taken(relay, sized("fits", limit))
    assert receiver.wait_for("fits")
    assert receiver.subjects() == ["fits"]


@pytest.mark.parametrize(("limits", "most"), [("", 50), ("recipients = 3", 3)])
def test_the_surplus_recipients_may_come_later(
    start_relay: StartRelay, receiver: Receiver, limits: str, most: int
) -> None:
    relay = start_relay(next_hop=receiver.port, workers=1, limits=limits)
    replies: list[tuple[int, bytes]] = []
    with relay.client() as client:
        client.mail(SENDER)
        for number in range(most + 2):
            replies.append(client.rcpt(f"r{number}@receiver.example"))
        code, said = client.data(message("to many"))
        assert code == 250, said
    assert {code for code, _ in replies[:most]} == {250}
    assert replies[most:] == [(452, b"4.5.3 Too many recipients")] * 2
    assert len(receiver.wait_for("to many").recipients) == most
