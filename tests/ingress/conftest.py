"""A real server on loopback: uvloop, TLS with a certificate made for the run, an intake that records."""

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import uvloop

from relay.base.budget import Budget
from relay.base.clock import SystemClock
from relay.ingress.auth import Throttle
from relay.ingress.connections import LocalTally
from relay.ingress.counters import Counters
from relay.ingress.listeners import Listener
from relay.ingress.settings import ListenerSettings
from relay.ingress.surroundings import Surroundings
from relay.ingress.tls import Certificate
from tests.fakes.certificate import make_pair

from .fakes import KEY_ID, PASSWORD, Accounts, RecordingIntake

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


def pytest_asyncio_loop_factories(config, item):
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def pair_files(tmp_path_factory):
    return make_pair(tmp_path_factory.mktemp("tls"), "relay.test")


def trusting(chain: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(chain))
    context.check_hostname = False
    return context


class Wire:
    """The client's end: says bytes, hears replies."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    def say(self, octets: bytes) -> None:
        self.writer.write(octets)

    async def hear(self) -> str:
        """One reply, its lines joined with newlines."""
        lines = []
        while True:
            line = await asyncio.wait_for(self.reader.readline(), 10)
            if not line:
                raise EOFError(f"closed after {lines}")
            lines.append(line.decode().rstrip("\r\n"))
            if line[3:4] != b"-":
                return "\n".join(lines)

    async def ask(self, line: str) -> str:
        self.say(line.encode() + b"\r\n")
        return await self.hear()

    async def closes(self) -> bytes:
        """What still comes until the server closes."""
        return await asyncio.wait_for(self.reader.read(), 10)

    async def start_tls(self, context: ssl.SSLContext) -> None:
        await self.writer.start_tls(context, server_hostname="relay.test")

    async def log_in(self) -> None:
        from base64 import b64encode

        word = b64encode(f"\0{KEY_ID}\0{PASSWORD}".encode()).decode()
        assert (await self.ask(f"AUTH PLAIN {word}")).startswith("235 ")


class Server:
    """One listener with its surroundings, and the intake that records what it is handed."""

    def __init__(self, stack, chain, key, around=None, **settings):
        settings = {"hostname": "relay.test", "command_timeout_s": 20.0, "data_timeout_s": 20.0} | settings
        if settings.get("auth") == "none":
            settings = {"trusted_networks": LOOPBACK, "account_id": 7} | settings
        self._stack = stack
        self.chain = chain
        self.settings = ListenerSettings(**settings)
        self.intake = RecordingIntake()
        self.accounts = Accounts()
        self.counters = Counters()
        parts = {
            "intake": self.intake,
            "accounts": self.accounts,
            "tally": LocalTally(),
            "throttle": Throttle(delay_s=0.001),
            "budget": Budget(64_000_000),
            "counters": self.counters,
            "clock": SystemClock(),
            "certificate": Certificate(chain, key),
        }
        self.around = Surroundings(**(parts | (around or {})))
        self.port = 0

    async def start(self, drain_s: float = 5.0):
        sock = socket.create_server(("127.0.0.1", 0))
        self.port = sock.getsockname()[1]
        await self.around.tasks.start(self._stack)
        self.listener = Listener(self.settings, self.around, [sock], drain_s)
        await self.listener.start(self._stack)
        return self

    async def connect(self, is_tls: bool = False, is_greeted: bool = True) -> Wire:
        context = trusting(self.chain) if is_tls else None
        name = "relay.test" if is_tls else None
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=context, server_hostname=name
        )
        self._stack.push_async_callback(_hang_up, writer)
        wire = Wire(reader, writer)
        if is_greeted:
            assert (await wire.hear()).startswith("220 ")
        return wire

    async def client(self) -> Wire:
        """A client that has said EHLO."""
        wire = await self.connect()
        assert (await wire.ask("EHLO client.test")).startswith("250-")
        return wire


async def _hang_up(writer) -> None:
    writer.close()
    with contextlib.suppress(OSError, ssl.SSLError):
        await writer.wait_closed()


@pytest.fixture
async def serve(pair_files):
    """Starts servers: ``await serve(auth="none", tls="none", ...)``."""
    async with AsyncExitStack() as stack:

        async def start(around=None, drain_s=5.0, **settings):
            return await Server(stack, *pair_files, around=around, **settings).start(drain_s)

        yield start


@pytest.fixture
async def open_server(serve):
    """A listener for trusted networks, without TLS and AUTH."""
    return await serve(auth="none", tls="none")
