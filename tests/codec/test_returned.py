"""Mail that is passed on: what of it changes, what stays, and loops."""

from email import message_from_bytes
from email.policy import SMTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.codec.data import find_fault
from relay.codec.headers import Header
from relay.codec.returned import MAX_HOPS, MailLoop, pass_on

SENDER = "MAILER-DAEMON@relay.example"
BODY = b"Hello\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nAction: failed\r\n"
MAIL = (
    b"Received: from a by b;\r\n\tnow\r\nFrom: Their System\r\n <daemon@their.example>\r\n"
    b"Sender: x@their.example\r\n"
    b"Subject: failed\r\nMessage-ID: <1@their.example>\r\nDKIM-Signature: v=1; b=\r\n abc\r\n"
    b"Content-Type: multipart/report; boundary=b\r\n\r\n" + BODY
)


def test_only_what_must_change_does() -> None:
    made = pass_on(MAIL, SENDER, "the-id")
    header = Header.parse(made)
    assert made[header.body_offset :] == BODY
    assert header.get_all(b"from") == [b"Mail Delivery System <MAILER-DAEMON@relay.example>"]
    assert header.get_all(b"reply-to") == [b"Their System\r\n <daemon@their.example>"]
    assert header.get_all(b"original-message-id") == [b"<1@their.example>"]
    assert header.get_all(b"auto-submitted") == [b"auto-generated"]
    assert header.get_all(b"x-relay-returned") == [b"the-id"]
    assert header.get_all(b"content-type") == [b"multipart/report; boundary=b"]
    assert header.get_all(b"received") == [b"from a by b;\r\n\tnow"]
    assert not header.get_all(b"sender") + header.get_all(b"dkim-signature")
    parsed = message_from_bytes(made, policy=SMTP)
    assert parsed["From"].addresses[0].addr_spec == SENDER


def test_what_is_there_stays() -> None:
    made = pass_on(
        b"From: a@b.example\r\nReply-To: c@d.example\r\nAuto-Submitted: auto-replied\r\n\r\n", SENDER, "id"
    )
    header = Header.parse(made)
    assert header.get_all(b"reply-to") == [b"c@d.example"]
    assert header.get_all(b"auto-submitted") == [b"auto-replied"]
    assert not header.get_all(b"original-message-id")


def test_a_loop_ends() -> None:
    once = pass_on(MAIL, SENDER, "id")
    with pytest.raises(MailLoop, match="here before"):
        pass_on(once, SENDER, "id")
    with pytest.raises(MailLoop, match="too many"):
        pass_on(b"Received: x\r\n" * (MAX_HOPS + 1) + MAIL, SENDER, "id")


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_line_ends_become_those_of_mail(end: bytes) -> None:
    made = pass_on(MAIL.replace(b"\r\n", end), SENDER, "id")
    assert made == pass_on(MAIL, SENDER, "id")


def test_a_header_that_cannot_be_read_goes_along() -> None:
    broken = b"From: a@b.example\r\nno field at all\r\n\r\nbody"
    made = pass_on(broken, SENDER, "id")
    parsed = message_from_bytes(made, policy=SMTP)
    (attachment,) = parsed.iter_attachments()
    assert attachment.get_content() == broken
    assert parsed["X-Relay-Returned"] == "id"
    with pytest.raises(MailLoop):
        pass_on(b"no field\r\nX-Relay-Returned: id\r\n\r\n", SENDER, "id")


@given(st.binary(max_size=400))
def test_whatever_comes_may_be_sent_on(content: bytes) -> None:
    made = pass_on(content, SENDER, "id")
    assert find_fault(made) is None
    assert Header.parse(made).get_all(b"x-relay-returned") == [b"id"]
