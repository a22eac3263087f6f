"""EHLO keywords read, and the injection of commands refused."""

import pytest

from relay.base.errors import LocalProtocolError
from relay.base.message import Message, TlsWish
from relay.base.outcome import NOBODY, Reason, Scope
from relay.transport.commands import Offers, mail_command, obstacle, read_offers, unreachable, write_envelope
from tests.transport.peers import make_attempt

ALL = {
    "pipelining": "",
    "size": "1000",
    "8bitmime": "",
    "smtputf8": "",
    "dsn": "",
    "starttls": "",
    "auth": "PLAIN",
    "deliverby": "",
}


def test_offers():
    assert read_offers({}) == Offers()
    assert read_offers(ALL) == Offers(True, True, 1000, True, True, True, True, True, True, 0)


@pytest.mark.parametrize("limit", ["", "0", "nonsense", "-1", "9" * 30, "1 2"])
def test_a_size_that_is_no_limit(limit):
    assert read_offers({"size": limit}).size_limit_bytes == 0


@pytest.mark.parametrize(
    ("more", "offers", "reason", "code"),
    [
        ({}, Offers(size=True, size_limit_bytes=5), Reason.SIZE, "5.3.4"),
        ({"is_8bit": True}, Offers(), Reason.UNSUPPORTED, "5.6.3"),
        ({"is_utf8": True, "is_8bit": True}, Offers(eight_bit=True), Reason.UTF8_HEADER, "5.6.9"),
        ({"sender": "jörg@example.org"}, Offers(eight_bit=True), Reason.UTF8_ADDRESS, "5.6.7"),
    ],
)
def test_obstacles_begin_with_their_code(more, offers, reason, code):
    found = obstacle(make_attempt(**more).message, offers, NOBODY)
    assert (found.reason, found.detail[:5]) == (reason, code)
    assert obstacle(make_attempt(**more).message, read_offers({**ALL, "size": ""}), NOBODY) is None


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\0"])
def test_one_command_is_never_two(end):
    for attempt in (
        make_attempt(f"a{end}@b"),
        make_attempt(sender=f"a{end}@b"),
        make_attempt("c@d", f"a{end}@b"),
    ):
        with pytest.raises(LocalProtocolError):
            write_envelope(attempt.message, attempt.recipients, Offers())


UTF8 = Offers(utf8=True, eight_bit=True)
PLAIN = Offers(eight_bit=True)


@pytest.mark.parametrize(
    ("sender", "recipient", "more", "offers", "mail", "rcpt"),
    [
        ("a@b.example", "c@d.example", {}, UTF8, "<a@b.example>", "<c@d.example>"),
        # domains alone: A-labels for those who know no others
        ("a@bücher.example", "c@d.example", {}, PLAIN, "<a@xn--bcher-kva.example>", "<c@d.example>"),
        ("a@b.example", "c@bücher.example", {}, PLAIN, "<a@b.example>", "<c@xn--bcher-kva.example>"),
        ("a@b.example", "c@bücher.example", {}, UTF8, "<a@b.example>", "<c@xn--bcher-kva.example>"),
        # a local part: SMTPUTF8, and then nothing is rewritten
        ("jörg@b.example", "c@bücher.example", {}, UTF8, "<jörg@b.example> SMTPUTF8", "<c@bücher.example>"),
        ("a@b.example", "rené@d.example", {}, UTF8, "<a@b.example> SMTPUTF8", "<rené@d.example>"),
        ("a@b.example", "c@d.example", {"is_utf8": True}, UTF8, "<a@b.example> SMTPUTF8", "<c@d.example>"),
        ("", "c@bücher.example", {}, PLAIN, "<>", "<c@xn--bcher-kva.example>"),
    ],
)
def test_addresses_beyond_ascii(sender, recipient, more, offers, mail, rcpt):
    attempt = make_attempt(recipient, sender=sender, **more)
    written = write_envelope(attempt.message, attempt.recipients, offers).decode().split("\r\n")
    assert obstacle(attempt.message, offers, NOBODY) is None
    assert [unreachable(one, offers, NOBODY) for one in attempt.recipients] == [None]
    assert written[:2] == [f"MAIL FROM:{mail}", f"RCPT TO:{rcpt}"]


def test_a_recipient_that_needs_smtputf8_keeps_nobody_else_back():
    attempt = make_attempt("rené@d.example", "c@d.example")
    assert obstacle(attempt.message, PLAIN, NOBODY) is None
    barred, free = [unreachable(one, PLAIN, NOBODY) for one in attempt.recipients]
    assert (barred.reason, barred.detail[:5], barred.scope) == (Reason.UTF8_ADDRESS, "5.6.7", "recipient")
    assert free is None


