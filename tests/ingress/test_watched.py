"""Sessions of clients that are watched: real dialogues over sockets, and no secret in what is seen."""

from base64 import b64encode

import pytest

from relay.base.trace import Filter, Traces

from .conftest import trusting
from .fakes import KEY_ID, PASSWORD
from .test_session import MESSAGE, transaction

EVERYBODY = Filter(client="127.0.0.0/8")


def watch(server, chosen=EVERYBODY):
    server.around.traces.begin(1, chosen)
    return server.around.traces.active[-1]


@pytest.fixture
async def server(serve):
    """With the listener hearing of traces, as the wiring has it."""
    made = await serve()
    made.around.traces.on_change.append(made.listener.retrace)
    return made


def said(trace):
    return [f"{who}: {text}" for _, _, who, text in trace.lines]


def encoded(words):
    return b64encode(words.encode()).decode()


async def encrypted(server):
    client = await server.client()
    await client.ask("STARTTLS")
    await client.start_tls(trusting(server.chain))
    await client.ask("EHLO c")
    return client


async def test_a_whole_session(server):
    trace = watch(server)
    client = await encrypted(server)
    await client.log_in()
    await transaction(client)
    client.say(MESSAGE)
    await client.hear()
    await client.ask("QUIT")
    await client.closes()
    lines = said(trace)
    assert lines[0].startswith("#: client 127.0.0.1:")
    assert lines[0].endswith(f"on 127.0.0.1:{server.port}")
    assert lines[1:3] == ["S: 220 relay.test ESMTP", "C: EHLO client.test"]
    tls = lines.index("C: STARTTLS")
    assert lines[tls + 1] == "S: 220 2.0.0 Ready to start TLS"
    assert lines[tls + 2].startswith("#: TLS: TLSv1.3 TLS_")
    auth = lines.index("C: AUTH PLAIN ***")
    assert lines[auth + 1 : auth + 3] == [
        f"#: authenticated: {KEY_ID}, account 7",
        "S: 235 2.7.0 Authentication successful.",
    ]
    data = lines.index("C: DATA")
    assert lines[data + 1 :] == [
        "S: 250 2.1.0 Ok",
        "S: 250 2.1.5 Ok",
        "S: 354 End data with <CR><LF>.<CR><LF>",
        f"C: <{len(MESSAGE)} octets of content>",
        "S: 250 2.6.0 Ok id-1",
        "C: QUIT",
        "S: 221 2.0.0 Bye",
        "#: closed by us",
        ".: ",
    ]


PLAIN = encoded(f"\0{KEY_ID}\0{PASSWORD}")


@pytest.mark.parametrize(
    ("lines", "seen"),
    [
        (["AUTH LOGIN", encoded(KEY_ID), encoded(PASSWORD)], ["AUTH LOGIN", *["<credentials>"] * 2]),
        ([f"AUTH LOGIN {encoded(KEY_ID)}", encoded(PASSWORD)], ["AUTH LOGIN ***", "<credentials>"]),
        (["AUTH PLAIN", PLAIN], ["AUTH PLAIN", "<credentials>"]),
        ([f"AUTH PLAIN {PLAIN}"], ["AUTH PLAIN ***"]),
        (["AUTH PLAIN", PASSWORD], ["AUTH PLAIN", "<credentials>"]),  # not base64
        (  # cancelled, and sent all the same
            ["AUTH LOGIN", "*", encoded(PASSWORD)],
            ["AUTH LOGIN", "*", "<40 octets that are no command>"],
        ),
        (
            ["AUTH CRAM-MD5", encoded(PASSWORD)],  # refused, and sent all the same
            ["AUTH CRAM-MD5", "<40 octets that are no command>"],
        ),
        ([f"AUTH {encoded(PASSWORD)}"], ["AUTH ***"]),
        (
            [PASSWORD, f"NOOP {encoded(PASSWORD)}"],
            ["<28 octets that are no command>", "NOOP <40 characters>"],
        ),
        (["AUTH PLAIN", f"{PLAIN}\r"], ["AUTH PLAIN", "<a line that is none: bare CR>"]),
    ],
)
async def test_no_secret_is_seen_whenever_it_is_sent(server, lines, seen):
    trace = watch(server)
    client = await encrypted(server)
    for line in lines:
        await client.ask(line)
    await client.ask("QUIT")
    await client.closes()
    commands = [line[3:] for line in said(trace) if line.startswith("C: ")]
    assert commands == ["EHLO client.test", "STARTTLS", "EHLO c", *seen, "QUIT"]
    for secret in (PASSWORD, encoded(PASSWORD), PLAIN):
        assert secret not in "\n".join(said(trace))


