"""What comes back to our return paths: servers that accept and bounce later, complaints, a vacation.

Postfix and Exim are next hops, each for a domain of its own. They accept, find that the next server refuses,
and send their bounce to the MX of the return path, which is the relay's inbound listener.
"""

import json
import smtplib
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest

from relay.base import return_path
from relay.base.events import EventKind
from relay.spool.event_log import EventLog
from tests.fakes.authority import Authority
from tests.fakes.endpoint import Endpoint
from tests.fakes.machine import need
from tests.fakes.notification_schema import STRICT
from tests.fakes.prepared import ACCOUNT, DOMAIN, HOSTNAME, SENDER, Port, Prepared, message, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.conftest import StartRelay
from tests.scenarios.exim import Exim
from tests.scenarios.programs import Postfix
from tests.scenarios.receiver import Receiver

OURS = "bounces.relay.example"
BY_POSTFIX, BY_EXIM = "postfix.example", "exim.example"
GONE = "550 5.1.1 <gone>: Recipient address rejected: User unknown"
COMPLAINTS = f"complaints@{HOSTNAME}"


@pytest.fixture(scope="module")
def inbound() -> Iterator[int]:
    """The port that bounces come to."""
    held = Port()
    yield held.number
    held.free()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def topic(authority: Authority) -> Iterator[Endpoint]:
    """Where the identity tells of bounces and complaints."""
    with Endpoint(authority) as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def relay(
    tmp_path_factory: pytest.TempPathFactory,
    prepared: Prepared,
    shared_receiver: Receiver,
    inbound: int,
    authority: Authority,
    topic: Endpoint,
) -> Iterator[RunningRelay]:
    """Two workers; Postfix and Exim are behind them, and know the way back."""
    with ExitStack() as stack:
        way_back = {
            "transport_maps": f"inline:{{{OURS}=smtp:[127.0.0.1]:{inbound}}}",
            "virtual_alias_maps": f"inline:{{alias@{BY_POSTFIX}=hidden@elsewhere.example}}",
        }
        postfix = stack.enter_context(Postfix(f"[127.0.0.1]:{shared_receiver.port}", way_back))
        exim = stack.enter_context(Exim(shared_receiver.port, {OURS: inbound}))
        routes = "".join(
            f'[[route]]\ndomain = "{domain}"\nnext_hop = "127.0.0.1:{hop}"\ntls = "none"\n'
            for domain, hop in ((BY_POSTFIX, postfix.port), (BY_EXIM, exim.port))
        )
        listener = f'[[listener]]\naddress = "127.0.0.1:{inbound}"\nrole = "inbound"\n'
        folder = tmp_path_factory.mktemp("relay")
        told = f'[notifications]\nprivate_addresses = "allow"\nca_file = "{authority.file}"\n'
        made = RunningRelay(folder, prepared, next_hop=shared_receiver.port, more=routes + listener + told)
        directory = made.directory()
        directory.topics.create(ACCOUNT, "feedback", topic.url)
        kinds = (EventKind.BOUNCE, EventKind.COMPLAINT)
        directory.notifications.set(DOMAIN, topics=dict.fromkeys(kinds, "feedback"))
        directory.close()
        lines = made.file.read_text().splitlines()
        at = next(number for number, line in enumerate(lines, 1) if line.startswith("service_domain"))
        lines[at:at] = ['return_path = "relay"', f'return_path_domain = "{OURS}"']
        at = lines.index("[relay]") + 1
        lines[at:at] = ['postmaster = "admin@people.example"']
        made.file.write_text("\n".join(lines) + "\n")
        started = stack.enter_context(made)
        yield started
        started.stop()
        assert "Traceback" not in started.log()


def way_back(relay: RunningRelay, message_id: str, domain: str = OURS) -> str:
    """The return path of a message."""
    directory = relay.directory()
    key = directory.vault().derive(return_path.PURPOSE)
    directory.close()
    return f"{return_path.make(message_id, key)}@{domain}"


def details(relay: RunningRelay, message_id: str, kind: EventKind) -> list[dict[str, Any]]:
    """What the events of a kind tell about a message."""
    log = EventLog(relay.spool)
    try:
        found = log.of_message(message_id)
    finally:
        log.close()
    return [json.loads(one.event.detail) for one in found if one.event.kind is kind]


def submit(relay: RunningRelay, subject: str, *recipients: str) -> str:
    """A message to several; returns its id."""
    with smtplib.SMTP("127.0.0.1", relay.trusted, timeout=30) as client:
        client.ehlo()
        client.mail(SENDER)
        for one in recipients:
            assert client.rcpt(one)[0] == 250
        code, reply = client.data(message(subject))
    assert code == 250
    return reply.decode().rpartition(" ")[2]


