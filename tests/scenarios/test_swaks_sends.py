"""swaks, the administrator's first tool."""

import subprocess
from pathlib import Path

import pytest

from tests.fakes.machine import need
from tests.fakes.prepared import DOMAIN, SENDER
from tests.fakes.running import RunningRelay
from tests.scenarios.receiver import Receiver

TO = "someone@receiver.example"


def swaks(
    relay: RunningRelay, port: int, subject: str, *options: str
) -> "subprocess.CompletedProcess[bytes]":
    words = [
        *(need("swaks", "swaks"), "--server", "127.0.0.1", "--port", str(port), "--timeout", "30s"),
        *("--from", SENDER, "--to", TO, "--helo", "swaks.example", "--header", f"Subject: {subject}"),
        *options,
    ]
    return subprocess.run(words, capture_output=True, stdin=subprocess.DEVNULL, timeout=60)


def login(relay: RunningRelay, mechanism: str) -> list[str]:
    prepared = relay.prepared
    return ["--auth", mechanism, "--auth-user", prepared.username, "--auth-password", prepared.password]


def tls(relay: RunningRelay, option: str = "--tls") -> list[str]:
    return [option, "--tls-verify", "--tls-ca-path", str(relay.folder / "tls.crt")]


@pytest.mark.parametrize("mechanism", ["LOGIN", "PLAIN"])
@pytest.mark.parametrize("option", ["--tls", "--tls-on-connect"])
def test_tls_and_login(
    shared_relay: RunningRelay, shared_receiver: Receiver, option: str, mechanism: str
) -> None:
    port = shared_relay.starttls if option == "--tls" else shared_relay.wrapper
    subject = f"swaks {option} {mechanism}"
    ended = swaks(shared_relay, port, subject, *tls(shared_relay, option), *login(shared_relay, mechanism))
    assert ended.returncode == 0, ended.stdout
    assert b"<~  250 2.6.0 Ok " in ended.stdout
    got = shared_receiver.wait_for(subject)
    assert shared_relay.signatures(got.content) == {DOMAIN: True, "relay.test.example": True}


UNVERIFIED = "Message rejected: Email address is not verified. The following identities failed the check: "
MANY = ",".join(f"{number}@b.example" for number in range(51))
REPLIES: dict[str, tuple[list[str], str]] = {
    "accepted": ([], "<~  250 2.6.0 Ok "),
    "no TLS": ([], "<** 530 5.7.0 Must issue a STARTTLS command first\n"),
    "no AUTH": ([], "<~* 530 5.7.0 Authentication required\n"),
    "wrong password": (["--auth-password", "guess"], "<~* 535 5.7.8 Authentication Credentials Invalid\n"),
    "bad sender": (["--from", "me@"], "<~* 553 5.1.7 <me@> Invalid email address\n"),
    "bad recipient": (["--to", "you@"], "<~* 553 5.1.3 <you@> address unknown\n"),
    "too many recipients": (["--to", MANY], "<~* 452 4.5.3 Too many recipients\n"),
    "MAIL FROM": (["--from", "x@evil.example"], f"<~* 554 5.7.1 {UNVERIFIED}x@evil.example\n"),
    "From": (["--h-From", "x@evil.example"], f"<~* 554 5.7.1 {UNVERIFIED}x@evil.example\n"),
    "Sender": (["--h-Sender", "x@evil.example"], f"<~* 554 5.7.1 {UNVERIFIED}x@evil.example\n"),
    "Return-Path": (["--h-Return-Path", "<x@evil.example>"], f"<~* 554 5.7.1 {UNVERIFIED}x@evil.example\n"),
    "Reply-To": (["--h-Reply-To", "x@evil.example"], "<~  250 2.6.0 Ok "),
}