async def test_in_clear_a_password_that_was_not_asked_for_is_not_seen_either(server):
    trace = watch(server)
    client = await server.client()
    client.say(f"AUTH LOGIN\r\n{encoded(KEY_ID)}\r\n{encoded(PASSWORD)}\r\nQUIT\r\n".encode())
    await client.closes()
    seen = "\n".join(said(trace))
    assert "S: 530 5.7.0 Must issue a STARTTLS command first" in seen
    assert encoded(PASSWORD) not in seen
    assert encoded(KEY_ID) not in seen


async def test_by_account_all_is_seen_from_the_beginning_and_others_not_at_all(server):
    trace = watch(server, Filter(account=7))
    server.around.traces.begin(2, Filter(account=8))
    client = await encrypted(server)
    assert said(trace) == []
    await client.log_in()
    lines = said(trace)
    assert lines[1] == "S: 220 relay.test ESMTP"
    assert lines[-1].startswith("S: 235 ")
    assert said(server.around.traces.active[1]) == []
    await client.ask("NOOP")
    assert said(trace)[-2:] == ["C: NOOP", "S: 250 2.0.0 OK"]


async def test_who_comes_late_is_told_where_the_session_is_and_who_leaves_costs_nothing(server):
    client = await encrypted(server)
    await client.log_in()
    (session,) = server.listener.sessions
    assert session._trail is None
    trace = watch(server)
    assert [line.partition(" ")[0] for line in said(trace)] == ["#:"] * 3
    assert said(trace)[2] == f"#: under way, as c {KEY_ID}"
    await client.ask("NOOP")
    assert said(trace)[-1].startswith("S: 250")
    server.around.traces.end(1)
    assert session._trail is None
    before = len(trace.lines)
    await client.ask("NOOP")
    assert len(trace.lines) == before


async def test_chunks_and_what_breaks_off_are_counted(server):
    trace = watch(server)
    client = await encrypted(server)
    await client.log_in()
    await client.ask("MAIL FROM:<a@x.test>")
    await client.ask("RCPT TO:<b@y.test>")
    client.say(b"BDAT 5\r\nabc\r\n")
    await client.hear()
    client.say(b"BDAT 500 LAST\r\nabc")
    await client.writer.drain()
    client.writer.close()
    await client.writer.wait_closed()
    while server.listener.sessions:
        await server.listener.sessions.wait_empty()
    lines = said(trace)
    assert lines.index("C: <5 octets of content>") == lines.index("C: BDAT 5") + 1
    assert lines[-3] == "C: <3 octets of content, and no end>"
    assert lines[-2].startswith("#: closed")


async def test_who_is_refused_or_fails_at_tls_is_seen(serve):
    traces = Traces()
    server = await serve(around={"traces": traces}, tls="wrapper")
    trace = watch(server)
    client = await server.connect(is_greeted=False)
    client.say(b"EHLO in the clear\r\n")
    await client.closes()
    assert any(line.startswith("#: TLS handshake failed: ") for line in said(trace))


async def test_too_many_connections_are_seen_as_a_421(serve):
    from relay.ingress.connections import LocalTally

    server = await serve(around={"tally": LocalTally(1, 1)})
    trace = watch(server)
    await server.connect()
    client = await server.connect(is_greeted=False)
    await client.closes()
    lines = [(session, who, text) for _, session, who, text in trace.lines]
    assert ("in0.2", "S", "421 Too many concurrent SMTP connections") in lines
    assert lines[-1] == ("in0.2", ".", "")


async def test_control_characters_are_harmless(serve):
    server = await serve(auth="none", tls="none")
    trace = watch(server)
    client = await server.connect()
    client.say(b"EHLO \x1b[2Jx\r\nHELP\n\r\n")
    await client.hear()
    await client.hear()
    lines = said(trace)
    assert "C: EHLO \\x1b[2Jx" in lines
    assert "C: <a line that is none: bare LF>" in lines
