"""What a message may be and what becomes of it, as a table: over TLS, two workers, the real clamd.

The replies are those that a client hears after EHLO, with their enhanced codes.
"""

import base64
import json
import smtplib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.clamd import SIGNATURE, STREAM_MAX_LENGTH, Clamd, eicar
from tests.fakes.prepared import DOMAIN, HOSTNAME, SENDER, Prepared, wait_until
from tests.fakes.running import RunningRelay
from tests.scenarios.conftest import StartRelay
from tests.scenarios.dialogue import OK, is_it
from tests.scenarios.receiver import Receiver
from tests.scenarios.test_the_configuration_is_reloaded import reload

TO = "someone@receiver.example"
FROM = f"From: {SENDER}"
FAILED = "Transaction failed: "
NO_EXE = "Attachments named .exe are not accepted: send the file in an archive, or a link to it."
NO_REPORT = (
    "is not accepted. Delivery reports do not go through this relay: deliver them directly, "
    "or send the text only."
)
NO_DATA = (
    "Data URIs are not supported in HTML. Attach the resource as a part with a Content-ID and refer to it "
    "by cid:, or link to it."
)
INFECTED = base64.encodebytes(eicar()).decode()


def lines(*words: str) -> bytes:
    return "\n".join(words).replace("\n", "\r\n").encode() + b"\r\n"


def multipart(*parts: str, kind: str = "mixed") -> bytes:
    """Each part begins with its header."""
    delimited = [f"--b\n{part}" for part in parts]
    return lines(FROM, f"Content-Type: multipart/{kind}; boundary=b", "", *delimited, "--b--")


def named(field: str) -> bytes:
    return multipart("\ntext", f"{field}\n\nattached")


