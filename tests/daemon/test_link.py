"""The link, as dialogues between two ends of a socket pair."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from relay.base.errors import ConfigError
from relay.base.tasks import Tasks
from relay.daemon.link import Link, LinkError


async def answer(what: str, fields: dict[str, Any]) -> Any:
    if what == "echo":
        return fields
    if what == "refuse":
        raise ConfigError("[x] y: is wrong")
    if what == "wait":
        await asyncio.Event().wait()
    return {}[what]


@asynccontextmanager
async def linked(limit: int = 1 << 16) -> AsyncIterator[tuple[Link, asyncio.StreamWriter, Tasks]]:
    """A link, the bare other end, and the tasks that serve."""
    ours, theirs = socket.socketpair()
    link = Link(*await asyncio.open_connection(sock=ours, limit=limit), answer)
    reader, writer = await asyncio.open_connection(sock=theirs)
    tasks = Tasks("test")
    tasks.spawn(link.serve(), "serve")
    writer.reader = reader  # type: ignore[attr-defined]
    try:
        yield link, writer, tasks
    finally:
        writer.close()
        await tasks.end()


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[Link, Link]]:
    ours, theirs = socket.socketpair()
    one = Link(*await asyncio.open_connection(sock=ours), answer)
    two = Link(*await asyncio.open_connection(sock=theirs), answer)
    tasks = Tasks("test")
    for link in (one, two):
        tasks.spawn(link.serve(), "serve")
    yield one, two
    await tasks.end()


async def test_both_ends_ask_and_answer_at_once() -> None:
    async with pair() as (one, two):
        got = await asyncio.gather(
            *[link.ask("echo", n=n, text="größe\n") for n in range(5) for link in (one, two)]
        )
        assert got == [{"n": n, "text": "größe\n"} for n in range(5) for _ in "12"]


async def test_a_refusal_is_told_and_a_bug_of_the_other_side_too(caplog: pytest.LogCaptureFixture) -> None:
    async with pair() as (one, _):
        with pytest.raises(LinkError, match=r"^\[x\] y: is wrong$"):
            await one.ask("refuse")
        with pytest.raises(LinkError, match="KeyError: 'unknown'"):
            await one.ask("unknown")
        assert await one.ask("echo") == {}
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR] == ["request failed"]


async def test_the_end_of_one_side_is_heard_by_who_waits() -> None:
    async with linked() as (link, other, _):
        question = asyncio.gather(link.ask("echo"), return_exceptions=True)
        await asyncio.sleep(0)
        other.close()
        (found,) = await question
        assert isinstance(found, LinkError)
        assert str(found) == "the other process is gone"
        assert not link.is_open
        with pytest.raises(LinkError, match="gone"):
            await link.ask("echo")


async def test_an_answer_that_comes_too_late_is_dropped() -> None:
    async with linked() as (link, other, _):
        with pytest.raises(LinkError, match="no answer to 'echo' within 0 s"):
            await link.ask("echo", 0)
        other.write(b'{"n":1,"ok":"late"}\n{"n":7,"do":"echo","with":{"still":"there"}}\n')
        reader: asyncio.StreamReader = other.reader  # type: ignore[attr-defined]
        assert json.loads(await reader.readline())["do"] == "echo"
        assert json.loads(await reader.readline()) == {"n": 7, "ok": {"still": "there"}}


@pytest.mark.parametrize(
    "line", [b"nonsense\n", b"[]\n", b'{"x":1}\n', b"7\n", b'{"n":1}' + b" " * 99999 + b"\n"]
)
async def test_nonsense_ends_the_link(line: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with linked() as (link, other, _):
        other.write(line)
        reader: asyncio.StreamReader = other.reader  # type: ignore[attr-defined]
        assert await reader.read() == b""
        assert not link.is_open
    assert [r.getMessage() for r in caplog.records] == ["link closed: no request and no answer"]


async def test_an_asker_that_leaves_ends_what_it_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    async with linked() as (link, other, tasks):
        other.write(b'{"n":1,"do":"wait"}\n')
        await asyncio.sleep(0.01)
        other.close()
        while len(tasks):
            await asyncio.sleep(0)
        assert not link.is_open
    assert caplog.records == []
