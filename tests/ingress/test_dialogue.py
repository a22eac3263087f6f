import ipaddress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.base.message import TlsWish
from relay.ingress.dialogue import Chunk, Dialogue
from relay.ingress.settings import ListenerSettings

TRUSTED = ListenerSettings(
    hostname="relay.test",
    tls="none",
    auth="none",
    account_id=7,
    trusted_networks=(ipaddress.ip_network("127.0.0.0/8"),),
    max_recipients=2,
    max_message_bytes=1000,
)
SUBMISSION = ListenerSettings(hostname="relay.test")


def run(dialogue: Dialogue, *commands: str) -> list[str]:
    """The replies to these commands, as the client sees them."""
    heard = []
    for command in commands:
        verb, _, argument = command.partition(" ")
        if verb in ("EHLO", "HELO"):
            answer = dialogue.hello(argument, verb == "EHLO")
        elif verb == "RSET":
            dialogue.reset()
            continue
        else:
            answer = getattr(dialogue, verb.lower())(argument)
        heard.append(answer[dialogue.is_extended].decode().removesuffix("\r\n"))
    return heard


def trusted(*commands: str) -> str:
    """The last reply on a listener for trusted networks."""
    return run(Dialogue(TRUSTED), *commands)[-1]


OK_MAIL = ("EHLO c", "MAIL FROM:<a@x.test>")
OK_RCPT = (*OK_MAIL, "RCPT TO:<b@y.test>")


@pytest.mark.parametrize(
    ("commands", "reply"),
    [
        (["HELO c"], "250 relay.test"),
        (["HELO"], "501 Syntax: HELO hostname"),
        (["EHLO a b"], "501 Syntax: HELO hostname"),
        (["HELO " + "x" * 256], "501 Syntax: HELO hostname"),
        (["MAIL FROM:<a@x.test>"], "503 Send EHLO first"),
        (["RCPT TO:<a@x.test>"], "503 Send EHLO first"),
        (["DATA"], "503 Send EHLO first"),
        (["HELO c", "MAIL FROM:<a@x.test>"], "250 Ok"),
        (OK_MAIL, "250 2.1.0 Ok"),
        (["EHLO c", "MAIL FROM:<>"], "250 2.1.0 Ok"),
        (["EHLO c", "MAIL FROM: <a@x.test>"], "250 2.1.0 Ok"),
        (["EHLO c", "MAIL from:<a@x.test> SIZE=1000 BODY=8BITMIME"], "250 2.1.0 Ok"),
        (["EHLO c", "MAIL FROM:<a@x.test> SIZE=1001"], "552 5.3.4 Message is too long."),
        (["EHLO c", "MAIL FROM:<a@x.test> X=1"], "555 5.5.4 Parameter not recognized or not implemented"),
        (["HELO c", "MAIL FROM:<a@x.test> SIZE=1"], "555 Parameter not recognized or not implemented"),
        (["EHLO c", "MAIL FROM:"], "501 5.5.4 Syntax: MAIL FROM:<address> [parameters]"),
        (["EHLO c", "MAIL <a@x.test>"], "501 5.5.4 Syntax: MAIL FROM:<address> [parameters]"),
        (["EHLO c", "MAIL"], "501 5.5.4 Syntax: MAIL FROM:<address> [parameters]"),
        (["EHLO c", "MAIL FROM:<>x"], "501 5.5.4 Syntax: MAIL FROM:<address> [parameters]"),
        (["EHLO c", "MAIL FROM:<a>"], "553 5.1.7 <a> Invalid email address"),
        (["EHLO c", "MAIL FROM:<a@x.test> SMTPUTF8"], "250 2.1.0 Ok"),
        (["EHLO c", "MAIL FROM:<ä@x.test> SMTPUTF8"], "250 2.1.0 Ok"),
        (["EHLO c", "MAIL FROM:<ä@x.test>"], "553 5.6.7 <?@x.test> Invalid email address"),
        ([*OK_MAIL, "MAIL FROM:<a@x.test>"], "503 5.5.1 Nested MAIL command"),
        ([*OK_MAIL, "RSET", "MAIL FROM:<a@x.test>"], "250 2.1.0 Ok"),
        ([*OK_MAIL, "EHLO c", "RCPT TO:<b@y.test>"], "503 5.5.1 Send MAIL first"),
        (["EHLO c", "RCPT TO:<b@y.test>"], "503 5.5.1 Send MAIL first"),
        (OK_RCPT, "250 2.1.5 Ok"),
        ([*OK_MAIL, "RCPT TO:"], "501 5.5.4 Syntax: RCPT TO:<address> [parameters]"),
        ([*OK_MAIL, "RCPT FROM:<b@y.test>"], "501 5.5.4 Syntax: RCPT TO:<address> [parameters]"),
        ([*OK_MAIL, "RCPT TO:<>"], "553 5.1.3 <> address unknown"),
        ([*OK_MAIL, "RCPT TO:<b@@y>"], "553 5.1.3 <b@@y> address unknown"),
        ([*OK_MAIL, "RCPT TO:<ü@y.test>"], "553 5.1.3 <?@y.test> address unknown"),
        ([*OK_MAIL, "RCPT TO:<b@y.test> NOTIFY=X"], "501 5.5.4 Bad parameter"),
        ([*OK_RCPT, "RCPT TO:<c@y.test>", "RCPT TO:<d@y.test>"], "452 4.5.3 Too many recipients"),
        ([*OK_RCPT, "RCPT TO:<b@y.test>", "RCPT TO:<b@y.test>"], "250 2.1.5 Ok"),
        ([*OK_MAIL, "DATA"], "503 5.5.1 Send RCPT first"),
        ([*OK_MAIL, "RCPT TO:<b>", "DATA"], "554 5.5.1 No valid recipients"),
        ([*OK_RCPT, "DATA now"], "501 5.5.4 No argument is allowed"),
        ([*OK_RCPT, "DATA"], "354 End data with <CR><LF>.<CR><LF>"),
    ],
)
def test_replies_on_a_trusted_listener(commands, reply):
    assert trusted(*commands) == reply


