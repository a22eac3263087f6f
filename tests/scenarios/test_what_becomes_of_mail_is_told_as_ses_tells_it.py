"""What the running relay writes into its event log makes notifications that meet the schema to the letter:
accepted over SMTP with TLS, delivered, bounced, suppressed; with the header as the client sent it for those
that ask, and without it for others."""

from collections.abc import Sequence
from typing import Any

import pytest

from relay.base.events import Event, EventKind, Logged
from relay.codec.notification import Form, Service, identity_of, notification, to_bytes
from relay.codec.notification_groups import gather
from relay.directory.notifying import TOLD
from relay.directory.snapshot import KeyRing, Snapshot
from relay.spool.event_log import EventLog
from tests.fakes.notification_schema import STRICT
from tests.fakes.prepared import DOMAIN, HOSTNAME, SENDER, message, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.receiver import Receiver

SIMULATOR = f"simulator.{HOSTNAME}"
SERVICE = Service("us-east-1", HOSTNAME, HOSTNAME)
TOPICS = dict.fromkeys(TOLD, "feedback")
FIELDS = b"X-SES-MESSAGE-TAGS: campaign=book\r\nBcc: hidden@receiver.example\r\n"


def events_of(relay: RunningRelay, message_id: str, count: int) -> list[Event]:
    """The events of a message, once there are so many."""
    log = EventLog(relay.spool)

    def found() -> Sequence[Logged]:
        told = log.of_message(message_id)
        return told if len(told) >= count else ()

    try:
        return [one.event for one in wait_until(found, f"{count} events of {message_id}")]
    finally:
        log.close()


def submit(relay: RunningRelay, content: bytes, *recipients: str) -> str:
    with relay.client() as client:
        client.mail(SENDER)
        for one in recipients:
            code, said = client.rcpt(one)
            assert code == 250, said
        code, said = client.data(content)
        assert code == 250, said
        return str(said.decode().split()[2])


def told(relay: RunningRelay, message_id: str, count: int) -> dict[str, dict[str, Any]]:
    """The notifications of a message by kind and subtype, as the settings of its identity have them."""
    directory = relay.directory()
    snapshot = Snapshot(directory.read(), KeyRing(directory.vault(), directory.region))
    directory.close()
    events = events_of(relay, message_id, count)
    send = next(one for one in events if one.kind is EventKind.SEND)
    found: dict[str, dict[str, Any]] = {}
    for group in gather(events):
        heard = snapshot.notifying(send.account_id, identity_of(send, group), group.first.kind)
        has_headers = heard is not None and heard.has_headers
        for form in (None, Form.EVENT):
            said = notification(group, send, SERVICE, has_headers=has_headers, form=form)
            faults = [str(one.message) for error in STRICT.iter_errors(said) for one in error.context or ()]
            assert STRICT.is_valid(said), faults
            assert to_bytes(said) == to_bytes(
                notification(group, send, SERVICE, has_headers=has_headers, form=form)
            )
            if form is None:
                subtype = said.get("bounce", {}).get("bounceSubType", "")
                found[f"{group.first.kind.value}{subtype}"] = said
    return found


@pytest.fixture(scope="module")
def asking(shared_relay: RunningRelay) -> RunningRelay:
    """The relay, with an identity that wants everything with its header but sends and deliveries."""
    directory = shared_relay.directory()
    account = directory.accounts.list()[0].name
    directory.topics.create(account, "feedback", "https://hooks.example.org/")
    wanted = [kind for kind in TOLD if kind not in (EventKind.SEND, EventKind.DELIVERY)]
    directory.notifications.set(DOMAIN, topics=TOPICS, headers=wanted)
    shared_relay.wait_for_directory(directory)
    directory.close()
    return shared_relay


def test_each_outcome_is_told_once(asking: RunningRelay, shared_receiver: Receiver) -> None:
    to = (
        "someone@receiver.example",
        f"bounce@{SIMULATOR}",
        f"nobody@{SIMULATOR}",
        f"suppressionlist@{SIMULATOR}",
    )
    sent = message("told", to=to[0])
    message_id = submit(asking, FIELDS + sent, *to)
    shared_receiver.wait_for("told")
    found = told(asking, message_id, 5)
    assert sorted(found) == ["BounceNoEmail", "BounceSuppressed", "Delivery", "Send"]

    mail = found["BounceNoEmail"]["mail"]
    assert mail["messageId"] == message_id
    assert mail["source"] == SENDER
    assert mail["sourceArn"].endswith(f":identity/{DOMAIN}")
    assert mail["sourceIp"] == "127.0.0.1"
    assert mail["destination"] == list(to)
    names = [line.split(b":")[0].decode() for line in (FIELDS + sent).split(b"\r\n\r\n")[0].splitlines()]
    assert [one["name"] for one in mail["headers"]] == names
    assert mail["headers"][0]["value"] == "campaign=book"
    assert mail["headersTruncated"] is False
    assert mail["commonHeaders"]["subject"] == "told"
    assert mail["commonHeaders"]["bcc"] == ["hidden@receiver.example"]

    bounced = found["BounceNoEmail"]["bounce"]
    assert {one["emailAddress"] for one in bounced["bouncedRecipients"]} == set(to[1:3])  # both in one
    assert {one["status"] for one in bounced["bouncedRecipients"]} == {"5.1.1"}
    assert bounced["reportingMTA"] == f"dsn; {HOSTNAME}"
    suppressed = found["BounceSuppressed"]["bounce"]
    assert suppressed["reportingMTA"] == f"dns; {HOSTNAME}"
    assert suppressed["feedbackId"] != bounced["feedbackId"]

    delivery = found["Delivery"]
    assert "headers" not in delivery["mail"]  # not asked for of this kind
    assert delivery["delivery"]["recipients"] == [to[0]]
    assert delivery["delivery"]["remoteMtaIp"] == "127.0.0.1"
    assert delivery["delivery"]["reportingMTA"] == HOSTNAME
    assert found["Send"]["send"] == {}
    assert found["Send"]["mail"]["tags"]["campaign"] == ["book"]


def test_what_comes_back_is_told_too(asking: RunningRelay) -> None:
    away, annoyed = f"ooto@{SIMULATOR}", f"complaint@{SIMULATOR}"
    message_id = submit(asking, message("comes back", to=away), away, annoyed)
    found = told(asking, message_id, 5)
    assert sorted(found) == ["BounceGeneral", "Complaint", "Delivery", "Send"]
    assert found["Delivery"]["delivery"]["recipients"] == [away, annoyed]  # one reply for both

    replied = found["BounceGeneral"]["bounce"]
    assert (replied["bounceType"], replied["bounceSubType"]) == ("Transient", "General")
    assert replied["bouncedRecipients"] == [{"emailAddress": away}]
    complaint = found["Complaint"]["complaint"]
    assert complaint["complainedRecipients"] == [{"emailAddress": annoyed}]
    assert (complaint["complaintFeedbackType"], complaint["complaintSubType"]) == ("abuse", None)
    assert complaint["userAgent"]
    assert complaint["arrivalDate"] <= complaint["timestamp"]
    assert found["Complaint"]["mail"]["commonHeaders"]["subject"] == "comes back"
