"""What someone sees who types SMTP into ``openssl s_client``."""

import base64
import socket
import ssl
import subprocess

import pytest

from tests.fakes.machine import need
from tests.fakes.prepared import SENDER
from tests.fakes.running import RunningRelay
from tests.scenarios.programs import Pipes
from tests.scenarios.receiver import Receiver


def s_client(relay: RunningRelay, tls: str) -> list[str]:
    """The command, checking our certificate; -quiet, or a line that begins with R would renegotiate."""
    port, more = (relay.starttls, ["-starttls", "smtp"]) if tls == "starttls" else (relay.wrapper, [])
    certificate = str(relay.folder / "tls.crt")
    return [
        *(need("openssl", "openssl"), "s_client", "-connect", f"127.0.0.1:{port}", *more),
        *("-crlf", "-quiet", "-CAfile", certificate, "-verify_return_error", "-verify_hostname", "localhost"),
    ]


def encoded(words: str) -> str:
    return base64.b64encode(words.encode()).decode()


@pytest.mark.parametrize("tls", ["starttls", "wrapper"])
def test_a_whole_dialogue(shared_relay: RunningRelay, shared_receiver: Receiver, tls: str) -> None:
    with Pipes(*s_client(shared_relay, tls)) as session:
        if tls == "wrapper":  # with -starttls, openssl reads and hides what came before
            assert session.hear().startswith("220 relay.test.example ESMTP")
        session.say("MAIL FROM:<x@example.net>")
        assert session.hear().startswith("503 ")
        session.say("EHLO by.hand.example")
        offered = [line[4:] for line in session.hear_reply()]
        assert {"PIPELINING", "8BITMIME", "SMTPUTF8", "AUTH PLAIN LOGIN"} <= set(offered)
        assert "STARTTLS" not in offered
        session.say(f"MAIL FROM:<{SENDER}>")
        assert session.hear() == "530 5.7.0 Authentication required"
        session.say("AUTH LOGIN")
        assert session.hear() == "334 VXNlcm5hbWU6"
        session.say(encoded(shared_relay.prepared.username))
        assert session.hear() == "334 UGFzc3dvcmQ6"
        session.say(encoded(shared_relay.prepared.password))
        assert session.hear() == "235 2.7.0 Authentication successful."
        session.say(f"MAIL FROM:<{SENDER}>")
        assert session.hear() == "250 2.1.0 Ok"
        session.say("RCPT TO:<someone@receiver.example>")
        assert session.hear() == "250 2.1.5 Ok"
        session.say("DATA")
        assert session.hear().startswith("354 ")
        for line in (f"From: {SENDER}", f"Subject: by hand, {tls}", "", "..a dot", "."):
            session.say(line)
        accepted = session.hear()
        assert accepted.startswith("250 2.6.0 Ok ")
        session.say("QUIT")
        assert session.hear() == "221 2.0.0 Bye"
    got = shared_receiver.wait_for(f"by hand, {tls}")
    assert accepted.removeprefix("250 2.6.0 Ok ") in got.parsed["message-id"]
    assert got.content.endswith(b"\r\n\r\n.a dot\r\n")


@pytest.mark.parametrize("tls", ["starttls", "wrapper"])
@pytest.mark.parametrize(("version", "is_taken"), [("tls1", 0), ("tls1_1", 0), ("tls1_2", 1), ("tls1_3", 1)])
def test_old_tls_is_refused(shared_relay: RunningRelay, tls: str, version: str, is_taken: int) -> None:
    before = shared_relay.count("client_tls_sessions")
    words = [*s_client(shared_relay, tls), f"-{version}"]
    if not is_taken:  # openssl itself would not offer it at its usual level
        words += ["-cipher", "ALL:@SECLEVEL=0"]
    ended = subprocess.run(words, input=b"EHLO x.example\nQUIT\n", capture_output=True, timeout=30)
    assert (b"250-AUTH" in ended.stdout) == bool(is_taken), ended.stderr
    assert shared_relay.count("client_tls_sessions") - before == is_taken


def test_login_in_clear_is_refused(shared_relay: RunningRelay) -> None:
    with socket.create_connection(("127.0.0.1", shared_relay.starttls), 20) as client:
        stream = client.makefile("rwb")
        assert stream.readline().startswith(b"220 ")
        stream.write(b"EHLO x.example\r\n")
        stream.flush()
        offered = [stream.readline()]
        while offered[-1][3:4] == b"-":
            offered.append(stream.readline())
        assert not any(b"AUTH" in line for line in offered)
        for line in (b"AUTH PLAIN AHgAeQ==", b"MAIL FROM:<x@example.net>"):
            stream.write(line + b"\r\n")
            stream.flush()
            assert stream.readline() == b"530 5.7.0 Must issue a STARTTLS command first\r\n"


def test_nothing_said_before_tls_survives_it(shared_relay: RunningRelay) -> None:
    """CVE-2011-0411: commands in the same packet as STARTTLS must not be obeyed behind it."""
    context = ssl.create_default_context(cafile=str(shared_relay.folder / "tls.crt"))
    with socket.create_connection(("127.0.0.1", shared_relay.starttls), 20) as client:
        assert client.recv(1000).startswith(b"220 ")
        client.sendall(b"EHLO evil.example\r\n")
        assert client.recv(1000).startswith(b"250-")
        client.sendall(b"STARTTLS\r\nNOOP injected\r\nEHLO injected.example\r\n")
        assert client.recv(1000) == b"220 2.0.0 Ready to start TLS\r\n"
        with context.wrap_socket(client, server_hostname="localhost") as secured:
            secured.sendall(b"HELP\r\n")
            answer = secured.recv(1000)
            assert b"Supported commands" in answer
            assert answer.count(b"\r\n") == 1
            secured.sendall(b"MAIL FROM:<x@example.net>\r\n")
            assert secured.recv(1000).startswith(b"503 ")  # the EHLO before TLS is forgotten as well
