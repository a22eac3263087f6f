"""The scripted sink, spoken to as a client would: dialogues."""

import asyncio
import ssl

import pytest

from tests.fakes.sink import DROP, SILENT, Sink
from tests.transport.peers import certificate

HELLO = [("", "220"), ("EHLO client", "250")]
CONTENT = "Subject: a\r\n\r\n..dot\r\n."
QUIT = [("QUIT", "221")]


def transaction(*, rcpt="250", data="354", dot="250"):
    envelope = [("MAIL FROM:<a@client> SIZE=9", "250"), ("RCPT TO:<b@x>", rcpt), ("DATA", data)]
    return envelope + ([(CONTENT, dot)] if data == "354" else [])


async def reply_of(reader):
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


async def talk(sink, dialogue):
    """Say each line and compare the start of each reply; "" expects the end of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", sink.port)
    try:
        for said, expected in dialogue:
            if said:
                writer.write(said.encode() + b"\r\n")
            reply = await reply_of(reader)
            assert reply[: len(expected)] == expected, f"{said!r} got {reply!r}"
            assert bool(reply) == bool(expected), f"{said!r} got {reply!r}"
    finally:
        writer.transport.abort()


async def test_what_is_received_is_kept():
    async with Sink() as sink:
        await talk(sink, HELLO + transaction() + transaction() + QUIT)
        first, second = sink.received
        assert (first.sender, first.recipients, first.subject) == ("a@client", ["b@x"], "a")
        assert (first.mail_line, first.content) == (
            "MAIL FROM:<a@client> SIZE=9",
            b"Subject: a\r\n\r\n.dot\r\n",
        )
        assert sink.messages == [second.wire] * 2
        assert (sink.connections, sink.commands[0]) == (1, "EHLO client")


@pytest.mark.parametrize(
    ("replies", "dialogue", "received"),
    [
        ({"GREETING": "554 go away"}, [("", "554")], 0),
        ({"GREETING": "421 not now"}, [("", "421"), ("EHLO client", "")], 0),
        ({"EHLO": "502 no"}, [("", "220"), ("EHLO client", "502"), ("HELO client", "250 ")], 0),
        ({"MAIL": DROP}, [*HELLO, ("MAIL FROM:<a@client>", "")], 0),
        ({"RCPT": "550 5.1.1 who"}, HELLO + transaction(rcpt="550 5.1.1", data="554") + QUIT, 0),
        ({"RCPT b@x": "450 busy"}, HELLO + transaction(rcpt="450", data="554"), 0),
        ({"RCPT c@x": "450 busy"}, HELLO + transaction(), 1),
        ({"RCPT": ["450 busy"]}, HELLO + transaction(rcpt="450", data="554") + transaction(), 1),
        ({"DATA": "451 later"}, HELLO + transaction(data="451"), 0),
        ({"IN CONTENT": DROP}, HELLO + transaction(dot=""), 0),
        ({".": "550 no"}, HELLO + transaction(dot="550") + QUIT, 1),
        ({".": b"250 o\r\n"}, HELLO + transaction(dot="250 o"), 1),
        ({".": DROP}, HELLO + transaction(dot=""), 1),
        ({".": "421 bye"}, [*HELLO, *transaction(dot="421"), ("NOOP", "")], 1),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_table_scripts_the_misbehaviour(replies, dialogue, received):
    async with Sink(replies) as sink:
        await talk(sink, dialogue)
        assert len(sink.received) == received


async def test_silence_does_not_end_the_connection():
    async with Sink({"MAIL": SILENT}) as sink:
        reader, writer = await asyncio.open_connection("127.0.0.1", sink.port)
        await reply_of(reader)
        writer.write(b"MAIL FROM:<a@x>\r\nNOOP later\r\n")
        assert (await reply_of(reader)).startswith("250")
        assert sink.commands == ["MAIL FROM:<a@x>", "NOOP later"]
        writer.transport.abort()


async def test_a_byte_at_a_time():
    async with Sink(extensions=()) as sink:
        sink.bytewise = True
        await talk(sink, [("", "220"), ("EHLO client", "250 peer.example"), *transaction(), *QUIT])


async def test_starttls_begins_anew(tmp_path):
    ours, authority = certificate(tmp_path, "localhost")
    theirs = ssl.create_default_context(cafile=authority)
    async with Sink(tls=ours) as sink:
        reader, writer = await asyncio.open_connection("127.0.0.1", sink.port)
        await reply_of(reader)
        writer.write(b"EHLO client\r\n")
        assert "STARTTLS" in await reply_of(reader)
        writer.write(b"STARTTLS\r\n")
        assert (await reply_of(reader)).startswith("220")
        await writer.start_tls(theirs, server_hostname="localhost")
        writer.write(b"EHLO client\r\n")
        assert "STARTTLS" not in await reply_of(reader)
        assert (sink.tls_sessions, sink.server_names) == (1, ["localhost"])
        writer.transport.abort()


async def test_a_port_can_be_closed_and_opened_again():
    async with Sink() as sink:
        port = sink.port
        await sink.stop()
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", port)
        await sink.start(port=port)
        await talk(sink, HELLO + QUIT)