def test_tls_then_auth_then_mail():
    dialogue = Dialogue(SUBMISSION, "192.0.2.1", 1234)
    assert "STARTTLS" in run(dialogue, "EHLO c")[0]
    assert "AUTH" not in run(dialogue, "EHLO c")[0]
    assert run(dialogue, "MAIL FROM:<a@x.test>") == ["530 5.7.0 Must issue a STARTTLS command first"]
    dialogue.begin_tls("TLSv1.3 X")
    assert run(dialogue, "MAIL FROM:<a@x.test>") == ["503 Send EHLO first"]
    greeting = run(dialogue, "EHLO c")[0]
    assert "STARTTLS" not in greeting
    assert "250-AUTH PLAIN LOGIN" in greeting
    assert run(dialogue, "MAIL FROM:<a@x.test>") == ["530 5.7.0 Authentication required"]
    assert run(dialogue, "RCPT TO:<a@x.test>", "DATA") == ["530 5.7.0 Authentication required"] * 2
    dialogue.authenticate("KEY", 7)
    assert run(dialogue, "MAIL FROM:<a@x.test>") == ["250 2.1.0 Ok"]


@pytest.mark.parametrize(
    ("hello", "tls", "credential", "mail", "protocol"),
    [
        ("HELO c", "", "", "", "SMTP"),
        ("EHLO c", "", "", "", "ESMTP"),
        ("EHLO c", "TLSv1.3", "", "", "ESMTPS"),
        ("EHLO c", "TLSv1.3", "KEY", "", "ESMTPSA"),
        ("EHLO c", "TLSv1.3", "KEY", " SMTPUTF8", "UTF8SMTPSA"),
    ],
)
def test_the_protocol_that_received_names(hello, tls, credential, mail, protocol):
    dialogue = Dialogue(TRUSTED, "192.0.2.1", 25, tls)
    run(dialogue, hello)
    if credential:
        dialogue.authenticate(credential, 7)
    run(dialogue, f"MAIL FROM:<a@x.test>{mail}")
    client = dialogue.client()
    assert (client.protocol, client.helo, client.credential) == (protocol, "c", credential)


def test_the_envelope_holds_all_parameters():
    dialogue = Dialogue(TRUSTED)
    run(
        dialogue,
        "EHLO c",
        "MAIL FROM:<a@x.test> RET=FULL ENVID=x+2By SIZE=10 BODY=8BITMIME",
        "RCPT TO:<B@Y.test> NOTIFY=SUCCESS ORCPT=rfc822;o@y.test",
    )
    envelope = dialogue.envelope
    assert (envelope.ret, envelope.envid, envelope.size_bytes, envelope.is_8bit) == ("FULL", "x+y", 10, True)
    [recipient] = envelope.recipients
    assert (recipient.address, recipient.domain) == ("B@Y.test", "y.test")
    assert (recipient.notify, recipient.orcpt) == ("SUCCESS", "rfc822;o@y.test")


@pytest.mark.parametrize(
    ("argument", "chunk"),
    [
        ("10", (10, False)),
        ("0 LAST", (0, True)),
        ("10 last", (10, True)),
        ("10 LAST LAST", None),
        ("-1", None),
        ("", None),
        ("x", None),
        ("1 FIRST", None),
        ("9" * 16, None),
        ("٣", None),
    ],
)
def test_bdat(argument, chunk):
    dialogue = Dialogue(TRUSTED)
    run(dialogue, *OK_RCPT)
    assert dialogue.bdat(argument) == (Chunk(*chunk) if chunk else None)


