"""Delivery status: as RFC 3464 has it, and as servers write it."""

from relay.base.feedback import Action
from relay.codec.report_status import MAX_RECIPIENTS, better_status, has_status, read_status

TWO = """\
Reporting-MTA: dns; mx.example
Original-Envelope-Id: QQ314159
Arrival-Date: Thu, 29 Apr 2010 23:34:45 +0900

Original-Recipient: rfc822;louis+2Bx@example.org
Final-Recipient: rfc822; louis@example.org
Action: failed
Status: 5.0.0 (permanent failure)
Remote-MTA: dns; there.example
Diagnostic-Code: smtp; 550 5.1.1 no
  such user

Final-Recipient: rfc822;anna@example.org
Action: Delayed
Status: 4.4.1
"""


def test_two_recipients() -> None:
    status = read_status(TWO)
    assert status.message.first("original-envelope-id") == "QQ314159"
    louis, anna = status.recipients
    assert (louis.address, louis.original, louis.action) == (
        "louis@example.org",
        "louis+x@example.org",
        Action.FAILED,
    )
    assert (louis.status, louis.code, louis.remote_mta) == ("5.1.1", 550, "there.example")
    assert louis.diagnostic == "smtp; 550 5.1.1 no such user"
    assert (anna.address, anna.action, anna.status, anna.code) == (
        "anna@example.org",
        Action.DELAYED,
        "4.4.1",
        0,
    )


def test_recipients_without_a_blank_line_between() -> None:
    together = "\n".join(line for line in TWO.split("\n") if line)
    assert read_status(together).recipients == read_status(TWO).recipients
    assert read_status(together).message.first("reporting-mta") == "dns; mx.example"


def test_a_blank_line_too_many() -> None:
    assert read_status(TWO.replace("Action:", "\nAction:")).recipients == read_status(TWO).recipients


def test_action_before_the_recipient() -> None:
    text = "Reporting-MTA: dns; mx\n\nAction: failed\nFinal-Recipient: rfc822;a@example.org\nStatus: 5.0.0\n"
    (recipient,) = read_status(f"{text}\n{text.split(chr(10), 2)[2].replace('a@', 'b@')}").recipients[:1]
    assert (recipient.address, recipient.action) == ("a@example.org", Action.FAILED)


def test_several_with_action_first() -> None:
    group = "Action: failed\nFinal-Recipient: rfc822;{}@example.org\nStatus: 5.0.0\n"
    text = "\n".join(["Reporting-MTA: dns; mx\n", group.format("a"), group.format("b")])
    found = read_status(text).recipients
    assert [(one.address, one.action) for one in found] == [
        ("a@example.org", Action.FAILED),
        ("b@example.org", Action.FAILED),
    ]


def test_what_is_misspelt_is_unknown() -> None:
    (found,) = read_status("Final-Recipient: RFC822; a@example.org\nction: failed\nStatus: five\n").recipients
    assert (found.action, found.status) == (Action.UNKNOWN, "")


def test_an_unusable_final_recipient() -> None:
    text = "Final-Recipient: rfc822; @mx.example\nX-Actual-Recipient: rfc822; a@example.org\nStatus: 5.1.2\n"
    assert read_status(text).recipients[0].address == "a@example.org"
    assert read_status("Final-Recipient: x-local; root\nStatus: 5.1.1").recipients[0].address == ""


def test_which_status_counts() -> None:
    assert better_status("5.7.1", "5.1.1") == "5.7.1"  # sendmail's guess against what was said
    assert better_status("5.0.0", "5.1.1") == "5.1.1"
    assert better_status("5.0.0", "") == "5.0.0"
    assert better_status("", "5.0.0") == "5.0.0"


def test_fields_in_a_text() -> None:
    assert has_status("Dear sender\n\nFinal-recipient: rfc822; a@example.org\naction: failed")
    assert not has_status("> Final-Recipient: rfc822; a@example.org\n> Action: failed")
    assert not has_status("")


def test_recipients_are_bounded() -> None:
    text = "Final-Recipient: rfc822; a@example.org\nStatus: 5.1.1\n\n" * (MAX_RECIPIENTS + 5)
    assert len(read_status(text).recipients) == MAX_RECIPIENTS
