"""Addresses of topics that do what no proper one does, beside one that is well: it hears as if it were alone.

Real sockets, a real outbox and real TLS. No test waits for a timeout: where a dead address could hold up the
live one, it would do so for ever."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from relay.daemon.notifier.post_slots import DOUBTFUL, SLOTS
from relay.transport.resolve import Resolver
from relay.transport.webhook import Webhooks
from tests.daemon.test_posting import Room
from tests.fakes.authority import Authority
from tests.fakes.clock import ManualClock
from tests.fakes.endpoint import Endpoint

LIVE = 1000
FOR_EVER_S = 3600.0
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
async def room(tmp_path: Path, authority: Authority) -> AsyncIterator[Room]:
    made = Room(tmp_path, authority)
    await made.start()
    client_of(made).timeout_s = FOR_EVER_S
    yield made
    await made.end()


@pytest.fixture
def live(authority: Authority) -> Iterator[Endpoint]:
    with Endpoint(authority) as made:
        yield made


def client_of(room: Room) -> Webhooks:
    client = room.posting._client
    assert isinstance(client, Webhooks)
    return client


class Rude:
    """A server that says what ``talk`` does; without TLS, it never answers a handshake."""

    def __init__(self) -> None:
        self.connections = 0
        self.open = 0
        self.url = ""

    @asynccontextmanager
    async def serve(self, talk: Talk, context: ssl.SSLContext | None = None) -> AsyncIterator["Rude"]:
        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            self.open += 1
            try:
                await talk(reader, writer)
            except OSError:
                pass
            finally:
                self.open -= 1
                writer.transport.abort()

        server = await asyncio.start_server(take, "127.0.0.1", 0, ssl=context, backlog=1024)
        self.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        try:
            yield self
        finally:
            server.close()


async def says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(65536):
        pass


def for_ever(first: bytes, then: bytes) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(first)
        while True:
            writer.write(then)
            await writer.drain()

    return talk


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def test_ninety_nine_topics_that_hang_in_the_handshake_hold_up_no_other(
    room: Room, live: Endpoint
) -> None:
    async with Rude().serve(says_nothing) as deaf:
        await room.set(LIVE, live.url)
        for number in range(1, 100):
            await room.set(number, deaf.url)
            await room.tell(number, *[f"m{n}" for n in range(9)])
        await room.until(lambda: deaf.connections >= 99)
        await room.tell(LIVE, *[f"m{n}" for n in range(50)])
        await room.until(lambda: len(live.taken) == 50)
        assert deaf.connections <= SLOTS
        for number in range(1, 100):
            assert room.left(number) == 9


async def test_topics_that_have_failed_wait_for_each_other_alone(room: Room, live: Endpoint) -> None:
    async with Rude().serve(says_nothing) as deaf:
        await room.set(LIVE, live.url)
        client_of(room).timeout_s = 0.0
        for number in range(1, DOUBTFUL + 10):
            await room.set(number, deaf.url)
            await room.tell(number, "a")
        await room.until(lambda: room.posting.refused >= DOUBTFUL + 9)
        client_of(room).timeout_s = FOR_EVER_S
        await room.until(lambda: deaf.open == DOUBTFUL, step_s=1.0)
        await room.tell(LIVE, *[f"m{n}" for n in range(50)])
        await room.until(lambda: len(live.taken) == 50)
        assert deaf.open == DOUBTFUL
        assert not room.posting.is_crowded


ENDLESS = {
    "header fields": (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 4096, False),
    "a header field": (b"HTTP/1.1 200 OK\r\nX-A: ", b"a" * 65536, False),
    "a status line": (b"HTTP/1.1 200 ", b"a" * 65536, False),
    "a body": (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", b"a" * 65536, True),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n" * 4096, True),
    "trailers": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X-A: b\r\n" * 4096, False
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", ENDLESS)
async def test_an_answer_without_end_is_cut_short_and_fills_no_memory(
    room: Room, live: Endpoint, authority: Authority, what: str
) -> None:
    first, then, is_taken = ENDLESS[what]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("127.0.0.1"))
    async with Rude().serve(for_ever(first, then), context) as endless:
        await room.set(LIVE, live.url)
        await room.tell(LIVE, "first")
        await room.until(lambda: len(live.taken) == 1)  # all that posting needs is in memory
        before = resident_bytes()
        await room.set(1, endless.url)
        await room.tell(1, "a")
        await room.until(lambda: room.posting.refused or room.posting.posted == 2)
        await room.tell(LIVE, "second")
        await room.until(lambda: len(live.taken) == 2)
        assert (room.left(1) == 0 or room.posting.posted == 3) is is_taken
        assert resident_bytes() - before < 64 << 20


async def test_who_wants_to_be_asked_in_a_year_is_asked_in_ten_minutes(
    room: Room, authority: Authority
) -> None:
    async def in_a_year(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 503 Later\r\nRetry-After: 31536000\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("127.0.0.1"))
    async with Rude().serve(in_a_year, context) as busy:
        await room.set(1, busy.url)
        await room.tell(1, "a")
        await room.until(lambda: room.posting.refused == 1)
        room.clock.advance(601.0)
        await room.until(lambda: room.posting.refused == 2)


async def test_a_resolver_that_is_dead_is_the_trouble_of_names_alone(
    room: Room, live: Endpoint, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        clock = ManualClock()
        client_of(room)._addresses = Resolver(clock, f"127.0.0.1:{silent.getsockname()[1]}", FOR_EVER_S)
        await room.set(LIVE, live.url)
        for number in range(1, 100):
            await room.set(number, f"https://hook{number}.example/")
            await room.tell(number, "a", "b", "c")
        await room.until(lambda: room.posting._slots.in_use >= 99)
        await room.tell(LIVE, "a")
        await room.until(lambda: len(live.taken) == 1)