def bring(inbound: int, to: str, content: bytes, sender: str = "") -> tuple[int, str]:
    """A mail that a server brings back; the last reply."""
    with smtplib.SMTP("127.0.0.1", inbound, timeout=30) as client:
        client.ehlo()
        assert client.mail(sender)[0] == 250
        code, reply = client.rcpt(to)
        if code == 250:
            code, reply = client.data(content)
    return code, reply.decode()


def complaint(about: str, sender: str, **fields: str) -> bytes:
    """A feedback report, with the fields of its second part."""
    words = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return (
        f"From: <{sender}>\r\nTo: <{COMPLAINTS}>\r\nSubject: FW: a complaint\r\nMIME-Version: 1.0\r\n"
        "Date: Sun, 22 Nov 2026 07:00:00 +0000\r\n"
        'Content-Type: multipart/report; report-type=feedback-report; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nSomebody did not like this.\r\n"
        "--b\r\nContent-Type: message/feedback-report\r\n\r\n"
        f"User-Agent: Someplace/1.0\r\nVersion: 1\r\n{words}\r\n"
        f"--b\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <{about}@{HOSTNAME}>\r\n"
        "From: <app@sender.example>\r\nTo: <redacted>\r\nSubject: x\r\n\r\nHello\r\n--b--\r\n"
    ).encode()


def kinds_of(topic: Endpoint, message_id: str) -> list[str]:
    """What the topic was told of a message, in order."""
    return [post.kind for post in topic.taken if post.message_id == message_id]


def dsn(to: str, recipient: str) -> bytes:
    """A report that this recipient does not exist."""
    return (
        f"From: <mailer-daemon@one.example>\r\nTo: <{to}>\r\nSubject: failed\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nNo.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        f"Reporting-MTA: dns; one.example\r\n\r\nFinal-Recipient: rfc822; {recipient}\r\n"
        "Action: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 unknown\r\n\r\n--b--\r\n"
    ).encode()


def forwarded(receiver: Receiver, message_id: str) -> list[Any]:
    """What was passed on to the sender about a message."""
    mark = f"X-Relay-Returned: {message_id}\r\n".encode()
    return [one for one in list(receiver.received) if mark in one.content]


@pytest.mark.parametrize(
    ("domain", "reporter"), [(BY_POSTFIX, "app.sender.example"), (BY_EXIM, "mx.exim.example")]
)
def test_a_server_that_accepts_and_bounces_later(
    relay: RunningRelay,
    shared_receiver: Receiver,
    inbound: int,
    topic: Endpoint,
    domain: str,
    reporter: str,
) -> None:
    receiver = shared_receiver
    receiver.replies[f"RCPT gone@{domain}"] = GONE
    receiver.replies[f"RCPT full@{domain}"] = "552 5.2.2 <full>: Mailbox full"
    subject = f"by {domain}"
    message_id = submit(relay, subject, f"gone@{domain}", f"fine@{domain}", f"full@{domain}")
    receiver.wait_for(subject)
    wait_until(lambda: len(details(relay, message_id, EventKind.BOUNCE)) >= 2, "both bounce events")
    wait_until(lambda: forwarded(receiver, message_id), "the sender has the bounce")
    assert len(details(relay, message_id, EventKind.DELIVERY)) == 3  # Exim or Postfix took all of them
    bounces = {one["recipient"]: one for one in details(relay, message_id, EventKind.BOUNCE)}
    assert len(details(relay, message_id, EventKind.BOUNCE)) == len(bounces) == 2
    gone, full = bounces[f"gone@{domain}"], bounces[f"full@{domain}"]
    assert (gone["bounceType"], gone["bounceSubType"]) == ("Permanent", "NoEmail")
    assert (full["bounceType"], full["bounceSubType"]) == ("Transient", "MailboxFull")
    assert (gone["action"], gone["source"], gone["reportingMTA"]) == ("failed", "dsn", reporter)
    assert "5.1.1" in gone["diagnosticCode"]
    mails = forwarded(receiver, message_id)
    assert {one["bounce"] for one in bounces.values()} == {
        str(message_from_bytes(one.content)["Message-ID"]).strip("<>").partition("@")[0] for one in mails
    }
    for one in mails:
        assert (one.sender, one.recipients) == ("", [SENDER])
        mail = message_from_bytes(one.content, policy=SMTP)
        assert mail["From"].addresses[0].addr_spec == f"MAILER-DAEMON@{HOSTNAME}"
        assert reporter in mail["Reply-To"]
        assert mail["Auto-Submitted"]
        assert mail.get_content_type() == "multipart/report"
        kinds = [part.get_content_type() for part in mail.walk()]
        assert "message/delivery-status" in kinds

    # told to the topic: the complaint comes last, so that what is there by then is all
    topic.wait_for(lambda: len(kinds_of(topic, message_id)) >= 2, "both bounces are told")
    code, said = bring(inbound, COMPLAINTS, complaint(message_id, f"fbl@{domain}", Feedback_Type="abuse"))
    assert code == 250, said
    topic.wait_for(lambda: "Complaint" in kinds_of(topic, message_id), "the complaint is told")
    told = [post.told for post in topic.taken if post.message_id == message_id]
    assert all(STRICT.is_valid(one) for one in told)
    assert kinds_of(topic, message_id) == ["Bounce", "Bounce", "Complaint"]
    named = {(one["bounce"]["bounceType"], one["bounce"]["bounceSubType"]): one["bounce"] for one in told[:2]}
    assert {kind: [r["emailAddress"] for r in one["bouncedRecipients"]] for kind, one in named.items()} == {
        ("Permanent", "NoEmail"): [f"gone@{domain}"],
        ("Transient", "MailboxFull"): [f"full@{domain}"],
    }


