import asyncio
import ipaddress
import socket
from contextlib import AsyncExitStack, suppress

import pytest

from relay.base.admission import Accepted
from relay.base.errors import ConfigError
from relay.ingress.listeners import Listener
from relay.ingress.settings import ListenerSettings

from .conftest import Server, trusting
from .test_proxy import V4, v2
from .test_session import MESSAGE, transaction

PROXY = {
    "proxy_protocol": True,
    "proxy_networks": (ipaddress.ip_network("127.0.0.0/8"),),
    "trusted_networks": (ipaddress.ip_network("192.0.2.0/24"),),
}
V1_HEADER = b"PROXY TCP4 192.0.2.1 198.51.100.1 40000 25\r\n"


async def test_shutdown_lets_a_message_finish_and_sends_the_idle_away(pair_files):
    async with AsyncExitStack() as outer:
        stack = AsyncExitStack()
        server = Server(outer, *pair_files, auth="none", tls="none")
        server._stack = stack
        await server.start()
        server._stack = outer
        idle, in_content, committing = [await server.client() for _ in range(3)]
        server.intake.answer = "when told"
        await transaction(committing)
        committing.say(MESSAGE)
        await server.intake.came.wait()
        await transaction(in_content)
        server.intake.answer = "at once"
        ending = asyncio.get_running_loop().create_task(stack.aclose())
        assert await idle.closes() == b"421 4.3.2 Service shutting down\r\n"
        with pytest.raises(ConnectionRefusedError):
            await server.connect()
        server.intake.promises[0].set_result(Accepted("id-x"))
        assert await committing.closes() == b"250 2.6.0 Ok id-x\r\n421 4.3.2 Service shutting down\r\n"
        in_content.say(MESSAGE)
        assert await in_content.closes() == b"250 2.6.0 Ok id-2\r\n421 4.3.2 Service shutting down\r\n"
        await ending
        assert server.around.tally.total == 0


