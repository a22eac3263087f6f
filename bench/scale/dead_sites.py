"""A hundred dead sites with mail for each, beside a live one: a third refuses connections, a third takes them
and says nothing, a third does not answer at all. All timeouts are those that the relay has by itself."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

from bench.content import RECEIVER
from bench.scale import stock
from bench.scale.scene import Peak, Scene, Sites
from tests.fakes.prepared import Port

_WORKERS = 2


def silence(stack: ExitStack | AsyncExitStack) -> int:
    """A port on all addresses of loopback that does not answer: the listener's queue is full, and the kernel
    drops what comes."""
    listener = socket.socket()
    listener.bind(("0.0.0.0", 0))
    listener.listen(0)
    stack.callback(listener.close)
    port = int(listener.getsockname()[1])
    for _ in range(3):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", port))
        stack.callback(client.close)
    return port


async def run(folder: Path, dead: int, backlog: int, fresh: int) -> dict[str, Any]:
    """``dead`` sites with ``backlog`` messages each, ``fresh`` for the live one."""
    figures: dict[str, Any] = {"dead_sites": dead, "backlog": dead * backlog, "fresh": fresh}
    async with AsyncExitStack() as stack:
        sites = await Sites.start(stack)
        held = Port()  # bound, and nobody listens: connections are refused
        stack.callback(held.free)
        muteness = await asyncio.start_server(_say_nothing, "0.0.0.0", 0, backlog=4096)
        stack.callback(muteness.close)
        ports = (held.number, muteness.sockets[0].getsockname()[1], silence(stack))
        routes = f'[[route]]\ndomain = "{RECEIVER}"\nnext_hop = "127.0.0.1:{sites.port}"\ntls = "none"\n'
        for number in range(dead):
            address = f"127.9.{number // 250}.{1 + number % 250}"
            routes += (
                f'[[route]]\ndomain = "d{number}.dead.example"\ntls = "none"\n'
                f'next_hop = "{address}:{ports[number % 3]}"\n'
            )

        def dead_address(number: int) -> str:
            return f"user{number}@d{number % dead}.dead.example"

        for name in ("alone", "beside"):
            async with AsyncExitStack() as of_one:
                scene = Scene(folder / name, sites, of_one, workers=_WORKERS, routes=routes)
                if name == "beside":
                    share = dead * backlog // _WORKERS
                    for shard in range(_WORKERS):
                        some = stock.messages(
                            shard + 1, share, dead_address, time.time(), (2048,), first=shard * share
                        )
                        stock.fill(scene.rig.spool, shard + 1, some)
                peak = Peak(scene.largest_worker_mb, of_one)
                scene.rig.start()
                await scene.rig.ready()
                await scene.rush(fresh // 4)
                figures[name] = await scene.rush(fresh)
                if name == "beside":
                    figures["peak_rss_mb"] = peak.most
                    figures["left"] = scene.rig.waiting()
                    readings = (await scene.rig.readings()).values()
                    figures["connections_failed"] = sum(one["connections_failed"] for one in readings)
                await scene.rig.stop()
                figures["tracebacks"] = scene.rig.traceback_count()
    figures["ratio"] = round(figures["beside"]["delivered_per_s"] / figures["alone"]["delivered_per_s"], 2)
    return figures


async def _say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await reader.read()
    finally:
        writer.close()


def is_good(figures: dict[str, Any]) -> dict[str, bool]:
    """The bars."""
    return {
        "the live site has nine tenths of its speed": figures["ratio"] >= 0.9,
        "nothing was lost": figures["left"] >= figures["backlog"],
        "memory is bounded": figures["peak_rss_mb"] < 300,
        "nothing went wrong": figures["tracebacks"] == 0,
    }
