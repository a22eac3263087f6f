"""What people read in a report; the rest of the report is looked at with test_dsn."""

import pytest

from relay.base.feedback import BounceClass, BounceSubType, BounceType
from relay.base.message import Message, Recipient
from relay.base.outcome import Deferred, Delivered, Failed, Onward, Peer, Reason, Scope
from relay.base.reply import Reply
from relay.codec.dsn_text import Context, advice, bad_news, good_news, late_news
from tests.codec.test_dsn import ARRIVED, NOW, a_message

BUSY = Deferred(Scope.SITE, Reason.BUSY, Reply(421, "later"), peer=Peer("mx.example.org", "192.0.2.7"))
GONE = Failed(Scope.RECIPIENT, Reason.NO_DOMAIN)
ONE = Recipient(0, "rené@example.org", "example.org")
TWO = Recipient(1, "b@bücher.example", "xn--bcher-kva.example")


def about(message: Message, **more: object) -> Context:
    return Context(message, "relay.example", NOW, **more)  # type: ignore[arg-type]


def text(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())


def test_news_of_a_delay_says_how_long_we_go_on():
    said = text(late_news(about(a_message(expires_at=NOW + 7200)), [(ONE, BUSY), (TWO, BUSY)]))
    assert "has not been delivered yet to 2 of its recipients:" in said
    assert (
        "<rené@example.org> The receiving mail server was too busy. mx.example.org (192.0.2.7) said:" in said
    )
    assert "<b@xn--bcher-kva.example>" in said
    assert "given up" not in said
    assert "We go on trying until Wed, 15 Nov 2023 01:13:20 +0000. You need not send it again" in said
    assert "You asked" not in said


@pytest.mark.parametrize(("is_notify", "news"), [(True, late_news), (False, bad_news)])
def test_a_deadline_that_has_passed_is_named(is_notify, news):
    message = a_message(deadline=ARRIVED + 60, is_by_notify=is_notify)
    said = text(news(about(message), [(ONE, BUSY)]))
    assert "Tue, 14 Nov 2023 22:14:20 +0000" in said
    assert ("You asked to hear" in said) is is_notify
    assert ("or not at all" in said) is not is_notify


def test_bad_news_of_one_that_never_could_be():
    said = text(bad_news(about(a_message(deadline=NOW + 60)), [(TWO, GONE)]))
    assert "could not be delivered to one of its recipients:" in said
    assert "Is the address misspelt?" in said
    assert "or not at all" not in said


def test_the_first_paragraph_says_which_message_and_what_became_of_it():
    lines = bad_news(about(a_message(), subject="Your order 17"), [(TWO, GONE)])
    assert lines[2:7] == [
        "Your message of Tue, 14 Nov 2023 22:13:20 +0000",
        "    Subject: Your order 17",
        "could not be delivered to one of its recipients:",
        "",
        "<b@xn--bcher-kva.example>",
    ]


@pytest.mark.parametrize("subject", ["", "Grüße", "=?utf-8?Q?Gr=C3=BC=C3=9Fe?="])
@pytest.mark.parametrize("news", [bad_news, late_news])
def test_a_subject_that_cannot_be_read_as_it_stands_is_left_out(subject, news):
    said = text(news(about(a_message(), subject=subject), [(ONE, BUSY)]))
    assert "Subject" not in said


def test_each_recipient_has_its_advice():
    found = [
        BounceClass(BounceType.TRANSIENT, BounceSubType.MAILBOX_FULL),
        BounceClass(BounceType.PERMANENT, BounceSubType.NO_EMAIL),
    ]
    lines = bad_news(about(a_message(), classes=found), [(ONE, BUSY), (TWO, GONE)])
    first, second = text(lines).split("<b@xn--bcher-kva.example>")
    assert advice(found[0], BUSY) in first
    assert advice(found[1], GONE) in second
    assert max(map(len, lines)) <= 76


@pytest.mark.parametrize("subtype", BounceSubType)
@pytest.mark.parametrize("type_", BounceType)
def test_there_is_advice_for_all_but_what_says_it_itself(type_, subtype):
    refused = Failed(Scope.RECIPIENT, Reason.REFUSED, Reply(550, "no"))
    for outcome in (BUSY, GONE, refused):
        said = advice(BounceClass(type_, subtype), outcome)
        assert said.isascii()
        assert said.endswith(".") or (outcome is GONE and type_ is BounceType.TRANSIENT)


def test_a_refusal_that_is_not_about_the_address_does_not_say_so():
    refused = Failed(Scope.RECIPIENT, Reason.REFUSED, Reply(550, "SPF", "5.7.23"))
    general = BounceClass(BounceType.TRANSIENT, BounceSubType.GENERAL)
    assert "not about the address" in advice(general, refused)
    assert "again later" in advice(general, BUSY)
    assert advice(general, GONE) == ""  # "Is the address misspelt?" has been said


def test_good_news():
    served = Delivered(Reply(250, "ok"), Peer("mx.example.org"), Onward.DELIVERED)
    said = text(good_news(about(a_message(), subject="Hello"), [(TWO, served)]))
    assert "when your message of Tue, 14 Nov 2023 22:13:20 +0000 Subject: Hello has arrived." in said
    assert "It has been delivered." in said
