"""Python's own client, as an application would use it, against two workers."""

import base64
import hashlib
import hmac
import smtplib
from pathlib import Path

import pytest

from tests.fakes.prepared import DOMAIN, SENDER, Prepared, message, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.receiver import Receiver

TO = "someone@receiver.example"


def old_password(secret: str) -> str:
    """Version 2 of the derivation, as the first SES guides print it."""
    digest = hmac.digest(secret.encode(), b"SendRawEmail", hashlib.sha256)
    return base64.b64encode(b"\x02" + digest).decode()


def log_in(relay: RunningRelay, mechanism: str, password: str) -> smtplib.SMTP:
    client = relay.connect()
    client.user, client.password = relay.prepared.username, password
    if mechanism == "PLAIN":
        client.auth("PLAIN", client.auth_plain)
    else:
        client.auth("LOGIN", client.auth_login, initial_response_ok=mechanism == "LOGIN at once")
    return client


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "LOGIN at once"])
@pytest.mark.parametrize("derivation", ["old", "new"])
def test_login_and_mail(
    shared_relay: RunningRelay, shared_receiver: Receiver, mechanism: str, derivation: str
) -> None:
    prepared = shared_relay.prepared
    password = prepared.password if derivation == "new" else old_password(prepared.secret)
    with log_in(shared_relay, mechanism, password) as client:
        client.mail(SENDER)
        client.rcpt(TO)
        code, reply = client.data(message(f"{mechanism} {derivation}"))
    assert code == 250
    assert reply.startswith(b"2.6.0 Ok 0")
    got = shared_receiver.wait_for(f"{mechanism} {derivation}")
    assert got.sender == SENDER
    assert got.recipients == [TO]
    message_id = reply.decode().removeprefix("2.6.0 Ok ")
    assert got.parsed["message-id"].startswith(f"<{message_id}@")
    assert shared_relay.signatures(got.content) == {DOMAIN: True, "relay.test.example": True}


def test_an_unverified_from_is_refused_in_the_words_of_ses(shared_relay: RunningRelay) -> None:
    with shared_relay.client() as client:
        client.mail(SENDER)
        client.rcpt(TO)
        code, reply = client.data(message("x", sender="boss@elsewhere.example"))
        assert (code, reply.decode()) == (
            554,
            "5.7.1 Message rejected: Email address is not verified. "
            "The following identities failed the check: boss@elsewhere.example",
        )
        assert client.sendmail(SENDER, [TO], message("and goes on")) == {}


def test_a_message_too_large_is_refused_early_and_late(
    tmp_path: Path, prepared: Prepared, receiver: Receiver
) -> None:
    limits = 'message_size = "100 KB"'
    with RunningRelay(tmp_path / "relay", prepared, next_hop=receiver.port, limits=limits) as relay:
        with relay.client() as client:
            assert client.esmtp_features["size"] == "100000"
            code, reply = client.mail(SENDER, ["SIZE=100001"])
            assert (code, reply) == (552, b"5.3.4 Message is too long.")
            client.mail(SENDER)
            client.rcpt(TO)
            filler = b"x" * 70 + b"\r\n"
            code, reply = client.data(message("too large") + filler * 2000)
            assert (code, reply) == (552, b"5.3.4 Message is too long.")
            client.sendmail(SENDER, [TO], message("fits") + filler * 1000)
        receiver.wait_for("fits")
        relay.stop()
    assert receiver.subjects() == ["fits"]


def test_surplus_recipients_are_told_to_come_later(
    shared_relay: RunningRelay, shared_receiver: Receiver
) -> None:
    addresses = [f"r{number:02d}@receiver.example" for number in range(60)]
    with shared_relay.client() as client:
        refused = client.sendmail(SENDER, addresses, message("to many"))
    assert refused == {address: (452, b"4.5.3 Too many recipients") for address in addresses[50:]}

    def served() -> list[str]:
        got = [one for one in list(shared_receiver.received) if one.subject == "to many"]
        return sorted(recipient for one in got for recipient in one.recipients)

    wait_until(lambda: served() == addresses[:50], "the first fifty are served, once each")


def test_an_internationalised_address(shared_relay: RunningRelay, shared_receiver: Receiver) -> None:
    to = "δοκιμή@παράδειγμα.example"
    content = f"From: {SENDER}\r\nTo: {to}\r\nSubject: Grüße\r\n\r\nHallo, Jörg\r\n"
    with shared_relay.client() as client:
        code, _ = client.mail(SENDER)
        assert client.rcpt("plain@receiver.example")[0] == 250
        client.rset()
        code, reply = client.mail(SENDER, ["SMTPUTF8", "BODY=8BITMIME"])
        assert code == 250, reply
        client.command_encoding = "utf-8"
        code, reply = client.rcpt(to)
        assert code == 250, reply
        code, reply = client.data(content.encode())
        assert code == 250, reply
    got = shared_receiver.wait_for("Grüße")
    assert got.recipients[0].startswith("δοκιμή@")
    assert "SMTPUTF8" in got.mail_line
    assert all(shared_relay.signatures(got.content).values())


def test_a_pipelined_batch_is_answered_in_one_go(
    shared_relay: RunningRelay, shared_receiver: Receiver
) -> None:
    """What is read within one record of TLS is answered within one."""
    with shared_relay.client() as client:
        assert client.sock is not None
        batch = [
            f"MAIL FROM:<{SENDER}>",
            "RCPT TO:<one@receiver.example>",
            "RCPT TO:<bad address>",
            "RCPT TO:<two@receiver.example>",
            "DATA",
        ]
        client.sock.sendall("".join(f"{line}\r\n" for line in batch).encode())
        replies = client.sock.recv(65536).decode().splitlines()
        assert [line[:3] for line in replies] == ["250", "250", "553", "250", "354"]
        client.sock.sendall(message("batch") + b".\r\nNOOP\r\n")
        replies = [client.getreply(), client.getreply()]
        assert [code for code, _ in replies] == [250, 250]
    wait_until(lambda: shared_receiver.wait_for("batch").recipients, "batch is delivered")