def test_an_alias_behind_one_of_several_recipients(relay: RunningRelay, shared_receiver: Receiver) -> None:
    """Only Original-Recipient tells whom the message was for; Postfix knows it from our ORCPT."""
    shared_receiver.replies["RCPT hidden@elsewhere.example"] = GONE
    message_id = submit(relay, "by an alias", f"fine@{BY_POSTFIX}", f"alias@{BY_POSTFIX}")
    wait_until(lambda: details(relay, message_id, EventKind.BOUNCE), "the bounce event")
    (bounce,) = details(relay, message_id, EventKind.BOUNCE)
    assert (bounce["recipient"], bounce["bounceType"]) == (f"alias@{BY_POSTFIX}", "Permanent")
    assert bounce["diagnosticCode"].endswith("(reported for hidden@elsewhere.example)")


def test_a_complaint_is_told_once_and_so_is_a_vacation(
    relay: RunningRelay, shared_receiver: Receiver, inbound: int
) -> None:
    receiver = shared_receiver
    message_id = submit(relay, "to three", "a@one.example", "b@two.example", "c@two.example")
    receiver.wait_for("to three")

    # redacted: whoever complained is at the domain of the one that reports
    report = complaint(message_id, "fbl@two.example", Feedback_Type="abuse", Original_Rcpt_To="redacted")
    for _ in range(2):
        code, reply = bring(inbound, COMPLAINTS, report, "fbl@two.example")
        assert code == 250, reply
    told = details(relay, message_id, EventKind.COMPLAINT)
    assert sorted(one["recipient"] for one in told) == ["b@two.example", "c@two.example"]
    assert {(one["feedbackType"], one["userAgent"], one["source"]) for one in told} == {
        ("abuse", "Someplace/1.0", "arf")
    }
    # a praise is no complaint, and does not hide one
    praise = complaint(
        message_id, "fbl@one.example", Feedback_Type="not-spam", Original_Rcpt_To="a@one.example"
    )
    assert bring(inbound, COMPLAINTS, praise)[0] == 250
    told = details(relay, message_id, EventKind.COMPLAINT)
    praised = [one["recipient"] for one in told if one["feedbackType"] == "not-spam"]
    assert (praised, len(told)) == (["a@one.example"], 3)  # it may be in another shard than the others
    # who was not a recipient complains in vain
    other = complaint(
        message_id, "fbl@three.example", Feedback_Type="abuse", Original_Rcpt_To="x@three.example"
    )
    assert bring(inbound, COMPLAINTS, other)[0] == 250
    assert len(details(relay, message_id, EventKind.COMPLAINT)) == 3

    away = EmailMessage()
    away["From"], away["To"] = "A <a@one.example>", way_back(relay, message_id)
    away["Subject"], away["Auto-Submitted"] = "Away", "auto-replied (vacation)"
    away.set_content("Back on Monday.\n")
    file = relay.folder / "away.eml"
    file.write_bytes(away.as_bytes())
    swaks = [need("swaks", "swaks"), "--server", f"127.0.0.1:{inbound}", "--tls", "--from", "<>"]
    for _ in range(2):
        done = subprocess.run(
            [*swaks, "--to", way_back(relay, message_id).upper(), "--data", f"@{file}"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout
    (reply_event,) = details(relay, message_id, EventKind.BOUNCE)
    assert reply_event["autoReply"] is True
    assert (reply_event["recipient"], reply_event["source"]) == ("a@one.example", "auto-reply")
    assert (reply_event["bounceType"], reply_event["bounceSubType"]) == ("Transient", "General")
    # the two complaints, the praise, the stranger's, and the vacation: each once
    wait_until(lambda: len(forwarded(receiver, message_id)) == 4, "four mails for the sender")
    subjects = sorted(
        str(message_from_bytes(one.content)["Subject"]) for one in forwarded(receiver, message_id)
    )
    assert subjects == ["Away", "FW: a complaint", "FW: a complaint", "FW: a complaint"]


def test_a_forged_report_is_refused_and_a_strangers_recipient_counts_for_nothing(
    relay: RunningRelay, shared_receiver: Receiver, inbound: int
) -> None:
    message_id = submit(relay, "for two", "d@one.example", "e@one.example")
    shared_receiver.wait_for("for two")
    ours = way_back(relay, message_id)
    local = ours.partition("@")[0]
    forged = f"{local[:-1]}{'a' if local[-1] != 'a' else 'b'}@{OURS}"
    assert bring(inbound, forged, b"")[0] == 550
    assert bring(inbound, forged, b"")[1].startswith("5.7.1 ")
    assert bring(inbound, "someone@elsewhere.example", b"") == (550, "5.1.1 No such user here")
    report = dsn(ours, "victim@elsewhere.example")
    assert bring(inbound, ours, report)[0] == 250
    assert details(relay, message_id, EventKind.BOUNCE) == []
    wait_until(lambda: relay.count("sites") and forwarded(shared_receiver, message_id), "it is passed on")


def test_two_bring_the_same_at_once_and_it_is_one(
    relay: RunningRelay, shared_receiver: Receiver, inbound: int
) -> None:
    message_id = submit(relay, "once", "once@one.example")
    shared_receiver.wait_for("once")
    ours = way_back(relay, message_id)
    report = dsn(ours, "Once@ONE.example")
    clients = [smtplib.SMTP("127.0.0.1", inbound, timeout=30) for _ in range(8)]  # of both workers
    for client in clients:
        client.ehlo()
        client.mail("")
        client.rcpt(ours)
        client.putcmd("data")
        assert client.getreply()[0] == 354
    for client in clients:
        client.send(report + b".\r\n")
    assert {client.getreply()[0] for client in clients} == {250}
    for client in clients:
        client.quit()
    assert [one["recipient"] for one in details(relay, message_id, EventKind.BOUNCE)] == ["once@one.example"]
    wait_until(lambda: forwarded(shared_receiver, message_id), "the sender has it")
    assert len(forwarded(shared_receiver, message_id)) == 1


def test_what_the_port_offers_and_who_reads_postmaster(
    relay: RunningRelay, shared_receiver: Receiver, inbound: int
) -> None:
    with smtplib.SMTP("127.0.0.1", inbound, timeout=30) as client:
        client.ehlo()
        assert not {"auth", "dsn", "deliverby"} & set(client.esmtp_features)
        assert client.docmd("AUTH", "PLAIN AGEAYg==")[0] == 500
        assert client.rcpt("x@y.example")[0] == 503
    connect = [
        need("openssl", "openssl"),
        "s_client",
        "-connect",
        f"127.0.0.1:{inbound}",
        "-starttls",
        "smtp",
    ]
    done = subprocess.run(
        [
            *connect,
            "-CAfile",
            str(relay.folder / "tls.crt"),
            "-verify_return_error",
            "-verify_hostname",
            HOSTNAME,
        ],
        input="QUIT\r\n",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Verification: OK" in done.stdout, done.stdout + done.stderr
    letter = message("a question", "Someone <someone@elsewhere.example>", f"postmaster@{HOSTNAME}")
    assert bring(inbound, f"Postmaster@{HOSTNAME}", letter, "someone@elsewhere.example")[0] == 250
    got = shared_receiver.wait_for("a question")
    assert got.recipients == ["admin@people.example"]
    mail = message_from_bytes(got.content, policy=SMTP)
    assert mail["Reply-To"] == "Someone <someone@elsewhere.example>"
    assert got.sender == ""


def test_what_was_taken_is_not_lost_by_a_power_cut(start_relay: StartRelay, receiver: Receiver) -> None:
    """MAIL FROM stays the sender's here; what was sent under return paths of before still comes back."""
    own = Port()
    listener = f'[[listener]]\naddress = "127.0.0.1:{own.number}"\nrole = "inbound"\ntls = "none"\n'
    relay = start_relay(next_hop=receiver.port, workers=1, more=listener)
    message_id = relay.send(message("before the cut"), "x@one.example")
    receiver.wait_for("before the cut")
    ours = way_back(relay, message_id, HOSTNAME)
    assert bring(own.number, ours, dsn(ours, "x@one.example"))[0] == 250
    relay.kill()
    relay.start()
    (bounce,) = details(relay, message_id, EventKind.BOUNCE)
    wait_until(lambda: forwarded(receiver, message_id), "the sender has it")
    assert bring(own.number, ours, dsn(ours, "x@one.example"))[0] == 250
    assert details(relay, message_id, EventKind.BOUNCE) == [bounce]
    own.free()
