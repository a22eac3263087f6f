"""Complaints, read back by the standard library and by our own reader."""

from dataclasses import replace
from email import message_from_bytes
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.base.feedback import ReportKind
from relay.codec.arf import Complaint, compose
from relay.codec.data import find_fault
from relay.codec.report import read

RECIPIENT = "complaint+u=example.org@simulator.example.net"
COMPLAINT = Complaint(
    message_id="0000018bcfe56800-5b1c0000-0000-4000-8000-000000000000-000001",
    reporter="complaint@simulator.example.net",
    to="complaints@example.net",
    recipient=RECIPIENT,
    mail_from="shop@example.com",
    arrived_at=1_700_000_000.0,
    source_ip="127.0.0.1",
    reporting_mta="simulator.example.net",
    user_agent="Relay-Mailbox-Simulator/1",
)
HEADER = b"From: Shop <shop@mail.example.com>\r\nSubject: Offers\r\nMessage-ID: <1@example.com>\r\n"


def made(complaint: Complaint = COMPLAINT, original: bytes = HEADER + b"\r\nBuy!\r\n"):
    content = compose(complaint, original)
    assert find_fault(content) is None
    assert content.isascii()
    assert max(map(len, content.split(b"\r\n"))) <= 998
    parsed = message_from_bytes(content, policy=default)
    assert not parsed.defects
    return content, parsed, *parsed.get_payload()


def fields(part) -> dict[str, str]:
    (group,) = part.get_payload()
    return dict(group.items())


def test_a_report() -> None:
    content, parsed, text, report, returned = made()
    assert parsed.get_content_type() == "multipart/report"
    assert parsed.get_param("report-type") == "feedback-report"
    assert (parsed["To"], parsed["Subject"]) == ("complaints@example.net", "FW: Offers")
    assert text.get_content_type() == "text/plain"
    assert "<shop@example.com>" in text.get_content()
    assert report.get_content_type() == "message/feedback-report"
    assert fields(report) == {
        "Feedback-Type": "abuse",
        "User-Agent": "Relay-Mailbox-Simulator/1",
        "Version": "1",
        "Original-Mail-From": "<shop@example.com>",
        "Arrival-Date": "Tue, 14 Nov 2023 22:13:20 +0000",
        "Original-Rcpt-To": f"<{RECIPIENT}>",
        "Reporting-MTA": "dns; simulator.example.net",
        "Source-IP": "127.0.0.1",
        "Reported-Domain": "mail.example.com",
    }
    assert returned.get_content_type() == "text/rfc822-headers"
    assert returned.get_payload() == HEADER.decode()
    assert b"Buy!" not in content

    found = read(content)
    assert found.kind is ReportKind.COMPLAINT
    assert (found.feedback_type, found.user_agent) == ("abuse", "Relay-Mailbox-Simulator/1")
    assert [one.address for one in found.recipients] == [RECIPIENT]
    assert (found.message_id, found.return_path) == ("<1@example.com>", "shop@example.com")
    assert found.arrived_at == 1_700_000_000.0


def test_a_recipient_beyond_ascii_is_not_named() -> None:
    content, _, text, report, _ = made(replace(COMPLAINT, recipient="complaint+jörg@simulator.example.net"))
    assert "Original-Rcpt-To" not in fields(report)
    assert "(not named)" in text.get_content()
    assert read(content).recipients == ()
    assert read(content).message_id == "<1@example.com>"


@pytest.mark.parametrize(
    ("original", "domain"),
    [
        (b"", None),
        (b"no header\r\n\r\n", None),
        (b"From: nobody\r\n\r\n", None),
        ("From: x@bücher.example\r\nSubject: Grüße\r\n\r\n".encode(), "xn--bcher-kva.example"),
    ],
)
def test_odd_messages_are_complained_of_too(original: bytes, domain: str | None) -> None:
    content, _, _, report, _ = made(original=original)
    assert fields(report).get("Reported-Domain") == domain
    assert read(content).kind is ReportKind.COMPLAINT


@given(st.binary(max_size=200), st.binary(max_size=100), st.text(max_size=60))
def test_nothing_in_the_message_adds_a_field(subject: bytes, author: bytes, sender: str) -> None:
    original = b"Subject: " + subject + b"\r\nFrom: " + author + b"\r\n\r\n"
    content = compose(replace(COMPLAINT, mail_from=f"{sender}@example.com"), original)
    head, _, rest = content.partition(b"\r\n\r\n")
    names = [line.partition(b":")[0] for line in head.split(b"\r\n") if line[:1] not in (b" ", b"\t")]
    assert names == [b"From", b"To", b"Subject", b"Auto-Submitted", b"MIME-Version", b"Content-Type"]
    assert rest.count(f"--=_{COMPLAINT.message_id}".encode()) == 4
    assert content.isascii()
