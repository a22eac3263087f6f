"""The connection itself: writes, timers, floods, and clients that others wrote."""

import asyncio
import resource
import smtplib
import ssl
import subprocess
from contextlib import suppress

import pytest

from relay.base.admission import Accepted
from tests.fakes.certificate import make_pair

from .conftest import trusting
from .fakes import KEY_ID, PASSWORD
from .test_session import MESSAGE, transaction


class CountingStream:
    """A transport that keeps what is written to it."""

    def __init__(self, stream):
        self._stream = stream
        self.writes = []

    def write(self, octets):
        self.writes.append(octets)
        self._stream.write(octets)

    def __getattr__(self, name):
        return getattr(self._stream, name)


async def test_a_pipelined_batch_gets_one_write(open_server):
    client = await open_server.client()
    [session] = open_server.listener.sessions
    session._stream = stream = CountingStream(session._stream)
    assert (await transaction(client)).startswith("354 ")
    client.say(MESSAGE)
    await client.hear()
    assert stream.writes == [
        b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n",
        b"250 2.6.0 Ok id-1\r\n",
    ]


async def test_commands_behind_the_dot_wait_for_the_commit(open_server):
    open_server.intake.answer = "when told"
    client = await open_server.client()
    await transaction(client)
    client.say(MESSAGE + b"NOOP\r\nQUIT\r\n")
    await open_server.intake.came.wait()
    open_server.intake.promises[0].set_result(Accepted("id-1"))
    assert await client.closes() == b"250 2.6.0 Ok id-1\r\n250 2.0.0 OK\r\n221 2.0.0 Bye\r\n"


@pytest.mark.parametrize(
    "said", [b"", b"NOO", b"EHLO c\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\nbody\r\n"]
)
async def test_a_silent_client_is_told_and_left(serve, said):
    server = await serve(auth="none", tls="none", command_timeout_s=0.05, data_timeout_s=0.05)
    client = await server.connect()
    client.say(said)
    heard = await client.closes()
    enhanced = b"4.4.2 " if said.startswith(b"EHLO") else b""
    assert heard.endswith(b"451 " + enhanced + b"Timeout waiting for data from client\r\n")
    assert server.counters.timeouts == 1
    assert server.around.budget.used_bytes == 0


async def test_bytes_that_make_no_command_do_not_put_off_the_deadline(serve):
    server = await serve(auth="none", tls="none", command_timeout_s=0.1)
    client = await server.connect()
    closed = asyncio.get_running_loop().create_task(client.closes())
    while not closed.done():
        client.say(b"x")
        await asyncio.wait([closed], timeout=0.02)
    with suppress(ConnectionResetError):  # what is said behind the end may cost us the last words
        assert (await closed).startswith(b"451 Timeout")
    assert server.counters.timeouts == 1


async def test_a_commit_is_not_timed(serve):
    server = await serve(auth="none", tls="none", command_timeout_s=0.3, data_timeout_s=0.3)
    server.intake.answer = "when told"
    client = await server.client()
    await transaction(client)
    client.say(MESSAGE)
    await server.intake.came.wait()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.reader.readline(), 0.5)
    server.intake.promises[0].set_result(Accepted("id-1"))
    assert await client.hear() == "250 2.6.0 Ok id-1"


async def test_a_session_has_an_end(serve):
    server = await serve(auth="none", tls="none", max_session_s=0.05)
    client = await server.connect()
    assert (await client.closes()).startswith(b"421 Session limit")


async def test_an_endless_command_line_costs_no_memory(open_server):
    client = await open_server.client()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    block = b"x" * 1_000_000
    for _ in range(100):
        client.say(block)
        await client.writer.drain()
    client.say(b"\r\nNOOP\r\n")
    assert await client.hear() == "500 5.5.6 Line too long"
    assert await client.hear() == "250 2.0.0 OK"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB


async def test_a_client_that_reads_no_replies_is_not_obeyed(open_server):
    client = await open_server.client()
    [session] = open_server.listener.sessions
    client.writer.transport.pause_reading()
    for _ in range(400):
        client.say(b"HELP\r\n" * 2000)
        if session._is_held:
            break
        await asyncio.sleep(0)
    while not session._is_held:
        await asyncio.sleep(0)
    held = session._stream.get_write_buffer_size()
    await asyncio.sleep(0)
    assert session._stream.get_write_buffer_size() <= held
    client.writer.transport.resume_reading()
    assert (await client.hear()).startswith("250 2.0.0 Supported")


async def in_thread(work, *arguments):
    return await asyncio.get_running_loop().run_in_executor(None, work, *arguments)


async def test_smtplib(serve):
    server = await serve()

    def send():
        with smtplib.SMTP("127.0.0.1", server.port, timeout=10) as client:
            client.starttls(context=trusting(server.chain))
            client.login(KEY_ID, PASSWORD)
            return client.sendmail("a@x.test", ["b@y.test", "c@y.test"], "Subject: x\n\n.dot\n")

    assert await in_thread(send) == {}
    [submission] = server.intake.submissions
    assert submission.content == b"Subject: x\r\n\r\n.dot\r\n"
    assert len(submission.envelope.recipients) == 2


@pytest.mark.parametrize("kind", ["LOGIN", "PLAIN"])
async def test_swaks(serve, kind):
    server = await serve()
    command = (
        f"swaks --server 127.0.0.1:{server.port} --from a@x.test --to b@y.test -tls --auth {kind}".split()
    )
    command += ["--auth-user", KEY_ID, "--auth-password", PASSWORD, "--ehlo", "client.test"]
    done = await in_thread(lambda: subprocess.run(command, capture_output=True, text=True, timeout=30))
    assert done.returncode == 0, done.stdout
    assert "250 2.6.0 Ok id-1" in done.stdout
    assert server.intake.submissions[0].client.protocol == "ESMTPSA"


@pytest.mark.parametrize(("version", "is_good"), [("-tls1_3", True), ("-tls1_2", True), ("-tls1_1", False)])
async def test_openssl_and_the_versions_of_tls(serve, version, is_good):
    server = await serve()
    command = [
        "openssl",
        "s_client",
        "-connect",
        f"127.0.0.1:{server.port}",
        "-starttls",
        "smtp",
        "-quiet",
        version,
    ]
    command += ["-crlf"]
    said = "EHLO c\nQUIT\n"
    done = await in_thread(
        lambda: subprocess.run(command, input=said, capture_output=True, text=True, timeout=30)
    )
    assert ("250-AUTH PLAIN LOGIN" in done.stdout) is is_good


async def test_a_reload_serves_new_connections(serve, tmp_path):
    chain, key = make_pair(tmp_path, "relay.test")
    server = await serve(tls="wrapper")
    certificate = server.around.certificate
    old = await server.connect(is_tls=True)
    certificate._chain, certificate._key = chain, key
    certificate.reload()
    with pytest.raises(ssl.SSLError):
        await server.connect(is_tls=True)
    server.chain = chain
    assert (await (await server.connect(is_tls=True)).ask("NOOP")).startswith("250 ")
    assert (await old.ask("NOOP")).startswith("250 ")


async def test_replies_to_one_batch_are_not_gathered_without_end(open_server):
    client = await open_server.client()
    (session,) = open_server.listener.sessions
    longest = 0
    flush = session._flush

    def measured():
        nonlocal longest
        longest = max(longest, len(session._out))
        flush()

    session._flush = measured
    client.say(b"HELP\r\n" * 5000)
    for _ in range(5000):
        await client.hear()
    assert longest <= 256