REFUSED: dict[str, tuple[bytes, str]] = {
    # the header
    "no From": (lines("Subject: x", "", "x"), "554 5.6.0 " + FAILED + "Missing required header 'From'."),
    "From twice": (lines(FROM, FROM, "", "x"), "554 5.6.0 " + FAILED + "Duplicate header 'From'."),
    "Subject twice": (
        lines(FROM, "Subject: a", "Subject: b", "", "x"),
        "554 5.6.0 " + FAILED + "Duplicate header 'Subject'.",
    ),
    "a second signature of the client": (
        lines("DKIM-Signature: v=1", "DKIM-Signature: v=1", FROM, "", "x"),
        "554 5.6.0 " + FAILED + "Duplicate header 'DKIM-Signature'.",
    ),
    "a line that is no field": (
        lines(FROM, "no field", "", "x"),
        "554 5.6.0 Message rejected: header has a line that is not a field",
    ),
    "a control character": (
        lines(FROM, "Subject: a\x0bb", "", "x"),
        "554 5.6.0 " + FAILED + "Illegal header 'Subject': it has the control character 0x0b. "
        "Remove it, or encode the text by RFC 2047.",
    ),
    "a line of 999 characters": (
        lines(FROM, "X: " + "x" * 996, "", "x"),
        "554 5.6.0 " + FAILED + "Header too long: 'X'. Fold it: 998 characters a line at most.",
    ),
    "an address without a domain": (
        lines(FROM, "To: root", "", "x"),
        "554 5.6.0 " + FAILED + "Missing final '@domain' in header 'To'.",
    ),
    "an address that is none": (
        lines(FROM, "Reply-To: <a@example.org", "", "x"),
        "554 5.6.0 " + FAILED + "Quotes or brackets that do not pair in header 'Reply-To'.",
    ),
    # names of attachments
    **{
        f"a program by {field[:40]!r}": (
            named(field),
            f"554 5.6.1 {FAILED}Illegal filename 'a.exe'. {NO_EXE}",
        )
        for field in (
            "Content-Type: application/octet-stream; name=a.exe",
            'Content-Disposition: attachment; filename="a.exe"',
            "Content-Disposition: attachment; filename*=utf-8''a%2Eexe",
            "Content-Disposition: attachment; filename*0=a.; filename*1=exe",
            'Content-Type: application/x; name="=?utf-8?B?YS5leGU=?="',
            f"Content-Type: message/rfc822\n\n{FROM}\nContent-Type: application/x; name=a.exe",
        )
    },
    "a program in capitals": (
        named("Content-Type: application/x; name=A.EXE"),
        f"554 5.6.1 {FAILED}Illegal filename 'A.EXE'. {NO_EXE}",
    ),
    "a program at the end of a large message": (
        multipart("\n" + "text text text text\n" * 80_000, "Content-Type: application/x; name=a.exe\n\nx"),
        f"554 5.6.1 {FAILED}Illegal filename 'a.exe'. {NO_EXE}",
    ),
    # types
    "a delivery report": (
        multipart("\ntext", "Content-Type: message/delivery-status\n\nReporting-MTA: dns; x", kind="report"),
        f"554 5.6.1 {FAILED}Content type message/delivery-status {NO_REPORT}",
    ),
    "a data URI": (
        multipart('Content-Type: text/html\n\n<img src="data:image/png;base64,iVBORw0KGgo=">'),
        f"554 5.6.1 {FAILED}{NO_DATA}",
    ),
    "a data URI in base64": (
        multipart(
            "Content-Type: text/html\nContent-Transfer-Encoding: base64\n\n"
            + base64.encodebytes(b"<a href='data:text/plain,hello'>").decode()
        ),
        f"554 5.6.1 {FAILED}{NO_DATA}",
    ),
    # structure
    "501 parts": (multipart(*["\nx"] * 501), f"554 5.6.0 {FAILED}Message has more than 500 MIME parts."),
    "21 messages within each other": (
        lines(FROM, *["Content-Type: message/rfc822", ""] * 21),
        f"554 5.6.0 {FAILED}Message has MIME parts nested deeper than 20.",
    ),
    # what the scanner does not take: temporary, since the administrator can raise its limit
    "larger than clamd takes": (
        lines(FROM, "", "text text text text\n" * (STREAM_MAX_LENGTH // 20)),
        "451 4.7.1 Temporary service failure: the message could not be scanned, try again later",
    ),
}

TAKEN: dict[str, bytes] = {
    "plain text": lines(FROM, "", "x"),
    "500 parts": multipart(*["\nx"] * 500),
    "an archive": named("Content-Type: application/zip; name=a.exe.zip"),
    "To twice, as SES takes it": lines(FROM, "To: a@example.net", "To: b@example.net", "", "x"),
    "undisclosed recipients": lines(FROM, "To: undisclosed-recipients:;", "", "x"),
    "UTF-8 in the header": lines(FROM, "Subject: Grüße", "", "x"),
    "a long folded header": lines(
        FROM, *["References: <a@example.org>", *[" <b@example.org>"] * 200], "", "x"
    ),
    "data: in a text": multipart("\nsrc='data:image/png;base64,AAAA'", "Content-Type: text/html\n\ndata: x"),
    "a read receipt": multipart(
        "\nx", "Content-Type: message/disposition-notification\n\nX: y", kind="report"
    ),
    "a message within a message": named(f"Content-Type: message/rfc822\n\n{FROM}\nSubject: inner"),
    "a large message": lines(FROM, "", "text text text text\n" * 80_000),
}


@pytest.fixture(scope="module")
def clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clamd]:
    with Clamd(tmp_path_factory.mktemp("clamd")) as running:
        yield running


def scanned_by(clamd: Clamd, more: str = "") -> str:
    return f'[content]\nscanner = "unix:{clamd.path}"\n{more}'


@pytest.fixture(scope="module")
def relay(
    tmp_path_factory: pytest.TempPathFactory, prepared: Prepared, shared_receiver: Receiver, clamd: Clamd
) -> Iterator[RunningRelay]:
    folder = tmp_path_factory.mktemp("rules")
    with RunningRelay(folder, prepared, next_hop=shared_receiver.port, more=scanned_by(clamd)) as relay:
        yield relay
        relay.stop()
        assert "Traceback" not in relay.log()


def reply_to(relay: RunningRelay, content: bytes, sender: str = SENDER) -> str:
    """The reply to the dot, over TLS, logged in."""
    with relay.client() as client:
        return reply_within(client, content, sender)


def reply_within(client: smtplib.SMTP, content: bytes, sender: str = SENDER) -> str:
    client.mail(sender)
    client.rcpt(TO)
    code, text = client.data(content)
    return f"{code} {text.decode()}"


def with_mark(content: bytes, mark: str) -> bytes:
    return f"X-Mark: {mark}\r\n".encode() + content


def wait_for_mark(receiver: Receiver, mark: str) -> bytes:
    def found() -> bytes | None:
        marks = f"X-Mark: {mark}\r\n".encode()
        return next((one.content for one in list(receiver.received) if marks in one.content), None)

    return bytes(wait_until(found, f"{mark} arrives"))


@pytest.mark.parametrize("name", REFUSED)
def test_refused(relay: RunningRelay, shared_receiver: Receiver, name: str) -> None:
    content, reply = REFUSED[name]
    with relay.client() as client:
        assert reply_within(client, with_mark(content, name)) == reply
        assert is_it(reply_within(client, lines(FROM, f"X-Mark: after {name}", "", "x")), OK)  # it goes on
    wait_for_mark(shared_receiver, f"after {name}")
    assert not [one for one in shared_receiver.received if f"X-Mark: {name}\r\n".encode() in one.content]


@pytest.mark.parametrize("name", TAKEN)
def test_taken_and_arrives_as_it_was(relay: RunningRelay, shared_receiver: Receiver, name: str) -> None:
    content = TAKEN[name]
    assert is_it(reply_to(relay, with_mark(content, name)), OK)
    arrived = wait_for_mark(shared_receiver, name)
    assert arrived.partition(b"\r\n\r\n")[2] == content.partition(b"\r\n\r\n")[2]
    assert relay.signatures(arrived) == {DOMAIN: True, HOSTNAME: True}


def test_reports_of_others_are_refused_also_from_the_null_sender(relay: RunningRelay) -> None:
    content, reply = REFUSED["a delivery report"]
    with smtplib.SMTP("127.0.0.1", relay.trusted, timeout=30) as client:
        client.ehlo()
        assert reply_within(client, content, "") == reply


def events(relay: RunningRelay, kind: str) -> list[dict[str, Any]]:
    done = relay.command("events", "tail", "--json", "-n", "100000", "--kind", kind)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_infected_is_accepted_dropped_and_told(relay: RunningRelay, shared_receiver: Receiver) -> None:
    before = relay.count("scanned_infected")
    encoded = "Content-Type: application/octet-stream; name=a.bin\nContent-Transfer-Encoding: base64\n\n"
    infected = with_mark(multipart("\ntext", encoded + INFECTED), "infected")
    heard = reply_to(relay, infected)
    assert is_it(heard, OK)
    message_id = heard.rpartition(" ")[2]
    assert is_it(reply_to(relay, lines(FROM, "X-Mark: after the virus", "", "x")), OK)
    wait_for_mark(shared_receiver, "after the virus")
    assert not [one for one in shared_receiver.received if b"X-Mark: infected" in one.content]
    assert message_id not in relay.command("queue", "list", "--json").stdout.decode()
    (told,) = [one for one in events(relay, "Reject") if one["message_id"] == message_id]
    assert told["detail"]["reason"] == "Bad content"
    assert f"found={SIGNATURE}.UNOFFICIAL" in relay.log()
    assert relay.count("scanned_infected") == before + 1


def test_the_scanner_ends_and_comes_back(start_relay: StartRelay, receiver: Receiver, tmp_path: Path) -> None:
    later = "451 4.7.1 Temporary service failure: the message could not be scanned, try again later"
    with Clamd(tmp_path) as clamd:
        relay = start_relay(next_hop=receiver.port, workers=1, more=scanned_by(clamd))
        assert is_it(reply_to(relay, TAKEN["plain text"]), OK)
        clamd.stop()
        assert reply_to(relay, TAKEN["plain text"]) == later
        assert f"clamd cannot be reached at {clamd.path}" in relay.log()
        relay.configure(more=scanned_by(clamd, 'scanner_failure = "pass"\n'))
        reload(relay, "configuration taken over")
        assert is_it(reply_to(relay, TAKEN["plain text"]), OK)
        relay.configure(more=scanned_by(clamd))
        reload(relay, "configuration taken over")
        assert reply_to(relay, TAKEN["plain text"]) == later
        clamd.start()
        assert is_it(reply_to(relay, TAKEN["plain text"]), OK)


def test_the_rules_follow_the_configuration(start_relay: StartRelay, receiver: Receiver) -> None:
    relay = start_relay(next_hop=receiver.port)
    twice, program = REFUSED["Subject twice"], REFUSED["a program in capitals"]
    data, archive = REFUSED["a data URI"], TAKEN["an archive"]
    assert [reply_to(relay, content) for content, _ in (twice, program, data)] == [
        reply for _, reply in (twice, program, data)
    ]
    relay.configure(
        more='[content]\nheader_rules = false\nrefused_extensions = ["zip"]\n'
        'data_uris = "accept"\nmime_parts = 2\n'
    )
    reload(relay, "configuration taken over")
    for content, _ in (twice, program, data):
        assert is_it(reply_to(relay, content), OK)
    assert reply_to(relay, archive) == (
        f"554 5.6.1 {FAILED}Illegal filename 'a.exe.zip'. "
        "Attachments named .zip are not accepted: send the file in an archive, or a link to it."
    )
    assert (
        reply_to(relay, multipart("\nx", "\ny", "\nz"))
        == f"554 5.6.0 {FAILED}Message has more than 2 MIME parts."
    )
    assert reply_to(relay, REFUSED["no From"][0]) == REFUSED["no From"][1]  # is no matter of taste
