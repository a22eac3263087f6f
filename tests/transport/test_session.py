"""Dialogues of a session with a scripted peer, and with smtp-sink where it misbehaves by itself."""

import asyncio

import pytest

from relay.base.errors import LocalProtocolError
from relay.base.outcome import Delivered
from relay.base.route import Host, Route
from relay.codec.data import unstuff
from relay.transport.opening import open_session
from relay.transport.session import Session
from relay.transport.settings import SessionSettings
from relay.transport.tls_policy import TlsContexts
from tests.fakes.clock import ManualClock
from tests.transport.peers import BODY, DROP, SILENT, ScriptedPeer, make_attempt, smtp_sink

STEPWISE = ("8BITMIME",)


async def open_to(port, **settings):
    host = Host("127.0.0.1", port)
    session = await open_session(
        host, "127.0.0.1", Route("hop:x", (host,)), SessionSettings("me.example", **settings), TlsContexts()
    )
    assert isinstance(session, Session), session
    return session


class Journal:
    def __init__(self):
        self.dots = 0

    def __call__(self):
        self.dots += 1


def told(outcome):
    """An outcome in the words of the tables below."""
    code = outcome.reply.code if outcome.reply else None
    if isinstance(outcome, Delivered):
        return "delivered", code
    return type(outcome).__name__.lower(), str(outcome.scope), str(outcome.reason), code


async def deliver(peer, *addresses, content=BODY, settings=None, **more):
    """One message to a peer: outcomes by address, the session, dots sent."""
    session = await open_to(peer.port, **(settings or {}))
    journal = Journal()
    attempt = make_attempt(*addresses, content=content, **more)
    outcomes = await session.deliver(attempt, content, journal)
    return [told(outcomes[r.number]) for r in attempt.recipients], session, journal.dots


async def test_a_pipelined_dialogue():
    async with ScriptedPeer() as peer:
        outcomes, session, dots = await deliver(peer, "bob@example.net", "eve@example.net")
        assert outcomes == [("delivered", 250), ("delivered", 250)]
        assert session.is_usable
        assert dots == 1
        await session.end()
        assert peer.commands == [
            "EHLO me.example",
            f"MAIL FROM:<a@example.org> SIZE={len(BODY)}",
            "RCPT TO:<bob@example.net>",
            "RCPT TO:<eve@example.net>",
            "DATA",
            "QUIT",
        ]
        assert peer.messages == [BODY]


async def test_the_same_step_by_step():
    async with ScriptedPeer(extensions=STEPWISE) as peer:
        outcomes, session, dots = await deliver(peer, "bob@example.net", "eve@example.net")
        assert outcomes == [("delivered", 250), ("delivered", 250)]
        assert (session.is_usable, dots, peer.messages) == (True, 1, [BODY])
        session.abort()


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
@pytest.mark.parametrize("content", [b".", b"..\r\n", b".\r\n", b"a\r\n.\r\nb", b"\r\n.b\r\n", b"a"])
async def test_lines_that_begin_with_a_dot_arrive_whole(extensions, content):
    async with ScriptedPeer(extensions=extensions) as peer:
        outcomes, session, _ = await deliver(peer, content=content)
        assert outcomes == [("delivered", 250)]
        expected = content if content.endswith(b"\r\n") else content + b"\r\n"
        assert unstuff(peer.messages[0]) == expected
        session.abort()


async def test_replies_a_byte_at_a_time():
    async with ScriptedPeer() as peer:
        peer.bytewise = True
        session = await open_to(peer.port)
        for _ in range(2):
            outcomes = await session.deliver(make_attempt(), BODY, Journal())
            assert told(outcomes[0]) == ("delivered", 250)
        await session.end()


