"""Whole dialogues over a real socket."""

import asyncio

from relay.base.message import Client

MESSAGE = b"From: a@x.test\r\nSubject: hello\r\n\r\nline one\r\n..stuffed\r\nlast\r\n.\r\n"
CONTENT = b"From: a@x.test\r\nSubject: hello\r\n\r\nline one\r\n.stuffed\r\nlast\r\n"


async def test_a_message_step_by_step(open_server):
    client = await open_server.connect()
    assert await client.ask("EHLO client.test") == "\n".join(
        [
            "250-relay.test",
            "250-PIPELINING",
            "250-SIZE 10000000",
            "250-8BITMIME",
            "250-SMTPUTF8",
            "250-ENHANCEDSTATUSCODES",
            "250-DSN",
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
