"""The scrape and the health over HTTP."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator

import pytest

from relay.admin.health import Health
from relay.base.tasks import Tasks
from relay.daemon.sockets import bind, listen
from relay.daemon.supervisor.http import HttpServer, operator_app


class Relay:
    health = Health("ok", ())

    def metrics(self, accept: str) -> tuple[bytes, str]:
        return b"relay_info 1\n", accept or "text/plain; version=0.0.4; charset=utf-8"

    def judge(self) -> Health:
        return self.health


@pytest.fixture
async def serving() -> AsyncIterator[tuple[Relay, tuple[str, int]]]:
    relay, tasks = Relay(), Tasks("test")
    (sock,) = bind(("127.0.0.1", 0), 1, "x")
    listen([sock])
    server = HttpServer(operator_app(relay.metrics, relay.judge))
    task = tasks.spawn(server.serve(sock), "http")
    yield relay, sock.getsockname()
    server.end()
    await task
    assert sock.fileno() == -1


async def get(
    address: tuple[str, int], path: str, method: str = "GET", accept: str = ""
) -> tuple[int, str, str]:
    """Status, content type and body."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nConnection: close\r\n\r\n".encode()
    )
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition("\r\n\r\n")
    kind = next((line[14:] for line in head.split("\r\n") if line.lower().startswith("content-type: ")), "")
    return int(head.split()[1]), kind, body


async def test_what_is_served(serving: tuple[Relay, tuple[str, int]]) -> None:
    relay, address = serving
    assert await get(address, "/metrics") == (
        200,
        "text/plain; version=0.0.4; charset=utf-8",
        "relay_info 1\n",
    )
    assert (await get(address, "/metrics", accept="application/x-y"))[1] == "application/x-y"
    status, kind, body = await get(address, "/healthz")
    assert (status, kind, json.loads(body)) == (200, "application/json", {"status": "ok", "reasons": []})
    relay.health = Health("failing", ("worker 0 is not ready",))
    status, _, body = await get(address, "/healthz")
    assert (status, json.loads(body)["reasons"]) == (503, ["worker 0 is not ready"])
    assert (await get(address, "/"))[0] == 404
    assert (await get(address, "/metrics", "POST"))[0] == 405


async def test_signals_are_left_to_the_supervisor(serving: tuple[Relay, tuple[str, int]]) -> None:
    await get(serving[1], "/healthz")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