@pytest.mark.parametrize(
    ("kind", "orcpt", "offers", "written"),
    [
        ("rfc822", "a+b=c d@x.example", Offers(dsn=True), "ORCPT=rfc822;a+2Bb+3Dc+20d@x.example"),
        ("utf-8", "ž+@x.example", Offers(dsn=True), "ORCPT=utf-8;\\x{17E}\\x{2B}@x.example"),
        # SMTPUTF8 at the peer is not enough: the transaction is one without
        ("utf-8", "ž@x.example", Offers(dsn=True, utf8=True), "ORCPT=utf-8;\\x{17E}@x.example"),
        ("rfc822", "a@x.example", Offers(), ""),
    ],
)
def test_original_recipients(kind, orcpt, offers, written):
    attempt = make_attempt("c@d.example")
    attempt.recipients[0].orcpt = f"{kind};{orcpt}"
    line = write_envelope(attempt.message, attempt.recipients, offers).decode().split("\r\n")[1]
    assert line == f"RCPT TO:<c@d.example> {written}".rstrip()


@pytest.mark.parametrize(
    ("address", "orcpt", "offers", "written"),
    [
        ("c@d.example", "", Offers(dsn=True), "ORCPT=rfc822;c@d.example"),
        ("c+e=f@d.example", "", Offers(dsn=True), "ORCPT=rfc822;c+2Be+3Df@d.example"),
        ('"a b"@d.example', "", Offers(dsn=True), 'ORCPT=rfc822;"a+20b"@d.example'),
        ("ž@d.example", "", Offers(dsn=True, utf8=True), "ORCPT=utf-8;ž@d.example"),
        ("c@d.example", "rfc822;a@x.example", Offers(dsn=True), "ORCPT=rfc822;a@x.example"),
        ("c@d.example", "", Offers(), ""),
    ],
)
def test_reports_that_come_back_to_us_name_the_recipient(address, orcpt, offers, written):
    attempt = make_attempt(address, return_path="way-back@bounces.example")
    attempt.recipients[0].orcpt = orcpt
    line = write_envelope(attempt.message, attempt.recipients, offers).decode().split("\r\n")[1]
    assert line == f"RCPT TO:<{address}> {written}".rstrip()


def test_a_utf8_original_recipient_is_plain_where_the_transaction_is_utf8():
    attempt = make_attempt("rené@d.example")
    attempt.recipients[0].orcpt = "utf-8;ž+@x.example"
    line = write_envelope(attempt.message, attempt.recipients, Offers(dsn=True, utf8=True)).decode()
    assert "ORCPT=utf-8;ž\\x{2B}@x.example\r\n" in line


BY = Offers(deliver_by=True)


@pytest.mark.parametrize(
    ("deadline", "is_notify", "offers", "written"),
    [
        (0.0, False, BY, ""),
        (1120.9, False, BY, " BY=120;R"),
        (1120.0, False, Offers(), ""),  # handed over all the same: see the module
        (1120.0, True, BY, " BY=120;N"),
        (1000.4, False, BY, " BY=1;R"),  # begun in time
        (900.0, True, BY, " BY=-100;N"),
        (1120.0, False, Offers(deliver_by=True, least_time_s=600), ""),
        (1120.0, True, Offers(deliver_by=True, least_time_s=600), " BY=120;N"),
        (4e12, False, BY, " BY=999999999;R"),
    ],
)
def test_time_left(deadline, is_notify, offers, written):
    message: Message = make_attempt("c@d.example").message
    message.deadline, message.is_by_notify = deadline, is_notify
    line = write_envelope(message, message.recipients, offers, now=1000.0).decode().split("\r\n")[0]
    assert line == f"MAIL FROM:<{message.sender}>{written}"


@pytest.mark.parametrize(("text", "seconds"), [("", 0), ("60", 60), ("-60", 0), ("x", 0), ("9" * 20, 0)])
def test_the_least_time_of_a_peer(text, seconds):
    assert read_offers({"deliverby": text}).least_time_s == seconds


def test_requiretls_goes_on_to_those_who_offer_it() -> None:
    demanding = make_attempt(tls=TlsWish.REQUIRED).message
    assert mail_command(demanding, Offers(requiretls=True)).endswith(" REQUIRETLS\r\n")
    assert obstacle(demanding, Offers(requiretls=True), NOBODY) is None
    never = obstacle(demanding, Offers(), NOBODY)
    assert never is not None
    assert (never.scope, never.reason) == (Scope.MESSAGE, Reason.REQUIRETLS)
    assert never.detail.startswith("5.7.30 ")
    assert "REQUIRETLS" not in mail_command(make_attempt().message, Offers(requiretls=True))
