"""The mailbox simulator, over TLS and with two workers: what is sent to it, what is told of it, and that it
needs no network. The resolver of this relay is a port where nobody answers, and the only way out leads to
the sender's own domain, so that bounces can be seen."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from email import message_from_bytes
from email.message import Message
from typing import Any

import pytest

from relay.base.events import EventKind
from relay.base.feedback import ReportKind
from relay.codec.notification_groups import gather
from relay.codec.report import read
from relay.directory.records import Access
from relay.spool.event_log import EventLog
from relay.spool.views import counts
from tests.fakes.prepared import DOMAIN, HOSTNAME, SENDER, Port, Prepared, message, wait_until
from tests.fakes.running import START_S, RunningRelay
from tests.scenarios.conftest import StartRelay
from tests.scenarios.receiver import Receiver
from tests.scenarios.test_the_configuration_is_reloaded import reload

SIMULATOR = f"simulator.{HOSTNAME}"
TAKEN, UNKNOWN, LISTED = "250 2.6.0 ", "550 5.1.1 ", "suppressed: "
SAID = {  # by how the reply begins: subtype, and Diagnostic-Code
    UNKNOWN: ("NoEmail", "smtp; 550 5.1.1 User unknown"),
    LISTED: (
        "Suppressed",
        "x-relay; suppressed: Mail to this address has bounced of late, so that it is on the suppression "
        "list: the message was not sent.",
    ),
}


def route_home(port: int) -> str:
    return f'[[route]]\ndomain = "{DOMAIN}"\nnext_hop = "127.0.0.1:{port}"\ntls = "none"\n'


@pytest.fixture(scope="module")
def cut_off(
    tmp_path_factory: pytest.TempPathFactory, prepared: Prepared, shared_receiver: Receiver
) -> Iterator[RunningRelay]:
    """A relay whose resolver is dead."""
    nobody = Port()
    with RunningRelay(
        tmp_path_factory.mktemp("cut-off"),
        prepared,
        delivery=f'resolver = "127.0.0.1:{nobody.number}"\nresolver_timeout = "100ms"',
        more=route_home(shared_receiver.port),
    ) as relay:
        yield relay
        relay.stop()
        assert "Traceback" not in relay.log()
    nobody.free()


def submit(relay: RunningRelay, *recipients: str, sender: str = SENDER, subject: str = "simulated") -> str:
    """One message in TLS, logged in; the id in its 250."""
    with relay.client() as client:
        client.mail(sender)
        for one in recipients:
            code, said = client.rcpt(one)
            assert code == 250, said
        code, said = client.data(message(subject, to=recipients[0]))
        assert code == 250, said
        return said.decode().split()[2]


def told(relay: RunningRelay, message_id: str, count: int) -> list[dict[str, Any]]:
    """The events of a message after its Send event, once there are ``count``."""

    with closing(EventLog(relay.spool)) as events:

        def found() -> list[dict[str, Any]]:
            found = [one.event for one in events.of_message(message_id)]
            after = [
                {"kind": one.kind.value, "at": one.at, "detail": json.loads(one.detail)}
                for one in found
                if one.kind is not EventKind.SEND
            ]
            return after if len(after) >= count else []

        listed: list[dict[str, Any]] = wait_until(found, f"{count} events of {message_id}")
        return listed


def bounces_of(receiver: Receiver, message_id: str) -> list[Message]:
    """The delivery reports that speak of a message."""
    found = [one.content for one in list(receiver.received) if not one.sender]
    return [message_from_bytes(content) for content in found if message_id.encode() in content]


def failed_in(report: Message) -> dict[str, tuple[str, str]]:
    """By final recipient: status and diagnostic code, from the second part of a report."""
    parts = [part for part in report.walk() if part.get_content_type() == "message/delivery-status"]
    assert len(parts) == 1
    groups = parts[0].get_payload()
    assert isinstance(groups, list)
    return {
        group["Final-Recipient"].partition(";")[2].strip(): (group["Status"], group["Diagnostic-Code"])
        for group in groups
        if isinstance(group, Message) and group["Final-Recipient"]
    }


@pytest.mark.parametrize(
    ("address", "kind", "reply"),
    [
        (f"success@{SIMULATOR}", "Delivery", TAKEN),
        (f"success+label1@{SIMULATOR}", "Delivery", TAKEN),
        (f"SUCCESS+Label@{SIMULATOR.upper()}", "Delivery", TAKEN),
        (f"suppressionlist@{SIMULATOR}", "Bounce", LISTED),
        (f"SuppressionList+x@{SIMULATOR}", "Bounce", LISTED),
        (f"bounce@{SIMULATOR}", "Bounce", UNKNOWN),
        (f"Bounce+user=example.com@{SIMULATOR}", "Bounce", UNKNOWN),
        (f"nobody@{SIMULATOR}", "Bounce", UNKNOWN),
        (f"success.not@{SIMULATOR}", "Bounce", UNKNOWN),
    ],
)
def test_each_address_has_its_outcome(
    cut_off: RunningRelay, shared_receiver: Receiver, address: str, kind: str, reply: str
) -> None:
    message_id = submit(cut_off, address)
    (event,) = told(cut_off, message_id, 1)
    assert event["kind"] == kind
    assert event["detail"]["recipient"] == address
    assert event["detail"]["reply"].startswith(reply)
    logged = cut_off.wait_for_event(message_id, "delivered" if kind == "Delivery" else "failed")
    assert logged["host"] == SIMULATOR
    if kind == "Bounce":
        wait_until(lambda: bounces_of(shared_receiver, message_id), "a bounce")
        (report,) = bounces_of(shared_receiver, message_id)
        status, diagnostic = failed_in(report)[address]
        subtype, said = SAID[reply]
        assert (status, " ".join(diagnostic.split())) == ("5.1.1", said)
        detail = event["detail"]
        assert (detail["bounceType"], detail["bounceSubType"]) == ("Permanent", subtype)
        assert (detail["status"], detail["diagnosticCode"], detail["action"]) == ("5.1.1", said, "failed")
        assert (detail["source"], detail["identity"]) == ("simulator", DOMAIN)


def notice_of(receiver: Receiver, message_id: str, words: bytes) -> Message:
    """The one mail with these words that went to the sender about a message."""

    def found() -> list[bytes]:
        got = [one.content for one in list(receiver.received) if not one.sender]
        return [content for content in got if message_id.encode() in content and words in content]

    wait_until(found, f"a mail about {message_id} with {words!r}")
    (content,) = found()
    return message_from_bytes(content)


def test_who_is_out_of_the_office_says_so(cut_off: RunningRelay, shared_receiver: Receiver) -> None:
    """RFC 3834; the sender gets it by mail, and the event is one that counts as nothing."""
    address = f"Ooto+user=example.com@{SIMULATOR}"
    message_id = submit(cut_off, address, subject="Are you there?")
    delivered, replied = told(cut_off, message_id, 2)
    assert (delivered["kind"], replied["kind"]) == ("Delivery", "Bounce")
    detail = replied["detail"]
    assert (detail["recipient"], detail["source"], detail["autoReply"]) == (address, "simulator", True)
    assert (detail["bounceType"], detail["bounceSubType"]) == ("Transient", "General")
    assert detail["identity"] == DOMAIN
    reply = notice_of(shared_receiver, message_id, b"Auto: Are you there?")
    assert reply["Auto-Submitted"].startswith("auto-replied")
    assert reply["In-Reply-To"] == f"<{message_id}@{HOSTNAME}>"
    assert (reply["From"], reply["Reply-To"]) == (
        f"Mail Delivery System <MAILER-DAEMON@{HOSTNAME}>",
        f"Mailbox Simulator <{address}>",
    )
    assert read(reply.as_bytes()).kind is ReportKind.AUTO_REPLY
    assert detail["bounce"] in reply["Message-ID"]


def test_who_complains_is_heard(cut_off: RunningRelay, shared_receiver: Receiver) -> None:
    """RFC 5965; two complaints of one message are two events, and two mails."""
    addresses = [f"complaint+{label}@{SIMULATOR}" for label in ("a", "b")]
    message_id = submit(cut_off, *addresses, subject="Offers")
    events = told(cut_off, message_id, 4)
    assert [one["kind"] for one in events] == ["Delivery", "Delivery", "Complaint", "Complaint"]
    for complaint, address in zip(
        sorted(events[2:], key=lambda one: one["detail"]["recipient"]), addresses, strict=True
    ):
        detail = complaint["detail"]
        assert (detail["recipient"], detail["source"], detail["identity"]) == (address, "simulator", DOMAIN)
        assert (detail["feedbackType"], detail["subType"]) == ("abuse", None)
        assert detail["userAgent"]
        assert 0 <= complaint["at"] - detail["arrivalDate"] < 600
        report = notice_of(shared_receiver, message_id, f"Original-Rcpt-To: <{address}>".encode())
        assert report.get_content_type() == "multipart/report"
        assert report.get_param("report-type") == "feedback-report"
        found = read(report.as_bytes())
        assert (found.kind, [one.address for one in found.recipients]) == (ReportKind.COMPLAINT, [address])
        assert found.message_id == f"<{message_id}@{HOSTNAME}>"


def test_without_a_sender_nobody_is_answered(cut_off: RunningRelay) -> None:
    """The complaint is an event all the same."""
    with cut_off.client() as client:
        client.mail("")
        client.rcpt(f"ooto@{SIMULATOR}")
        client.rcpt(f"complaint@{SIMULATOR}")
        code, said = client.data(message("from nobody"))
        assert code == 250, said
    message_id = said.decode().split()[2]
    events = told(cut_off, message_id, 3)
    assert [(one["kind"], one["detail"]["recipient"]) for one in events[2:]] == [
        ("Complaint", f"complaint@{SIMULATOR}")
    ]
    cut_off.wait_for_event(message_id, "feedback")  # the complaint; an answer would have been before it
    assert len(told(cut_off, message_id, 3)) == 3


def queued(relay: RunningRelay) -> int:
    """How many messages the relay has."""
    return counts(relay.spool).messages


def test_what_comes_back_is_not_lost_with_the_relay(shared_relay: RunningRelay) -> None:
    """Killed between the delivery and what follows it, at any moment: after the restart every message has
    one complaint, and one automatic reply, and no more. (The workers are back when this ends.)"""
    relay = shared_relay
    sent = [submit(relay, f"ooto@{SIMULATOR}", f"complaint@{SIMULATOR}") for _ in range(4)]
    for pid in relay.pids_below("worker"):
        os.kill(pid, signal.SIGKILL)
    wait_until(relay.is_ready, "the workers are back", START_S)
    sent += [submit(relay, f"ooto@{SIMULATOR}", f"complaint@{SIMULATOR}") for _ in range(4)]
    wait_until(lambda: queued(relay) == 0, "nothing is left in the queue")
    for message_id in sent:
        events = told(relay, message_id, 4)
        kinds = sorted((one["kind"], one["detail"]["recipient"].partition("@")[0]) for one in events)
        assert kinds == [
            ("Bounce", "ooto"), ("Complaint", "complaint"), ("Delivery", "complaint"), ("Delivery", "ooto")
        ]  # fmt: skip


def test_with_tls_required_it_is_the_same(cut_off: RunningRelay) -> None:
    """What needs no connection needs none that is encrypted (RFC 8689)."""
    with cut_off.client() as client:
        code, said = client.docmd("MAIL", f"FROM:<{SENDER}> REQUIRETLS")
        assert code == 250, said
        client.rcpt(f"complaint@{SIMULATOR}")
        code, said = client.data(message("in secret"))
        assert code == 250, said
    events = told(cut_off, said.decode().split()[2], 2)
    assert [one["kind"] for one in events] == ["Delivery", "Complaint"]


def test_bounces_of_one_message_are_one_report(cut_off: RunningRelay, shared_receiver: Receiver) -> None:
    labels = [f"bounce+{number}@{SIMULATOR}" for number in range(12)]
    message_id = submit(cut_off, f"success@{SIMULATOR}", *labels, f"no-one@{SIMULATOR}")
    events = told(cut_off, message_id, 14)
    assert sorted(one["kind"] for one in events) == ["Bounce"] * 13 + ["Delivery"]
    bounce_ids = {one["detail"]["bounce"] for one in events if one["kind"] == "Bounce"}
    assert len(bounce_ids) == 1
    cut_off.wait_for_event(bounce_ids.pop(), "delivered")
    (report,) = bounces_of(shared_receiver, message_id)
    assert set(failed_in(report)) == {*labels, f"no-one@{SIMULATOR}"}
    with closing(EventLog(cut_off.spool)) as log:
        groups = list(gather([one.event for one in log.of_message(message_id)]))
    together = [group for group in groups if group.first.kind is EventKind.BOUNCE]
    assert [len(group.events) for group in together] == [13]  # one notification


def test_with_forwarding_off_the_event_is_there_and_the_mail_is_not(
    cut_off: RunningRelay, shared_receiver: Receiver
) -> None:
    """Unless the sender asked for the mail in the envelope (RFC 3461)."""
    directory = cut_off.directory()
    quiet = f"quiet.{DOMAIN}"
    directory.identities.add("tests", quiet, is_verified=True)
    told_to = {EventKind.BOUNCE: "log", EventKind.COMPLAINT: "log"}
    directory.notifications.set(quiet, topics=told_to, is_forwarding=False)
    cut_off.wait_for_directory(directory)
    directory.close()
    sender = f"app@{quiet}"
    content = message("quietly", sender=sender)
    found = {}
    for notify in ("", "FAILURE", "NEVER"):
        with cut_off.client() as client:
            client.mail(sender)
            for name in ("bounce", "complaint", "ooto"):
                asked = [f"NOTIFY={notify}"] if notify else []
                code, said = client.rcpt(f"{name}@{SIMULATOR}", asked)
                assert code == 250, said
            code, said = client.data(content)
            assert code == 250, said
        found[notify] = said.decode().split()[2]
    for notify, message_id in found.items():
        events = told(cut_off, message_id, 5)
        assert sorted(one["kind"] for one in events) == [
            "Bounce", "Bounce", "Complaint", "Delivery", "Delivery"
        ]  # fmt: skip
        mailed = [one["detail"].get("bounce", "") for one in events if one["kind"] != "Delivery"]
        assert [bool(one) for one in sorted(mailed)] == [False, False, notify == "FAILURE"]
        assert {one["detail"]["identity"] for one in events if one["kind"] == "Bounce"} == {quiet}


def test_both_workers_have_one(cut_off: RunningRelay) -> None:
    seen: dict[str, str] = {}
    for _ in range(64):
        message_id = submit(cut_off, f"success@{SIMULATOR}")
        seen[message_id[-6:]] = message_id
        if len(seen) == 2:
            break
    assert set(seen) == {"000001", "000002"}
    for message_id in seen.values():
        assert told(cut_off, message_id, 1)[0]["kind"] == "Delivery"


def test_other_mail_waits_for_the_network(cut_off: RunningRelay) -> None:
    """The proof that this relay has none: beside a simulated recipient, one elsewhere is deferred."""
    message_id = submit(cut_off, f"success@{SIMULATOR}", "someone@elsewhere.example")
    assert cut_off.wait_for_event(message_id, "delivered")["recipient"] == f"success@{SIMULATOR}"
    waiting = cut_off.wait_for_event(message_id, "deferred")
    assert (waiting["recipient"], waiting["reason"]) == ("someone@elsewhere.example", "dns-temporary")


def test_a_bounce_that_bounces_ends_there(cut_off: RunningRelay) -> None:
    """From the null sender, as all bounces are: no one is told, and nothing goes round."""
    with cut_off.client() as client:
        client.mail("")
        client.rcpt(f"bounce@{SIMULATOR}")
        code, said = client.data(message("nobody to tell"))
        assert code == 250, said
    message_id = said.decode().split()[2]
    (event,) = told(cut_off, message_id, 1)
    assert (event["kind"], event["detail"]["bounce"]) == ("Bounce", "")


def test_a_sender_that_is_the_simulator_ends_there_too(shared_relay: RunningRelay) -> None:
    """Its bounce goes to the simulator, which refuses it, and that is the end."""
    relay = shared_relay
    directory = relay.directory()
    directory.identities.add("tests", SIMULATOR, is_verified=True)
    relay.wait_for_directory(directory)
    directory.close()
    message_id = submit(relay, f"bounce+to@{SIMULATOR}", sender=f"bounce+from@{SIMULATOR}")
    first = told(relay, message_id, 1)[0]["detail"]["bounce"]
    (end,) = told(relay, first, 1)
    assert (end["kind"], end["detail"]["recipient"], end["detail"]["bounce"]) == (
        "Bounce",
        f"bounce+from@{SIMULATOR}",
        "",
    )
    wait_until(lambda: queued(relay) == 0, "nothing is left in the queue")


def test_the_sandbox_may_write_to_it(cut_off: RunningRelay) -> None:
    """And to all of it, unknown users included; to nobody else who has not been verified."""
    directory = cut_off.directory()
    directory.accounts.create("new", f"new@{DOMAIN}", access=Access.SANDBOX)
    directory.identities.add("new", "new.example", is_verified=True)
    login = directory.credentials.create("new")
    cut_off.wait_for_directory(directory)
    directory.close()
    sender = "app@new.example"
    mailboxes = [f"{name}@{SIMULATOR.title()}" for name in ("success+x", "bounce", "no-one")]
    with cut_off.client(login.smtp_username, login.smtp_password) as client:
        client.mail(sender)
        client.rcpt("someone@elsewhere.example")
        client.rcpt(mailboxes[0])
        assert client.data(message("no", sender=sender)) == (
            554,
            b"5.7.1 Message rejected: Email address is not verified. "
            b"The following identities failed the check: someone@elsewhere.example",
        )
        client.mail(sender)
        for one in mailboxes:
            client.rcpt(one)
        code, said = client.data(message("sandboxed", sender=sender))
        assert code == 250, said
    events = told(cut_off, said.decode().split()[2], 3)
    assert {one["detail"]["recipient"]: one["kind"] for one in events} == dict(
        zip(mailboxes, ["Delivery", "Bounce", "Bounce"], strict=True)
    )


def test_it_comes_before_a_route_for_everything(
    shared_relay: RunningRelay, shared_receiver: Receiver
) -> None:
    recipients = f"success@{SIMULATOR}", "someone@elsewhere.example"
    message_id = submit(shared_relay, *recipients, subject="both ways")
    shared_receiver.wait_for("both ways")
    hosts = {one["detail"]["recipient"]: one["detail"]["host"] for one in told(shared_relay, message_id, 2)}
    assert hosts == {f"success@{SIMULATOR}": SIMULATOR, "someone@elsewhere.example": "127.0.0.1"}
    received = [got for got in shared_receiver.received if b"Subject: both ways\r\n" in got.content]
    assert [got.recipients for got in received] == [["someone@elsewhere.example"]]


def test_it_follows_the_service_domain(start_relay: StartRelay, receiver: Receiver) -> None:
    relay = start_relay(next_hop=receiver.port, workers=1)
    text = relay.file.read_text()
    old, new = f'service_domain = "{HOSTNAME}"', 'service_domain = "other.example"'
    assert text.count(old) == 1
    relay.file.write_text(text.replace(old, new))
    reload(relay, "configuration taken over")
    message_id = submit(relay, "success@simulator.other.example", subject="new")
    assert relay.wait_for_event(message_id, "delivered")["host"] == "simulator.other.example"
    submit(relay, f"success@{SIMULATOR}", subject="an ordinary domain now")
    assert receiver.wait_for("an ordinary domain now")
    assert receiver.subjects() == ["an ordinary domain now"]
