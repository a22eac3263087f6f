"""What people read in a report; the rest of the report is looked at with test_dsn."""

import pytest

from relay.base.message import Recipient
from relay.base.outcome import Deferred, Failed, Peer, Reason, Scope
from relay.base.reply import Reply
from relay.codec.dsn_text import bad_news, late_news
from tests.codec.test_dsn import ARRIVED, NOW, a_message

BUSY = Deferred(Scope.SITE, Reason.BUSY, Reply(421, "later"), peer=Peer("mx.example.org", "192.0.2.7"))
GONE = Failed(Scope.RECIPIENT, Reason.NO_DOMAIN)
ONE = Recipient(0, "rené@example.org", "example.org")
TWO = Recipient(1, "b@bücher.example", "xn--bcher-kva.example")


def text(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())


def test_news_of_a_delay_says_how_long_we_go_on():
    said = text(late_news(a_message(expires_at=NOW + 7200), [(ONE, BUSY), (TWO, BUSY)], "relay.example", NOW))
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
    said = text(news(message, [(ONE, BUSY)], "relay.example", NOW))
    assert "Tue, 14 Nov 2023 22:14:20 +0000" in said
    assert ("You asked to hear" in said) is is_notify
    assert ("or not at all" in said) is not is_notify


def test_bad_news_of_one_that_never_could_be():
    said = text(bad_news(a_message(deadline=NOW + 60), [(TWO, GONE)], "relay.example", NOW))
    assert "could not be delivered to one of its recipients:" in said
    assert "Is the address misspelt?" in said
    assert "or not at all" not in said