@pytest.mark.parametrize("row", REPLIES)
def test_what_it_shows(shared_relay: RunningRelay, row: str) -> None:
    """What SES says in each situation, as an administrator sees it."""
    options, shown = REPLIES[row]
    safety = [] if row == "no TLS" else tls(shared_relay)
    secret = [] if row in ("no AUTH", "no TLS") else login(shared_relay, "PLAIN")
    ended = swaks(shared_relay, shared_relay.starttls, row, *safety, *secret, *options)
    assert shown in ended.stdout.decode() + ended.stderr.decode()
    assert (ended.returncode == 0) == ("250" in shown or row == "too many recipients"), ended.returncode


def test_eight_bits_go_through_unchanged(
    shared_relay: RunningRelay, shared_receiver: Receiver, tmp_path: Path
) -> None:
    lines = [
        *(f"From: {SENDER}", f"To: {TO}", "Subject: eight bits", "MIME-Version: 1.0"),
        *("Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit"),
        *("", "Zażółć gęślą jaźń", ".", "..two dots", ""),
    ]
    (tmp_path / "mail").write_text("\n".join(lines))
    ended = swaks(
        *(
            shared_relay,
            shared_relay.starttls,
            "eight bits",
            *tls(shared_relay),
            *login(shared_relay, "PLAIN"),
        ),
        *("--data", f"@{tmp_path / 'mail'}"),
    )
    assert ended.returncode == 0, ended.stdout
    got = shared_receiver.wait_for("eight bits")
    assert "Zażółć gęślą jaźń\r\n.\r\n..two dots\r\n".encode() in got.content
    assert "BODY=8BITMIME" in got.mail_line
    assert all(shared_relay.signatures(got.content).values())


def test_an_attachment_of_five_megabytes(
    shared_relay: RunningRelay, shared_receiver: Receiver, tmp_path: Path
) -> None:
    attached = bytes(range(256)) * 20_000
    (tmp_path / "big.bin").write_bytes(attached)
    ended = swaks(
        *(shared_relay, shared_relay.starttls, "five megabytes", *tls(shared_relay)),
        *(*login(shared_relay, "LOGIN"), "--suppress-data", "--attach", f"@{tmp_path / 'big.bin'}"),
    )
    assert ended.returncode == 0, ended.stdout
    got = shared_receiver.wait_for("five megabytes")
    (part,) = got.parsed.iter_attachments()
    assert part.get_content() == attached
    assert all(shared_relay.signatures(got.content).values())


@pytest.mark.parametrize("version", ["1", "2"])
def test_the_client_behind_a_proxy_is_known(
    shared_relay: RunningRelay, shared_receiver: Receiver, version: str
) -> None:
    family = "TCP4" if version == "1" else "AF_INET"
    subject = f"proxy {version}"
    ended = swaks(
        *(shared_relay, shared_relay.proxied, subject, *tls(shared_relay), *login(shared_relay, "LOGIN")),
        *("--proxy-version", version, "--proxy-family", family),
        *("--proxy-source", "203.0.113.7", "--proxy-source-port", "4711"),
        *("--proxy-dest", "192.0.2.25", "--proxy-dest-port", "587"),
    )
    assert ended.returncode == 0, ended.stdout
    got = shared_receiver.wait_for(subject)
    assert "203.0.113.7" in got.parsed.get_all("received")[0] or "client=203.0.113.7" in shared_relay.log()


@pytest.mark.parametrize("listener", ["proxied", "far_proxied"])
def test_a_proxy_header_is_needed_and_only_from_the_proxy(shared_relay: RunningRelay, listener: str) -> None:
    """Without the header at the proxy's listener, and with it from an address that is not the proxy's."""
    header = ["--proxy", "TCP4 203.0.113.7 192.0.2.25 4711 587"] if listener == "far_proxied" else []
    ended = swaks(shared_relay, getattr(shared_relay, listener), "never", *header, "--timeout", "5s")
    assert ended.returncode in (2, 6, 21), ended.stdout + ended.stderr
    assert b"220" not in ended.stdout