def test_data_does_not_follow_bdat():
    dialogue = Dialogue(TRUSTED)
    run(dialogue, *OK_RCPT)
    dialogue.bdat("10")
    assert run(dialogue, "DATA") == ["503 5.5.1 The message has begun with BDAT"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["HELO", "EHLO", "MAIL", "RCPT", "DATA", "RSET"]),
            st.one_of(
                st.sampled_from(
                    ["", "c", "FROM:<a@x.test>", "TO:<b@y.test>", "TO:<b", "FROM:<> BODY=8BITMIME"]
                ),
                st.text(max_size=40),
            ),
        ),
        max_size=25,
    )
)
def test_any_commands_get_one_reply_each_and_the_envelope_stays_bounded(commands):
    dialogue = Dialogue(TRUSTED)
    for verb, argument in commands:
        for reply in run(dialogue, f"{verb} {argument}"):
            assert reply[:3].isdigit()
            assert reply.isprintable() or reply.startswith("250-")
        if dialogue.envelope is not None:
            assert dialogue.helo
            assert len(dialogue.envelope.recipients) <= 2


@pytest.mark.parametrize(
    ("again", "count"),
    [
        ("a@b.example", 1),
        ("a@B.Example", 1),  # RFC 5321 2.4: case counts before the @ only
        ("aa@b.example", 2),
        ("A@b.example", 2),
        ("a@b.example.org", 2),
    ],
)
def test_a_recipient_named_twice_is_one(again: str, count: int) -> None:
    dialogue = Dialogue(TRUSTED)
    heard = run(
        dialogue, "EHLO x", "MAIL FROM:<x@y.example>", "RCPT TO:<a@b.example>", f"RCPT TO:<{again}>", "DATA"
    )
    assert heard[-3:-1] == ["250 2.1.5 Ok"] * 2
    assert dialogue.envelope is not None
    assert [one.number for one in dialogue.envelope.recipients] == list(range(count))


@pytest.mark.parametrize(
    ("path", "reply", "found"),
    [
        ("<postmaster>", "250 2.1.5 Ok", ("boss@relay.test", "relay.test", "")),
        (
            "<PostMaster> NOTIFY=NEVER ORCPT=rfc822;p@x.test",
            "250 2.1.5 Ok",
            ("boss@relay.test", "relay.test", "NEVER"),
        ),
        ("<postmaster@y.test>", "250 2.1.5 Ok", ("postmaster@y.test", "y.test", "")),
        ("<postmaster>x", "553 5.1.3 <postmaster>x address unknown", None),
        ("<webmaster>", "553 5.1.3 <webmaster> address unknown", None),
    ],
)
def test_postmaster_is_the_one_name_without_a_domain(path: str, reply: str, found) -> None:
    dialogue = Dialogue(replace(TRUSTED, postmaster="boss@relay.test"))
    assert run(dialogue, *OK_MAIL, f"RCPT TO:{path}")[-1] == reply
    assert dialogue.envelope is not None
    assert [(r.address, r.domain, r.notify) for r in dialogue.envelope.recipients] == (
        [found] if found else []
    )


def test_without_a_postmaster_there_is_none() -> None:
    assert trusted(*OK_MAIL, "RCPT TO:<postmaster>") == "553 5.1.3 <postmaster> address unknown"


def test_deliver_by_is_offered_and_kept() -> None:
    dialogue = Dialogue(TRUSTED)
    offered, answer = run(dialogue, "EHLO c", "MAIL FROM:<a@x.test> BY=120;R")
    assert "250-DELIVERBY\r\n" in offered
    assert answer == "250 2.1.0 Ok"
    assert dialogue.envelope is not None
    assert (dialogue.envelope.deliver_within_s, dialogue.envelope.is_by_notify) == (120.0, False)


def test_requiretls_is_offered_under_tls_alone() -> None:
    clear, encrypted = Dialogue(TRUSTED), Dialogue(TRUSTED, tls="TLSv1.3 X")
    refused = run(clear, "EHLO c", "MAIL FROM:<a@x.test> REQUIRETLS")
    assert "REQUIRETLS" not in refused[0]
    assert refused[1].startswith("555 ")
    offered, answer = run(encrypted, "EHLO c", "MAIL FROM:<a@x.test> REQUIRETLS")
    assert "250-REQUIRETLS\r\n" in offered
    assert answer == "250 2.1.0 Ok"
    assert encrypted.envelope is not None
    assert encrypted.envelope.tls is TlsWish.REQUIRED
