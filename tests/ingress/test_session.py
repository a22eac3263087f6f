"""Whole dialogues over a real socket."""

import asyncio
import ipaddress
import socket
import struct

import pytest

from relay.base.admission import Accepted
from relay.base.budget import Budget
from relay.base.errors import Refused, SpoolError, SpoolFull
from relay.base.message import Client
from relay.base.reply import Reply
from relay.ingress.connections import LocalTally

MESSAGE = b"From: a@x.test\r\nSubject: hello\r\n\r\nline one\r\n..stuffed\r\nlast\r\n.\r\n"
CONTENT = b"From: a@x.test\r\nSubject: hello\r\n\r\nline one\r\n.stuffed\r\nlast\r\n"


async def test_a_message_step_by_step(open_server):
    client = await open_server.connect()
    assert await client.ask("EHLO client.test") == "\n".join(
        [
            "250-relay.test",
            "250-PIPELINING",
            "250-SIZE 10485760",
            "250-8BITMIME",
            "250-SMTPUTF8",
            "250-ENHANCEDSTATUSCODES",
            "250-DSN",
            "250-DELIVERBY",
            "250-CHUNKING",
            "250 HELP",
        ]
    )
    assert await client.ask("MAIL FROM:<a@x.test>") == "250 2.1.0 Ok"
    assert await client.ask("RCPT TO:<b@y.test>") == "250 2.1.5 Ok"
    assert await client.ask("DATA") == "354 End data with <CR><LF>.<CR><LF>"
    client.say(MESSAGE)
    assert await client.hear() == "250 2.6.0 Ok id-1"
    assert await client.ask("QUIT") == "221 2.0.0 Bye"
    assert await client.closes() == b""
    [submission] = open_server.intake.submissions
    assert submission.content == CONTENT
    assert submission.account_id == 7
    assert submission.envelope.sender == "a@x.test"
    assert [(one.number, one.address, one.domain) for one in submission.envelope.recipients] == [
        (0, "b@y.test", "y.test")
    ]
    assert submission.client == Client("127.0.0.1", submission.client.port, "client.test", "ESMTP")
    assert open_server.around.budget.used_bytes == 0


async def test_byte_at_a_time_equals_all_at_once(open_server):
    said = b"EHLO c.test\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\n" + MESSAGE + b"QUIT\r\n"
    at_once = await open_server.connect()
    at_once.say(said)
    slowly = await open_server.connect()
    for octet in said:
        slowly.say(bytes([octet]))
        await slowly.writer.drain()
        await asyncio.sleep(0)
    heard = [(await one.closes()).replace(b"id-2", b"id-1") for one in (at_once, slowly)]
    assert heard[0] == heard[1]
    assert b"250 2.6.0 Ok id-1\r\n221 2.0.0 Bye\r\n" in heard[0]
    first, second = open_server.intake.submissions
    assert first.content == second.content == CONTENT


