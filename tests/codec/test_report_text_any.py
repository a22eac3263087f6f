"""Sentences of failed delivery, and the addresses in them."""

import pytest

from relay.codec.report_text_any import read_any


@pytest.mark.parametrize(
    "text",
    [
        "Did not reach the following recipient: anna@example.org",
        "Your message to <anna@example.org> was automatically rejected:\nquota",
        "Delivery to the following recipients failed.\n\n       anna@example.org\n",
        "The following recipients could not be reached:\n\n  anna@example.org on 1.1.2010\n",
        "Your message wasn't delivered to anna@example.org because the domain couldn't be found.",
        "The following addresses did NOT receive a copy of your message:\n\n> anna@example.org\n",
        "an email addressed to email address :\n-- anna@example.org\ncould not be delivered",
        "did not reach the following recipient(s):\n\nanna@example.org on Fri\n    not recognized",
        "did not reach the following recipient(s):\nc=US;a= ;o=X;dda:SMTP=anna@example.org; on Fri",
        "The message, addressed to 'anna@example.org',\nfailed because it has not been collected",
        "I wasn't able to deliver it.\nThis is permanent.\nSorry.\n\nanna@example.org\nno such user",
        "I wasn't able to deliver the following message.\n\nSubject: x\nTo: anna@example.org\n",
        "Ihre Nachricht an\n  anna@example.org\nkonnte nicht zugestellt werden: anna@example.org",
        "Votre message n'a pas pu être remis à anna@example.org",
        "您发给 anna@example.org 的邮件被退信",
        "It failed for anna@example.org. It came from bruno@example.com, by the way.",
    ],
)
def test_other_words(text: str) -> None:
    (anna,) = read_any(text.split("\n"), frozenset())
    assert anna.address == "anna@example.org"
    assert read_any(text.split("\n"), frozenset(["anna@example.org"])) == []


def test_addresses_that_are_not_recipients() -> None:
    assert read_any(["For help, write to help@example.org", "", "a@example.org wrote:"], frozenset()) == []
    for line in (
        "If this fails again, contact help@example.org",
        "Delivery problems? Send mail to help@example.org",
        "They are not accepting mail from us@example.com: not delivered",
    ):
        assert read_any([line], frozenset()) == []
    failed = ["It failed.", "", "one", "two", "three", "anna@example.org"]
    assert read_any(failed, frozenset()) == []  # too far away
    assert read_any(["Delivery failed.", "To: a@example.org", "To: b@example.org"], frozenset()) == []