# What the peer says -> (what becomes of bob, what becomes of eve, may the session be used again, dots sent)
REFUSED = "refused"
TABLE = [
    ({"MAIL": "550 5.7.1 no"}, [("failed", "message", REFUSED, 550)] * 2, "pipelined-554", 0),
    ({"MAIL": "451 later"}, [("deferred", "message", REFUSED, 451)] * 2, "pipelined-554", 0),
    (
        {"RCPT bob@example.net": "550 5.1.1 who"},
        [("failed", "recipient", REFUSED, 550), ("delivered", 250)],
        True,
        1,
    ),
    (
        {"RCPT eve@example.net": "450 grey"},
        [("delivered", 250), ("deferred", "recipient", REFUSED, 450)],
        True,
        1,
    ),
    ({"RCPT": "550 who"}, [("failed", "recipient", REFUSED, 550)] * 2, False, 0),
    ({"RCPT": "550 who", "DATA": "554 none"}, [("failed", "recipient", REFUSED, 550)] * 2, False, 0),
    ({"DATA": "550 no"}, [("failed", "message", REFUSED, 550)] * 2, False, 0),
    ({"DATA": "451 no"}, [("deferred", "message", REFUSED, 451)] * 2, False, 0),
    ({"DATA": "250 what"}, [("deferred", "session", "protocol", 250)] * 2, False, 0),
    ({".": "554 spam"}, [("failed", "message", REFUSED, 554)] * 2, True, 1),
    ({".": "451 later"}, [("deferred", "message", REFUSED, 451)] * 2, True, 1),
    ({".": "354 what"}, [("deferred", "session", "reply-lost", 354)] * 2, False, 1),
    ({".": b"what?\r\n"}, [("deferred", "session", "reply-lost", None)] * 2, False, 1),
    ({".": b"250 ok\r\nwhat?\r\n"}, [("delivered", 250)] * 2, False, 1),
    ({".": b"554 spam\r\nwhat?\r\n"}, [("failed", "message", REFUSED, 554)] * 2, False, 1),
    ({"DATA": b"354 go\r\nwhat?\r\n"}, [("deferred", "session", "protocol", None)] * 2, False, 0),
    ({".": DROP}, [("deferred", "session", "reply-lost", None)] * 2, False, 1),
    ({"MAIL": "421 bye"}, [("deferred", "session", "busy", 421)] * 2, False, 0),
    ({"RCPT eve@example.net": "421 bye"}, [("deferred", "session", "busy", 421)] * 2, False, 0),
    ({"DATA": "421 bye"}, [("deferred", "session", "busy", 421)] * 2, False, 0),
    ({".": "421 bye"}, [("deferred", "session", "busy", 421)] * 2, False, 1),
    ({"MAIL": DROP}, [("deferred", "session", "connection-lost", None)] * 2, False, 0),
    ({"DATA": DROP}, [("deferred", "session", "connection-lost", None)] * 2, False, 0),
    ({"MAIL": b"\xff\xfe\r\n"}, [("deferred", "session", "protocol", None)] * 2, False, 0),
    ({"DATA": b"354 go\r\n550 5.7.1 no\r\n"}, [("failed", "message", REFUSED, 550)] * 2, False, 0),
    ({"DATA": b"354 go\r\n250 ok\r\n"}, [("deferred", "session", "protocol", 250)] * 2, False, 0),
    (
        {"RCPT bob@example.net": "550 5.1.1 who", "RCPT eve@example.net": "421 bye"},
        [("failed", "recipient", REFUSED, 550), ("deferred", "session", "busy", 421)],
        False,
        0,
    ),
    (
        {"RCPT bob@example.net": "550 5.1.1 who", "DATA": DROP},
        [("failed", "recipient", REFUSED, 550), ("deferred", "session", "connection-lost", None)],
        False,
        0,
    ),
    (
        {"RCPT bob@example.net": "552 too many", "RCPT eve@example.net": "552 5.2.2 full"},
        [("deferred", "recipient", REFUSED, 552), ("failed", "recipient", REFUSED, 552)],
        False,
        0,
    ),
]


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()], ids=["pipelined", "stepwise"])
@pytest.mark.parametrize(("replies", "outcomes", "is_usable", "dots"), TABLE, ids=lambda v: str(v)[:40])
async def test_what_the_peer_says_and_what_it_means(extensions, replies, outcomes, is_usable, dots):
    if is_usable == "pipelined-554":
        # a refused MAIL leaves nothing open, provided that the pipelined rest was refused as well
        replies = {"RCPT": "503 no MAIL", "DATA": "503 no MAIL", **replies}
        is_usable = True
    async with ScriptedPeer(replies, extensions) as peer:
        told_outcomes, session, sent = await deliver(peer, "bob@example.net", "eve@example.net")
        assert told_outcomes == outcomes
        assert (session.is_usable, sent, session.dot_sent) == (is_usable, dots, bool(dots))
        if is_usable:
            peer.replies.clear()
            again = await session.deliver(make_attempt(), BODY, Journal())
            assert told(again[0]) == ("delivered", 250)
        session.abort()