async def transaction(client, recipient: str = "b@y.test", parameters: str = "") -> str:
    """MAIL, RCPT, DATA in one write; the reply to DATA."""
    client.say(f"MAIL FROM:<a@x.test>{parameters}\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode())
    await client.hear()
    await client.hear()
    return await client.hear()


@pytest.mark.parametrize(
    ("error", "reply"),
    [
        (
            Refused(Reply(554, "Message rejected: Email address is not verified.")),
            "554 5.0.0 Message rejected:",
        ),
        (
            Refused(Reply(454, "Throttling failure: Daily message quota exceeded", "4.7.1")),
            "454 4.7.1 Throttling",
        ),
        (SpoolFull("no space"), "452 4.3.1 Insufficient system storage"),
        (SpoolError("disk on fire"), "451 4.3.0 Temporary service failure"),
        (KeyError("secret detail"), "451 4.3.0 Temporary service failure"),
    ],
)
async def test_what_the_intake_refuses_becomes_a_reply(open_server, error, reply):
    open_server.intake.answer = error
    client = await open_server.client()
    await transaction(client)
    client.say(MESSAGE)
    heard = await client.hear()
    assert heard.startswith(reply)
    assert "secret" not in heard
    assert open_server.around.budget.used_bytes == 0
    open_server.intake.answer = "at once"
    await transaction(client)
    client.say(MESSAGE)
    assert (await client.hear()).startswith("250 2.6.0 Ok ")


async def test_a_bug_in_the_intake_is_temporary_and_the_session_goes_on(open_server, caplog):
    open_server.intake.accept = None
    client = await open_server.client()
    await transaction(client)
    client.say(MESSAGE)
    assert await client.hear() == "451 4.3.0 Temporary service failure"
    assert (await client.ask("NOOP")).startswith("250 ")
    assert open_server.counters.troubles == 1
    assert open_server.around.budget.used_bytes == 0
    assert "trouble in an SMTP session" in caplog.text


async def test_plain_codes_after_helo_and_commands_without_meaning(open_server):
    client = await open_server.connect()
    assert await client.ask("HELO c") == "250 relay.test"
    assert await client.ask("MAIL FROM:<a@x.test>") == "250 Ok"
    assert await client.ask("RSET") == "250 Ok"
    assert await client.ask("RSET x") == "501 No argument is allowed"
    assert await client.ask("VRFY a@x.test") == "252 Send some mail, I'll try my best"
    assert await client.ask("EXPN list") == "502 EXPN not implemented"
    assert (await client.ask("HELP")).startswith("250 Supported commands: AUTH DATA EHLO")
    assert await client.ask("NOOP ignored") == "250 OK"
    assert await client.ask("noop") == "250 OK"
    assert await client.ask("STARTTLS") == "502 STARTTLS is not available"
    assert await client.ask("AUTH PLAIN") == "500 Command not recognized"
    assert await client.ask("TURN") == "500 Command not recognized"
    assert await client.ask("") == "500 Command not recognized"
    client.say(b"MAIL FROM:<\xff@x.test>\r\n")
    assert await client.hear() == "501 Argument is not UTF-8"
    assert await client.ask("QUIT now") == "501 No argument is allowed"
    assert await client.ask("QUIT") == "221 Bye"


async def test_bdat_in_two_chunks(open_server):
    client = await open_server.client()
    client.say(
        b"MAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nBDAT 14\r\nSubject: x\r\n\r\nBDAT 8 LAST\r\n"
        b".\r\nbody\n"
    )
    heard = [await client.hear() for _ in range(4)]
    assert heard[2] == "250 2.0.0 Ok"
    client.say(b"NOOP\r\n")
    assert await client.hear() == "250 2.0.0 OK"
    [submission] = open_server.intake.submissions
    assert submission.content == b"Subject: x\r\n\r\n.\r\nbody\n\r\n"
    assert open_server.around.budget.used_bytes == 0


async def test_bdat_without_a_transaction_is_read_and_refused(open_server):
    client = await open_server.client()
    client.say(b"BDAT 6\r\nQUIT\r\nBDAT 0 LAST\r\nNOOP\r\n")
    assert await client.hear() == "503 5.5.1 Send MAIL first"
    assert await client.hear() == "503 5.5.1 Send MAIL first"
    assert await client.hear() == "250 2.0.0 OK"
    assert await client.ask("BDAT many") == "501 5.5.4 Syntax: BDAT size [LAST]"
    assert await client.closes() == b""


async def test_too_long_is_said_at_mail_or_behind_the_dot(serve):
    server = await serve(auth="none", tls="none", max_message_bytes=10_000)
    client = await server.client()
    assert await client.ask("MAIL FROM:<a@x.test> SIZE=10001") == "552 5.3.4 Message is too long."
    await transaction(client)
    for _ in range(20):
        client.say(b"x" * 998 + b"\r\n")
    client.say(b".\r\nNOOP\r\n")
    assert await client.hear() == "552 5.3.4 Message is too long."
    assert await client.hear() == "250 2.0.0 OK"
    assert server.intake.submissions == []
    assert server.counters.refused == {552: 1}
    assert server.around.budget.used_bytes == 0


async def test_endless_content_ends_the_session(serve):
    server = await serve(auth="none", tls="none", max_message_bytes=10_000)
    client = await server.client()
    await transaction(client)
    client.say(b"x" * 500_000)
    assert await client.closes() == b"552 5.3.4 Message is too long.\r\n"


async def test_no_memory_is_452_before_or_while_reading(serve):
    server = await serve({"budget": Budget(5000)}, auth="none", tls="none")
    client = await server.client()
    assert await client.ask("MAIL FROM:<a@x.test> SIZE=6000") == "452 4.3.1 Insufficient system storage"
    await transaction(client)
    client.say(b"x" * 6000 + b"\r\n.\r\n")
    assert await client.hear() == "452 4.3.1 Insufficient system storage"
    await transaction(client)
    client.say(MESSAGE)
    assert (await client.hear()).startswith("250 2.6.0 Ok ")


async def test_smuggled_commands_stay_content(open_server):
    client = await open_server.client()
    for end in (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\r\n\0.\r\n"):
        assert (await transaction(client)).startswith("354 ")
        inner = b"Subject: x\r\n\r\nbody" + end + b"MAIL FROM:<evil@x.test>\r\nRCPT TO:<v@y.test>\r\nDATA\r\n"
        client.say(inner + b"\r\n.\r\n")
        assert (await client.hear()).startswith("250 2.6.0 ")
    assert len(open_server.intake.submissions) == 7
    assert all(b"evil" in one.content for one in open_server.intake.submissions)


async def test_too_many_bad_commands(serve):
    server = await serve(auth="none", tls="none", max_bad_commands=3)
    client = await server.client()
    client.say(b"A\r\nB\r\nC\r\nD\r\n")
    assert await client.closes() == (
        b"500 5.5.2 Command not recognized\r\n" * 3 + b"421 4.7.0 Too many bad commands\r\n"
    )


async def test_a_session_has_a_last_message(serve):
    server = await serve(auth="none", tls="none", max_messages=1)
    client = await server.client()
    await transaction(client)
    client.say(MESSAGE)
    assert await client.hear() == "250 2.6.0 Ok id-1"
    assert (await client.closes()).startswith(b"421 4.7.0 Session limit")


async def test_strangers_are_not_served(serve):
    server = await serve(auth="none", tls="none", trusted_networks=(ipaddress.ip_network("192.0.2.0/24"),))
    client = await server.connect(is_greeted=False)
    assert await client.closes() == b"554 Access denied: your network is not trusted here.\r\n"
    assert server.counters.connections_refused == 1


async def test_too_many_connections(serve):
    server = await serve({"tally": LocalTally(max_per_address=1)}, auth="none", tls="none")
    first = await server.connect()
    second = await server.connect(is_greeted=False)
    assert await second.closes() == b"421 Too many concurrent SMTP connections\r\n"
    assert await first.ask("QUIT") == "221 Bye"
    assert await first.closes() == b""
    third = await server.connect()
    assert await third.ask("NOOP") == "250 OK"


async def test_the_client_leaves_after_the_dot(open_server):
    open_server.intake.answer = "when told"
    client = await open_server.client()
    await transaction(client)
    client.say(MESSAGE)
    await open_server.intake.came.wait()
    sock = client.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.writer.transport.abort()
    while open_server.listener.sessions:
        await asyncio.sleep(0)
    [promise] = open_server.intake.promises
    assert not promise.cancelled()
    promise.set_result(Accepted("id-1"))
    await asyncio.sleep(0)
    assert open_server.around.budget.used_bytes == 0
    assert open_server.around.tally.total == 0


@pytest.mark.parametrize("last", [b"", b"QUIT\r\n"])
async def test_a_half_closed_client_hears_of_its_message(open_server, last):
    open_server.intake.answer = "when told"
    client = await open_server.client()
    await transaction(client)
    client.say(MESSAGE + last)
    client.writer.write_eof()
    await open_server.intake.came.wait()
    await asyncio.sleep(0)
    open_server.intake.promises[0].set_result(Accepted("id-1"))
    assert await client.closes() == b"250 2.6.0 Ok id-1\r\n" + (b"221 2.0.0 Bye\r\n" if last else b"")
