"""The scripted sink, spoken to as a client would: dialogues."""

import asyncio
import datetime
import json
import signal
import ssl
import sys

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.fakes.script import Habits, Step, script_of
from tests.fakes.sink import Sink

HELLO = [("", "220"), ("EHLO client", "250")]
CONTENT = "Message-ID: <1@client>\r\nSubject: a\r\n\r\n..dot\r\n."
QUIT = [("QUIT", "221")]


def transaction(recipient, sender="a@client", *, rcpt="250", data="354", dot="250"):
    return [(f"MAIL FROM:<{sender}>", "250"), (f"RCPT TO:<{recipient}>", rcpt), ("DATA", data)] + (
        [(CONTENT, dot)] if data == "354" else []
    )


async def talk(sink, dialogue):
    """Say each line and compare the start of each reply; "" expects the end of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", sink.port)
    try:
        for said, expected in dialogue:
            if said:
                writer.write(said.encode() + b"\r\n")
            reply = await _reply(reader)
            assert reply[: len(expected)] == expected, f"{said!r} got {reply!r}"
            assert bool(reply) == bool(expected), f"{said!r} got {reply!r}"
    finally:
        writer.transport.abort()


async def _reply(reader):
    lines = []
    while not lines or lines[-1][3:4] == "-":
        try:
            line = (await reader.readline()).decode()
        except ConnectionError:
            line = ""
        if not line:
            return ""
        lines.append(line)
    return "".join(lines)


@pytest.mark.parametrize(
    ("address", "step"),
    [
        ("user@example.org", None),
        ("rcpt-550@example.org", Step("rcpt", "refuse", 550)),
        ("rcpt-450-twice@example.org", Step("rcpt", "refuse", 450, 2)),
        ("dot-451-7+again@example.org", Step("dot", "refuse", 451, 7)),
        ("421-at-mail@example.org", Step("mail", "421")),
        ("drop-after-dot@example.org", Step("after-dot", "drop")),
        ("drop-in-content@example.org", Step("in-content", "drop")),
        ("hang-at-dot@example.org", Step("dot", "hang")),
        ("drop-at-lunch@example.org", None),
    ],
)
def test_an_address_is_a_script(address, step):
    assert script_of(address) == step


async def test_what_is_received_is_remembered():
    async with Sink() as sink:
        await talk(sink, HELLO + transaction("user@example.org") + transaction("user@example.org") + QUIT)
        first, second = await sink.wait_for(2)
        assert (first.sender, first.recipients, first.ehlo) == ("a@client", ["user@example.org"], "client")
        assert first.content == b"Message-ID: <1@client>\r\nSubject: a\r\n\r\n.dot\r\n"
        assert (first.session, second.session, first.reply, first.is_tls) == (1, 1, 250, False)


@pytest.mark.parametrize(
    ("recipient", "replies", "received"),
    [
        ("rcpt-550@x", {"rcpt": "550 5.", "data": "554"}, 0),
        ("rcpt-450@x", {"rcpt": "450 4.", "data": "554"}, 0),
        ("421-at-rcpt@x", {"rcpt": "421", "data": ""}, 0),
        ("drop-at-rcpt@x", {"rcpt": "", "data": ""}, 0),
        ("data-451@x", {"data": "451"}, 0),
        ("dot-550@x", {"dot": "550"}, 0),
        ("drop-at-dot@x", {"dot": ""}, 0),
        ("drop-in-content@x", {"dot": ""}, 0),
        ("drop-after-dot@x", {"dot": ""}, 1),
        ("421-at-dot@x", {"dot": "421"}, 0),
    ],
)
async def test_a_recipient_scripts_the_misbehaviour(recipient, replies, received):
    async with Sink() as sink:
        await talk(sink, HELLO + transaction(recipient, **replies))
        assert len(sink.received) == received
        assert not sink.received or sink.received[0].reply == 0


@pytest.mark.parametrize(
    ("sender", "reply"), [("421-at-mail@x", "421"), ("mail-550@x", "550"), ("drop-at-mail@x", "")]
)
async def test_a_sender_scripts_the_misbehaviour(sender, reply):
    async with Sink() as sink:
        await talk(sink, [*HELLO, (f"MAIL FROM:<{sender}>", reply)])


async def test_twice_and_then_no_more():
    async with Sink() as sink:
        again = [("MAIL FROM:<a@client>", "250"), ("RCPT TO:<rcpt-450-twice@x>", "450"), ("RSET", "250")]
        await talk(sink, HELLO + again + again + transaction("rcpt-450-twice@x") + QUIT)
        assert sink.refused == [("rcpt-450-twice@x", 450)] * 2


async def test_a_hang_lasts_until_the_client_leaves():
    async with Sink() as sink:
        reader, writer = await asyncio.open_connection("127.0.0.1", sink.port)
        await _reply(reader)
        writer.write(b"MAIL FROM:<a@x>\r\nRCPT TO:<hang-at-dot@x>\r\nDATA\r\nhi\r\n.\r\n")
        await sink.wait_for(1)
        writer.close()
        assert sink.received[0].reply == 0


@pytest.mark.parametrize(
    ("habits", "dialogue"),
    [
        (Habits(banner="554 go away"), [("", "554"), ("EHLO client", "")]),
        (Habits(banner="421 not now"), [("", "421"), ("EHLO client", "")]),
        (Habits(ehlo="502 no"), [("", "220"), ("EHLO client", "502"), ("HELO client", "250 ")]),
        (Habits(is_byte_by_byte=True), HELLO + transaction("user@x") + QUIT),
        (Habits(size=10), [*HELLO, ("MAIL FROM:<a@x> SIZE=11", "552")]),
        (Habits(login="a:b"), [*HELLO, ("MAIL FROM:<a@x>", "530"), ("AUTH PLAIN AGEAYg==", "235")]),
        (Habits(messages_per_session=1), [*HELLO, *transaction("u@x"), ("MAIL FROM:<a@x>", "421")]),
        (
            Habits(has_pipelining=False, has_8bitmime=False, has_smtputf8=False),
            [("", "220"), ("EHLO client", "250 sink.example")],
        ),
    ],
)
async def test_habits_hold_for_everybody(habits, dialogue):
    async with Sink(habits) as sink:
        await talk(sink, dialogue)


async def test_starttls_begins_anew(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    today = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "both.pem").write_bytes(secret + certificate.public_bytes(pem))
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(tmp_path / "both.pem")
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    theirs.check_hostname, theirs.verify_mode = False, ssl.CERT_NONE
    async with Sink(Habits(tls=ours)) as sink:
        reader, writer = await asyncio.open_connection("127.0.0.1", sink.port)
        await _reply(reader)
        writer.write(b"EHLO client\r\n")
        assert "STARTTLS" in await _reply(reader)
        writer.write(b"STARTTLS\r\n")
        assert (await _reply(reader)).startswith("220")
        await writer.start_tls(theirs)
        writer.write(b"EHLO client\r\n")
        assert "STARTTLS" not in await _reply(reader)
        writer.write(b"MAIL FROM:<a@x>\r\nRCPT TO:<u@x>\r\nDATA\r\nhi\r\n.\r\n")
        (message,) = await sink.wait_for(1)
        assert message.is_tls
        writer.transport.abort()


async def test_a_port_can_be_closed_and_opened_again():
    async with Sink() as sink:
        port = sink.port
        await sink.stop()
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", port)
        await sink.start(port)
        await talk(sink, HELLO + QUIT)


async def test_waiting_in_vain_says_how_many_came():
    async with Sink() as sink:
        with pytest.raises(TimeoutError, match="0 of 1"):
            await sink.wait_for(1, patience_s=0.01)


async def test_as_a_process_it_records_each_message_before_its_reply(tmp_path):
    record = tmp_path / "record"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fakes.sink", "--record", str(record), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        sink = Sink()
        sink.port = int(await process.stdout.readline())
        await talk(sink, HELLO + transaction("user@x") + transaction("drop-after-dot@x", dot=""))
        rows = [json.loads(line) for line in record.read_text().splitlines()]
        assert [(row["message_id"], row["recipients"], row["reply"]) for row in rows] == [
            ("1@client", ["user@x"], 250),
            ("1@client", ["drop-after-dot@x"], 0),
        ]
    finally:
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