async def test_shutdown_lets_go_of_a_client_that_pipelines(pair_files):
    """The envelope of the next message came with the content of this one: it is not obeyed any more."""
    async with AsyncExitStack() as outer:
        stack = AsyncExitStack()
        server = Server(outer, *pair_files, auth="none", tls="none")
        server._stack = stack
        await server.start()
        server._stack = outer
        client = await server.client()
        server.intake.answer = "when told"
        await transaction(client)
        client.say(MESSAGE + b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
        await server.intake.came.wait()
        ending = asyncio.get_running_loop().create_task(stack.aclose())
        await asyncio.wait([ending], timeout=0)
        server.intake.promises[0].set_result(Accepted("id-1"))
        assert await client.closes() == b"250 2.6.0 Ok id-1\r\n421 4.3.2 Service shutting down\r\n"
        client.writer.close()
        await ending
        assert len(server.intake.submissions) == 1


async def test_shutdown_is_bounded(pair_files, caplog):
    async with AsyncExitStack() as outer:
        stack = AsyncExitStack()
        server = Server(outer, *pair_files, auth="none", tls="none")
        server._stack = stack
        await server.start(drain_s=0.05)
        server._stack = outer
        client = await server.client()
        await transaction(client)
        await stack.aclose()
        assert not server.listener.sessions
        assert "sessions aborted at shutdown" in caplog.text


async def test_shutdown_is_told_to_who_was_shaking_hands(pair_files):
    """A client that has been accepted hears of the end, also where its TLS or its PROXY header is to come."""
    async with AsyncExitStack() as outer:
        stack = AsyncExitStack()
        server = Server(outer, *pair_files, auth="none", tls="none", **PROXY)
        server._stack = stack
        await server.start()
        server._stack = outer
        client = await server.connect(is_greeted=False)
        client.say(V1_HEADER[:10])
        while not server.listener._tasks:  # accepted
            await asyncio.sleep(0)
        ending = asyncio.get_running_loop().create_task(stack.aclose())
        await asyncio.wait([ending], timeout=0)
        client.say(V1_HEADER[10:])
        assert await client.closes() == b"220 relay.test ESMTP\r\n421 Service shutting down\r\n"
        await ending
        assert server.around.tally.total == 0


@pytest.mark.parametrize("settings", [{"tls": "none"}, {"tls": "none", **PROXY}])
async def test_two_that_accept_from_one_socket(pair_files, settings):
    """As two workers do where the socket is systemd's: one ends, and the other goes on."""
    async with AsyncExitStack() as outer:
        sock = socket.create_server(("127.0.0.1", 0))
        outer.callback(sock.close)
        stacks, servers = [], []
        for _ in range(2):
            server = Server(outer, *pair_files, auth="none", **settings)
            stacks.append(await outer.enter_async_context(AsyncExitStack()))
            server.port = sock.getsockname()[1]
            server.listener = Listener(server.settings, server.around, [sock.dup()], 1.0)
            await server.around.tasks.start(outer)
            await server.listener.start(stacks[-1])
            servers.append(server)

        async def come_and_go():
            client = await servers[0].connect(is_greeted=False)
            if "proxy_protocol" in settings:
                client.say(V1_HEADER)
            assert (await client.hear()).startswith("220 ")
            client.say(b"QUIT\r\n")
            assert (await client.closes()).startswith(b"221 ")

        for _ in range(20):
            await come_and_go()
        await stacks[0].aclose()
        before = servers[0].counters.connections
        for _ in range(20):
            await come_and_go()
        assert servers[0].counters.connections == before
        assert sum(one.counters.connections for one in servers) == 40
        await stacks[1].aclose()
        waiting = await servers[0].connect(is_greeted=False)  # nobody accepts, nobody is refused
        successor = Listener(servers[1].settings, servers[1].around, [sock.dup()], 1.0)
        await successor.start(outer)
        if "proxy_protocol" in settings:
            waiting.say(V1_HEADER)
        assert (await waiting.hear()).startswith("220 ")


def test_tls_needs_a_certificate(pair_files):
    server = Server(None, *pair_files)
    server.around.certificate = None
    with pytest.raises(ConfigError, match="needs \\[tls\\] certificate"):
        Listener(ListenerSettings(hostname="x"), server.around, [])


@pytest.mark.parametrize("header", [V1_HEADER, v2(0x21, 0x11, V4)])
@pytest.mark.parametrize("is_slow", [False, True])
async def test_the_client_behind_a_proxy_is_the_client(serve, header, is_slow):
    server = await serve(auth="none", tls="none", **PROXY)
    client = await server.connect(is_greeted=False)
    said = header + b"EHLO c\r\n"
    for octet in said if is_slow else []:
        client.say(bytes([octet]))
        await asyncio.sleep(0.0005)
    if not is_slow:
        client.say(said)
    assert (await client.hear()).startswith("220 ")
    assert (await client.hear()).startswith("250-")
    await transaction(client)
    client.say(MESSAGE)
    await client.hear()
    [submission] = server.intake.submissions
    assert (submission.client.address, submission.client.port) == ("192.0.2.1", 40000)


async def test_limits_count_the_client_not_the_proxy(serve):
    server = await serve(auth="none", tls="none", **PROXY)
    client = await server.connect(is_greeted=False)
    client.say(V1_HEADER.replace(b"192.0.2.1", b"203.0.113.1"))
    assert await client.closes() == b"554 Access denied: your network is not trusted here.\r\n"


async def test_proxy_before_wrapper_tls(serve):
    server = await serve(tls="wrapper", **PROXY)

    def talk():
        with socket.create_connection(("127.0.0.1", server.port), 10) as plain:
            plain.sendall(V1_HEADER)
            with trusting(server.chain).wrap_socket(plain) as secure:
                greeting = secure.recv(100)
                secure.sendall(b"QUIT\r\n")
                return greeting + secure.recv(100)

    heard = await asyncio.get_running_loop().run_in_executor(None, talk)
    assert heard == b"220 relay.test ESMTP\r\n221 Bye\r\n"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, b"EHLO c\r\n"),
        ({}, b"PROXY nonsense\r\n"),
        ({"handshake_timeout_s": 0.05}, b"PROXY TCP4 "),
        ({"proxy_networks": (ipaddress.ip_network("10.0.0.0/8"),)}, V1_HEADER),
    ],
)
async def test_connections_that_are_no_proxy_are_closed(serve, settings, said):
    server = await serve(auth="none", tls="none", **(PROXY | settings))
    client = await server.connect(is_greeted=False)
    client.say(said)
    with suppress(ConnectionResetError):
        assert await client.closes() == b""
    assert server.counters.connections_refused == 1
    assert server.counters.connections == 0


async def test_a_proxy_may_check_our_health(serve):
    server = await serve(auth="none", tls="none", **(PROXY | {"trusted_networks": PROXY["proxy_networks"]}))
    client = await server.connect(is_greeted=False)
    client.say(v2(0x20, 0, b""))
    assert (await client.hear()).startswith("220 ")


async def test_a_handshake_that_does_not_come_counts_as_a_connection(serve):
    server = await serve(tls="wrapper", handshake_timeout_s=0.3)
    server.around.tally.max_per_address = 3
    mute = [await server.connect(is_greeted=False) for _ in range(3)]
    surplus = await server.connect(is_greeted=False)
    assert await surplus.closes() == b""  # nothing can be said in clear
    assert server.around.tally.total == 3
    for client in mute:
        await client.closes()
    assert (server.around.tally.total, server.counters.tls_failures) == (0, 3)
    await server.connect(is_tls=True)
    assert server.around.tally.total == 1


async def test_the_last_place_is_enough_for_a_session_in_tls(serve):
    server = await serve(tls="wrapper")
    server.around.tally.max_per_address = 1
    client = await server.connect(is_tls=True)
    assert await client.ask("QUIT") == "221 Bye"
    await client.closes()
    assert server.around.tally.total == 0
    await server.connect(is_tls=True)
