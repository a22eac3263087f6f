"""The SMTP interface as senders to SES know it: each situation with the exact reply, over TLS, two workers.

The rows hold after EHLO with their enhanced codes, and after HELO word for word as SES has them.
"""

import os
import smtplib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from tests.fakes.prepared import SENDER, Port, Prepared, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.conftest import StartRelay
from tests.scenarios.dialogue import (
    OK,
    TO,
    UNVERIFIED,
    Line,
    content,
    encoded,
    hear,
    is_it,
    newcomer,
    plainly,
    say,
    sent,
    speak,
)
from tests.scenarios.receiver import Receiver

MAIL, MAIL_OK = f"MAIL FROM:<{SENDER}>", "250 2.1.0 Ok"
RCPT, RCPT_OK = f"RCPT TO:<{TO}>", "250 2.1.5 Ok"
NEED_AUTH = "530 5.7.0 Authentication required"
NEED_TLS = "530 5.7.0 Must issue a STARTTLS command first"
ASK_USERNAME, ASK_PASSWORD = "334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"
IN = "235 2.7.0 Authentication successful."
WRONG = "535 5.7.8 Authentication Credentials Invalid"
FIFTY = [f"someone{number}@receiver.example" for number in range(50)]


@pytest.fixture(params=["EHLO", "HELO"])
def greeting(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def meet(relay: RunningRelay, greeting: str, tls: str = "starttls") -> smtplib.SMTP:
    """A session behind its greeting."""
    if tls == "wrapper":
        client: smtplib.SMTP = smtplib.SMTP_SSL("localhost", relay.wrapper, timeout=30, context=relay.tls())
    elif tls == "none":
        client = smtplib.SMTP("localhost", relay.starttls, timeout=30)
    else:
        client = relay.connect()
    assert say(client, f"{greeting} client.example").startswith("250 relay.test.example")
    return client


def as_heard(lines: list[Line], greeting: str) -> list[Line]:
    return lines if greeting == "EHLO" else [(words, plainly(reply)) for words, reply in lines]


# The words in a row may be {username}, {password}, {plain}: base64 of what AUTH needs.
NOT_LOGGED_IN: dict[str, list[Line]] = {
    "LOGIN": [("AUTH LOGIN", ASK_USERNAME), ("{username}", ASK_PASSWORD), ("{password}", IN)],
    "LOGIN at once": [("AUTH LOGIN {username}", ASK_PASSWORD), ("{password}", IN)],
    "PLAIN": [("AUTH PLAIN", "334 "), ("{plain}", IN)],
    "PLAIN at once": [("AUTH PLAIN {plain}", IN)],
    "in lower case": [("auth plain {plain}", IN)],
    "wrong password": [
        ("AUTH LOGIN {username}", ASK_PASSWORD),
        (encoded("guess"), WRONG),
        ("NOOP", "250 2.0.0 OK"),
    ],
    "unknown user": [(f"AUTH PLAIN {encoded(chr(0) + 'RLAYNOBODY' + chr(0) + 'x')}", WRONG)],
    "not base64": [("AUTH PLAIN !", "501 5.5.2 Cannot decode the response")],
    "cancelled": [("AUTH LOGIN", ASK_USERNAME), ("*", "501 5.7.0 Authentication cancelled")],
    "another mechanism": [("AUTH CRAM-MD5", "504 5.5.4 Unrecognized authentication type")],
    "MAIL without AUTH": [(MAIL, NEED_AUTH)],
    "RCPT without AUTH": [(RCPT, NEED_AUTH)],
    "DATA without AUTH": [("DATA", NEED_AUTH)],
}


@pytest.mark.parametrize("tls", ["starttls", "wrapper"])
@pytest.mark.parametrize("row", NOT_LOGGED_IN)
def test_before_authentication(shared_relay: RunningRelay, greeting: str, tls: str, row: str) -> None:
    prepared = shared_relay.prepared
    words = {
        "username": encoded(prepared.username),
        "password": encoded(prepared.password),
        "plain": encoded(f"\0{prepared.username}\0{prepared.password}"),
    }
    lines = [(said.format(**words) if "{" in said else said, reply) for said, reply in NOT_LOGGED_IN[row]]
    with closing(meet(shared_relay, greeting, tls)) as client:
        speak(client, as_heard(lines, greeting))
        if WRONG in str(lines):  # the right one still opens, and ends the count
            assert say(client, f"AUTH PLAIN {words['plain']}") in (IN, plainly(IN))


IN_CLEAR: dict[str, list[Line]] = {
    "AUTH": [("AUTH LOGIN", NEED_TLS), ("AUTH PLAIN AGEAYg==", NEED_TLS)],
    "MAIL": [(MAIL, NEED_TLS)],
    "the rest": [("NOOP", "250 2.0.0 OK"), ("RSET", "250 2.0.0 Ok"), ("QUIT", "221 2.0.0 Bye")],
}


@pytest.mark.parametrize("row", IN_CLEAR)
def test_before_tls(shared_relay: RunningRelay, greeting: str, row: str) -> None:
    with closing(meet(shared_relay, greeting, "none")) as client:
        speak(client, as_heard(IN_CLEAR[row], greeting))


LOGGED_IN: dict[str, list[Line]] = {
    "accepted": sent(SENDER, content(), OK),
    "two in one session": sent(SENDER, content(), OK) + sent("", content(), OK),
    "as many recipients as allowed": sent(SENDER, content(), OK, FIFTY),
    "more recipients than allowed": [
        (MAIL, MAIL_OK),
        *((f"RCPT TO:<{one}>", RCPT_OK) for one in FIFTY),
        (RCPT, "452 4.5.3 Too many recipients"),
        ("DATA", "354 End data with <CR><LF>.<CR><LF>"),
        (content(), OK),
    ],
    "too long": sent(
        SENDER, content().replace("Hello", "Hello\n" * 1_700_000), "552 5.3.4 Message is too long."
    ),
    "MAIL: no domain": [("MAIL FROM:<me>", "553 5.1.7 <me> Invalid email address")],
    "MAIL: no bracket": [("MAIL FROM:<me@example.org", "553 5.1.7 <me@example.org Invalid email address")],
    "MAIL: two dots": [("MAIL FROM:<a@b..example>", "553 5.1.7 <a@b..example> Invalid email address")],
    "RCPT: no domain": [(MAIL, MAIL_OK), ("RCPT TO:<you>", "553 5.1.3 <you> address unknown")],
    "RCPT: two dots": [
        (MAIL, MAIL_OK),
        ("RCPT TO:<a@b..example>", "553 5.1.3 <a@b..example> address unknown"),
    ],
    "RCPT: null": [(MAIL, MAIL_OK), ("RCPT TO:<>", "553 5.1.3 <> address unknown")],
    "a bad recipient does not spoil the good": [
        (MAIL, MAIL_OK),
        ("RCPT TO:<you>", "553 5.1.3 <you> address unknown"),
        (RCPT, RCPT_OK),
        ("DATA", "354 End data with <CR><LF>.<CR><LF>"),
        (content(), OK),
    ],
    "no good recipient": [
        (MAIL, MAIL_OK),
        ("RCPT TO:<you>", "553 5.1.3 <you> address unknown"),
        ("DATA", "554 5.5.1 No valid recipients"),
    ],
    "not verified": sent("x@evil.example", content(), UNVERIFIED + "x@evil.example"),
    "AUTH again": [("AUTH LOGIN", "503 5.5.1 Already authenticated")],
    "NOOP": [("NOOP", "250 2.0.0 OK"), ("noop something", "250 2.0.0 OK")],
    "RSET": [(MAIL, MAIL_OK), ("RSET", "250 2.0.0 Ok"), (MAIL, MAIL_OK), ("rset", "250 2.0.0 Ok")],
    "VRFY": [(f"VRFY {TO}", "252 2.1.5 Send some mail, I'll try my best")],
    "EXPN": [("EXPN staff", "502 5.0.0 EXPN not implemented")],
    "HELP": [
        (
            "HELP",
            "250 2.0.0 Supported commands: AUTH DATA EHLO HELO HELP MAIL NOOP QUIT RCPT RSET STARTTLS VRFY",
        )
    ],
    "HELO again": [("HELO client.example", "250 relay.test.example"), ("NOOP", "250 OK")],
    "QUIT": [("QUIT", "221 2.0.0 Bye")],
    "unknown": [("TURN", "500 5.5.2 Command not recognized")],
    "out of order": [
        (RCPT, "503 5.5.1 Send MAIL first"),
        ("DATA", "503 5.5.1 Send MAIL first"),
        (MAIL, MAIL_OK),
        (MAIL, "503 5.5.1 Nested MAIL command"),
        ("DATA", "503 5.5.1 Send RCPT first"),
    ],
}


@pytest.mark.parametrize("row", LOGGED_IN)
def test_once_authenticated(shared_relay: RunningRelay, greeting: str, row: str) -> None:
    prepared = shared_relay.prepared
    with closing(meet(shared_relay, greeting)) as client:
        assert " Authentication successful." in say(
            client, f"AUTH PLAIN {encoded(f'{chr(0)}{prepared.username}{chr(0)}{prepared.password}')}"
        )
        speak(client, as_heard(LOGGED_IN[row], greeting))


def test_too_long_as_announced(shared_relay: RunningRelay) -> None:
    """Before a byte of it is sent; only EHLO has parameters."""
    with closing(shared_relay.client()) as client:
        speak(client, [(f"{MAIL} SIZE=10485761", "552 5.3.4 Message is too long."), (MAIL, MAIL_OK)])


@pytest.mark.parametrize("tls", ["none", "starttls", "wrapper"])
def test_what_is_advertised(shared_relay: RunningRelay, tls: str) -> None:
    with closing(meet(shared_relay, "HELO", tls)) as client:
        client.ehlo("client.example")
        offered = {"pipelining", "8bitmime", "smtputf8", "enhancedstatuscodes", "dsn", "deliverby"}
        offered |= {"chunking", "help"}
        more = {"none": {"starttls"}, "starttls": {"auth", "requiretls"}, "wrapper": {"auth", "requiretls"}}[
            tls
        ]
        assert set(client.esmtp_features) == offered | {"size"} | more
        assert client.esmtp_features["size"] == "10485760"
        assert client.esmtp_features.get("auth", "PLAIN LOGIN").split() == ["PLAIN", "LOGIN"]


def test_an_account_that_is_gone_or_paused(shared_relay: RunningRelay, greeting: str) -> None:
    name = f"short-lived-{greeting.lower()}"
    directory = shared_relay.directory()
    login = newcomer(directory, name, f"{name}.example")
    sender = f"a@{name}.example"
    shared_relay.wait_for_directory(directory)
    with closing(shared_relay.client(*login)) as client:
        say(client, f"{greeting} client.example")
        for change, reply in [
            (lambda: None, OK),
            (
                lambda: directory.accounts.pause(name),
                "554 5.7.1 Message rejected: Sending suspended for this account. "
                "Ask the postmaster of this relay.",
            ),
            (lambda: directory.accounts.resume(name), OK),
            (
                lambda: directory.accounts.delete(name),
                "554 5.7.1 Access denied: this account may not send through this relay.",
            ),
        ]:
            change()
            shared_relay.wait_for_directory(directory)
            speak(client, as_heard(sent(sender, content(sender), reply), greeting))
    directory.close()


# Situations that would disturb other tests: a relay of their own.
IMPATIENT = 'connections = 6\ncommand_timeout = "2s"\ndata_timeout = "2s"'
FAR = """
[[listener]]
address = "127.0.0.1:{port}"
tls = "none"
auth = "none"
trusted_networks = ["192.0.2.0/24"]
account = "tests"
"""


PORTS = {"starttls": (25, 587, 2587), "wrapper": (465, 2465)}
ON_ALL_PORTS = """
[[listener]]
address = ["127.0.25.87:25", "127.0.25.87:587", "127.0.25.87:2587"]
[[listener]]
address = ["127.0.25.87:465", "127.0.25.87:2465"]
tls = "wrapper"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for ports below 1024")
def test_all_ports_of_ses(start_relay: StartRelay, receiver: Receiver) -> None:
    """On an address of loopback where nobody else listens."""
    relay = start_relay(next_hop=receiver.port, workers=1, more=ON_ALL_PORTS)
    host, tls = "127.0.25.87", relay.tls()
    tls.check_hostname = False  # the certificate is for names, and this is a number
    for port in PORTS["starttls"]:
        with smtplib.SMTP(host, port, timeout=30) as client:
            assert say(client, "EHLO client.example").endswith("STARTTLS\nHELP")
            client.starttls(context=tls)
            client.login(relay.prepared.username, relay.prepared.password)
            speak(client, sent(SENDER, content(), OK))
    for port in PORTS["wrapper"]:
        with smtplib.SMTP_SSL(host, port, timeout=30, context=tls) as client:
            client.login(relay.prepared.username, relay.prepared.password)
            speak(client, sent(SENDER, content(), OK))


@pytest.fixture(scope="module")
def far_port() -> Iterator[Port]:
    port = Port()
    yield port
    port.free()


@pytest.fixture(scope="module")
def impatient(
    tmp_path_factory: pytest.TempPathFactory, prepared: Prepared, shared_receiver: Receiver, far_port: Port
) -> Iterator[RunningRelay]:
    """A relay that takes six connections, waits two seconds, and is damaged."""
    folder = tmp_path_factory.mktemp("impatient")
    with RunningRelay(
        folder,
        prepared,
        next_hop=shared_receiver.port,
        limits=IMPATIENT,
        more=FAR.format(port=far_port.number),
    ) as relay:
        yield relay
        relay.stop()


def test_too_many_connections(impatient: RunningRelay) -> None:
    taken: list[smtplib.SMTP] = []
    refused = ""
    while not refused:
        assert len(taken) <= 6
        try:
            taken.append(smtplib.SMTP("localhost", impatient.starttls, timeout=30))
        except smtplib.SMTPConnectError as error:
            refused = f"{error.smtp_code} {error.smtp_error.decode()}"
    assert refused == "421 Too many concurrent SMTP connections"
    for client in taken:
        client.close()


@pytest.mark.parametrize(
    ("greeting", "row"),
    [("HELO", "greeted"), ("EHLO", "greeted"), ("EHLO", "in a transaction"), ("EHLO", "in content")],
)
def test_a_client_that_is_silent(impatient: RunningRelay, greeting: str, row: str) -> None:
    lines = sent(SENDER, content(), OK)[: {"greeted": 0, "in a transaction": 2, "in content": 3}[row]]
    with closing(wait_until(lambda: connected(impatient), "there is room for a connection")) as client:
        say(client, f"{greeting} client.example")
        speak(client, as_heard(lines, greeting))
        heard = hear(client)
        assert heard == as_heard([("", "451 4.4.2 Timeout waiting for data from client")], greeting)[0][1]
        assert client.file is not None
        assert client.file.read() == b""  # and it closes


def connected(relay: RunningRelay) -> smtplib.SMTP | None:
    """Logged in; None while the connections of the test before are still counted."""
    with suppress(smtplib.SMTPConnectError):
        return relay.client()
    return None


def test_a_network_that_is_not_trusted(impatient: RunningRelay, far_port: Port) -> None:
    with pytest.raises(smtplib.SMTPConnectError) as refused:
        smtplib.SMTP("localhost", far_port.number, timeout=30)
    assert (refused.value.smtp_code, refused.value.smtp_error) == (
        554,
        b"Access denied: your network is not trusted here.",
    )


def test_trouble_of_our_own_is_temporary_and_bland(impatient: RunningRelay, greeting: str) -> None:
    """A DKIM key that does not open: the mail must wait rather than leave unsigned."""
    name = f"damaged-{greeting.lower()}"
    directory = impatient.directory()
    login = newcomer(directory, name, f"{name}.example")
    with closing(sqlite3.connect(impatient.folder / "directory.db", isolation_level=None)) as database:
        database.execute("UPDATE dkim_key SET private = x'00' WHERE domain = ?", (f"{name}.example",))
    impatient.wait_for_directory(directory)
    directory.close()
    lines = sent(f"a@{name}.example", content(f"a@{name}.example"), "451 4.3.0 Temporary service failure")
    with closing(impatient.client(*login)) as client:
        say(client, f"{greeting} client.example")
        speak(client, as_heard(lines, greeting))


def test_credentials_that_nobody_can_look_up(impatient: RunningRelay, greeting: str) -> None:
    """While the directory is out of reach, those whom the relay knows may log in; of others it cannot say."""
    prepared = impatient.prepared
    known, unknown = (
        f"AUTH PLAIN {encoded(chr(0) + name + chr(0) + prepared.password)}"
        for name in (prepared.username, "RLAYNEWSINCETHEN2345")
    )
    unsure = "454 4.7.0 Temporary authentication failure"

    def answer(words: str) -> str:
        with suppress(smtplib.SMTPConnectError), closing(meet(impatient, greeting)) as client:
            return say(client, words)
        return "no room"

    with closing(sqlite3.connect(impatient.folder / "directory.db", isolation_level=None)) as database:
        database.execute("ALTER TABLE revision RENAME TO revision_gone")
        try:
            for _ in range(6):  # both workers
                wait_until(lambda: is_it(answer(unknown), as_heard([("", unsure)], greeting)[0][1]), unsure)
            wait_until(lambda: is_it(answer(known), as_heard([("", IN)], greeting)[0][1]), IN)
        finally:
            database.execute("ALTER TABLE revision_gone RENAME TO revision")