async def test_a_go_ahead_for_nobody_ends_the_connection():
    """RFC 2920 3.1: DATA may be answered 354 though no recipient was accepted."""
    async with ScriptedPeer({"RCPT": "550 who", "DATA": "354 go on"}) as peer:
        outcomes, session, dots = await deliver(peer)
        assert outcomes == [("failed", "recipient", "refused", 550)]
        assert (session.is_usable, dots, peer.messages) == (False, 0, [])
        await session.end()
        assert "QUIT" not in peer.commands  # it would be content


@pytest.mark.parametrize(
    ("replies", "setting", "dots"),
    [
        ({"MAIL": SILENT, "RCPT": SILENT, "DATA": SILENT}, "mail_s", 0),
        ({".": SILENT}, "dot_s", 1),
    ],
)
async def test_silence_ends_in_a_timeout(replies, setting, dots):
    async with ScriptedPeer(replies) as peer:
        outcomes, session, sent = await deliver(peer, settings={setting: 0.05})
        reason = "reply-lost" if dots else "timeout"
        assert outcomes == [("deferred", "session", reason, None)]
        assert (session.is_usable, sent) == (False, dots)


@pytest.mark.parametrize(
    ("extensions", "more", "outcome"),
    [
        (("SIZE 10",), {}, ("failed", "message", "size", None)),
        (("PIPELINING",), {"is_8bit": True}, ("failed", "message", "unsupported", None)),
        (("8BITMIME",), {"is_8bit": True, "is_utf8": True}, ("failed", "message", "utf8-header", None)),
        (("SIZE 0",), {}, ("delivered", 250)),
        (("SIZE nonsense",), {}, ("delivered", 250)),
    ],
)
async def test_what_the_peer_cannot_take_is_not_sent(extensions, more, outcome):
    async with ScriptedPeer(extensions=extensions) as peer:
        outcomes, session, _ = await deliver(peer, **more)
        assert outcomes == [outcome]
        assert session.is_usable
        assert len(peer.commands) == (1 if outcome[0] == "failed" else 4)
        session.abort()


async def test_parameters_only_where_offered():
    offers = ("PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "DSN")
    async with ScriptedPeer(extensions=offers) as peer:
        session = await open_to(peer.port)
        attempt = make_attempt("žofie@example.net", is_8bit=True, is_utf8=True, ret="HDRS", envid="a+b c")
        attempt.recipients[0].notify = "SUCCESS,FAILURE"
        attempt.recipients[0].orcpt = "rfc822;z=fie@example.net"
        assert told((await session.deliver(attempt, BODY, Journal()))[0]) == ("delivered", 250)
        assert peer.commands[1:3] == [
            f"MAIL FROM:<a@example.org> SIZE={len(BODY)} BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb+20c",
            "RCPT TO:<žofie@example.net> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;z+3Dfie@example.net",
        ]
        session.abort()


@pytest.mark.parametrize("address", ["bob@example.net>\r\nRSET", "bob\0@example.net"])
async def test_an_address_that_would_be_more_than_an_address_is_our_bug(address):
    async with ScriptedPeer() as peer:
        session = await open_to(peer.port)
        with pytest.raises(LocalProtocolError):
            await session.deliver(make_attempt(address), BODY, Journal())
        assert not session.is_usable
        assert peer.commands == ["EHLO me.example"]


@pytest.mark.parametrize("extensions", [("PIPELINING",), ("SIZE 0",)])
async def test_who_needs_smtputf8_keeps_nobody_else_back(extensions):
    async with ScriptedPeer(extensions=extensions) as peer:
        outcomes, session, dots = await deliver(peer, "žofie@example.net", "bob@bücher.example")
        assert outcomes == [("failed", "recipient", "utf8-address", None), ("delivered", 250)]
        assert (dots, session.is_usable) == (1, True)
        assert [one for one in peer.commands if "RCPT" in one] == ["RCPT TO:<bob@xn--bcher-kva.example>"]
        outcomes = await session.deliver(make_attempt("žofie@example.net"), BODY, Journal())
        assert (told(outcomes[0])[2], session.is_usable) == ("utf8-address", True)
        session.abort()


async def test_time_left_is_counted_at_the_attempt():
    async with ScriptedPeer(extensions=("PIPELINING", "DELIVERBY")) as peer:
        session = await open_to(peer.port)
        session._clock = ManualClock(1000.0)
        attempt = make_attempt(deadline=1090.5)
        await session.deliver(attempt, BODY, Journal())
        assert peer.commands[1] == "MAIL FROM:<a@example.org> BY=90;R"
        session.abort()


@pytest.mark.parametrize(("return_path", "onward"), [("", "promised"), ("id@bounces.example", "relayed")])
async def test_a_report_that_would_come_back_to_us_is_ours_to_make(return_path, onward):
    async with ScriptedPeer(extensions=("PIPELINING", "DSN")) as peer:
        session = await open_to(peer.port)
        attempt = make_attempt(return_path=return_path)
        outcomes = await session.deliver(attempt, BODY, Journal())
        assert outcomes[0].onward == onward
        session.abort()


@pytest.mark.parametrize("size", [256 * 1024, 256 * 1024 + 1, 3_000_000])
@pytest.mark.parametrize("from_file", [False, True])
async def test_large_content(tmp_path, size, from_file):
    line = b".dot\r\n" + b"x" * 70 + b"\r\n"
    content = (line * (size // len(line) + 1))[: size - 2] + b"\r\n"
    path = tmp_path / "content"
    path.write_bytes(content)
    async with ScriptedPeer() as peer:
        session = await open_to(peer.port)
        journal = Journal()
        attempt = make_attempt(content=content)
        outcomes = await session.deliver(attempt, path if from_file else content, journal)
        assert told(outcomes[0]) == ("delivered", 250)
        assert unstuff(peer.messages[0]) == content
        assert (journal.dots, session.is_usable) == (1, True)
        session.abort()


@pytest.mark.parametrize("kept", [0.5, 2])
async def test_a_file_of_another_length_is_never_sent_with_a_dot(tmp_path, kept):
    content = b"x" * 600_000
    path = tmp_path / "content"
    path.write_bytes((content * 2)[: int(len(content) * kept)])
    async with ScriptedPeer() as peer:
        session = await open_to(peer.port)
        journal = Journal()
        with pytest.raises(OSError, match="not 600000"):
            await session.deliver(make_attempt(content=content), path, journal)
        assert (journal.dots, session.is_usable, session.dot_sent, peer.messages) == (0, False, False, [])


async def test_a_missing_file_raises(tmp_path):
    async with ScriptedPeer() as peer:
        session = await open_to(peer.port)
        with pytest.raises(FileNotFoundError):
            await session.deliver(make_attempt(), tmp_path / "gone", Journal())
        assert not session.is_usable


async def test_a_goodbye_between_messages_is_seen():
    async with ScriptedPeer({".": b"250 ok\r\n"}) as peer:
        _, session, _ = await deliver(peer)
        next(iter(peer._writers)).write(b"421 idle too long\r\n")
        while session.is_usable:
            await asyncio.sleep(0)
        outcomes = await session.deliver(make_attempt(), BODY, Journal())
        assert told(outcomes[0])[:3] == ("deferred", "session", "busy")
        assert not session.is_answered


@pytest.mark.parametrize(("at", "dot_sent"), [("MAIL", False), ("RCPT", False), ("DATA", False), (".", True)])
@pytest.mark.parametrize("extensions", [("PIPELINING",), ()], ids=["pipelined", "stepwise"])
async def test_cancelled_at_each_wait(at, dot_sent, extensions):
    """The connection is closed, and ``dot_sent`` tells whether the peer may have the message."""
    async with ScriptedPeer({at: SILENT}, extensions) as peer:
        session = await open_to(peer.port)
        task = asyncio.create_task(session.deliver(make_attempt(), BODY, Journal()))
        while not (peer.messages if at == "." else any(c.startswith(at) for c in peer.commands)):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (session.is_usable, session.dot_sent) == (False, dot_sent)


async def test_cancelled_while_the_peer_takes_no_more(tmp_path):
    path = tmp_path / "content"
    content = b"x" * 20_000_000
    path.write_bytes(content)
    async with ScriptedPeer({"DATA": b"354 go on\r\n"}, ("PIPELINING",)) as peer:
        session = await open_to(peer.port)
        attempt = make_attempt(content=content)
        task = asyncio.create_task(session.deliver(attempt, path, Journal()))
        while "DATA" not in peer.commands:
            await asyncio.sleep(0)
        next(iter(peer._writers)).transport.pause_reading()
        for _ in range(200):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (session.is_usable, session.dot_sent) == (False, False)


async def test_before_dot_that_raises_leaves_no_dot():
    async with ScriptedPeer() as peer:
        session = await open_to(peer.port)

        def broken():
            raise RuntimeError("journal")

        with pytest.raises(RuntimeError, match="journal"):
            await session.deliver(make_attempt(), BODY, broken)
        assert (session.is_usable, session.dot_sent, peer.messages) == (False, False, [])


@pytest.mark.parametrize(
    ("options", "outcome"),
    [
        ((), ("delivered", 250)),
        (("-p",), ("delivered", 250)),
        (("-e",), ("delivered", 250)),
        (("-P",), ("delivered", 250)),
        (("-8",), ("delivered", 250)),
        (("-f", "MAIL"), ("failed", "message", "refused", 500)),
        (("-r", "RCPT"), ("deferred", "recipient", "refused", 450)),
        (("-f", "DATA"), ("failed", "message", "refused", 500)),
        (("-f", "."), ("failed", "message", "refused", 500)),
        (("-q", "MAIL"), ("deferred", "session", "connection-lost", None)),
        (("-q", "."), ("deferred", "session", "reply-lost", None)),
        (("-Q", "RCPT"), ("deferred", "session", "busy", 421)),
        (("-Q", "."), ("deferred", "session", "busy", 421)),
        (("-A", "0"), ("failed", "message", "refused", 550)),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, tuple) and v and str(v[0])[0] == "-" else "",
)
async def test_smtp_sink_misbehaves(options, outcome):
    async with smtp_sink(*options) as port:
        session = await open_to(port)
        outcomes = await session.deliver(make_attempt(), BODY, Journal())
        assert told(outcomes[0]) == outcome
        await session.end()


async def transcript(replies, *addresses, extensions=("PIPELINING",), **settings):
    """What is written down of one attempt, from MAIL on."""
    async with ScriptedPeer(replies, extensions=extensions) as peer:
        session = await open_to(peer.port, **settings)
        attempt = make_attempt(*addresses)
        await session.deliver(attempt, BODY, Journal())
        session.abort()
        lines = attempt.transcript.split("\n")
        if lines == [""]:
            return []
        assert lines[0] == "# to 127.0.0.1 [127.0.0.1]"
        assert lines[2] == "> EHLO me.example"
        return lines[next(n for n, line in enumerate(lines) if line.startswith("> MAIL")) + 1 :]


async def test_nothing_is_written_down_of_what_went_well():
    assert await transcript({}, "bob@example.net", "eve@example.net") == []


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
async def test_a_refused_recipient_is_written_down(extensions):
    replies = {"RCPT bob@example.net": "450 4.2.2 full"}
    lines = await transcript(replies, "bob@example.net", "eve@example.net", extensions=extensions)
    assert lines[1:5:2] == ["> RCPT TO:<bob@example.net>", "> RCPT TO:<eve@example.net>"]
    assert lines[2] == "< 450 4.2.2 full"
    assert lines[5] == "> DATA"
    assert lines[6].startswith("< 354 ")
    assert lines[7] == f"# {len(BODY)} bytes of content, the dot"
    assert lines[8].startswith("< 250 ")
    assert BODY.split(b"\r\n")[0].decode() not in "\n".join(lines)


async def test_a_refused_message_and_a_lost_reply_are_written_down():
    lines = await transcript({".": "451 4.7.1 not now"}, "bob@example.net")
    assert lines[-2:] == [f"# {len(BODY)} bytes of content, the dot", "< 451 4.7.1 not now"]
    lines = await transcript({".": DROP}, "bob@example.net")
    assert lines[-1] == "# connection-lost: closed by the peer"
    assert lines[-2] == f"# {len(BODY)} bytes of content, the dot"


async def test_what_was_not_said_is_not_written_down():
    lines = await transcript({"MAIL": DROP}, "bob@example.net", extensions=())
    assert lines == ["# connection-lost: closed by the peer"]
    lines = await transcript({"DATA": SILENT}, "bob@example.net", extensions=(), data_s=0.05)
    assert lines[-2:] == ["> DATA", "# timeout: no reply within 0.05 s"]
