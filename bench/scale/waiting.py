"""A million recipients who are due in ten hours: what they cost a worker that has other things to do."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from statistics import median
from typing import Any

from bench.content import RECEIVER
from bench.scale import stock
from bench.scale.scene import Peak, Scene, Sites
from relay.spool.reader import Reader
from relay.spool.recover import shard_folder
from tests.crash.rig import until

_DOMAINS = 50_000
_WINDOW = 10_000


def _address(number: int) -> str:
    return f"user{number}@domain{number * 7919 % _DOMAINS}.example"


async def run(folder: Path, count: int, fresh: int, rest_s: float) -> dict[str, Any]:
    """All of it, with one worker; ``fresh`` messages are delivered with and without the others beside."""
    figures: dict[str, Any] = {"waiting": count, "fresh": fresh}
    async with AsyncExitStack() as stack:
        sites = await Sites.start(stack)
        async with AsyncExitStack() as alone:
            scene = Scene(folder / "alone", sites, alone, workers=1)
            scene.rig.start()
            await scene.rig.ready()
            await scene.rush(fresh // 4)
            figures["alone"] = await scene.rush(fresh)
            figures["alone_rss_mb"] = scene.largest_worker_mb()
            await scene.rig.stop()

        spool = folder / "relay" / "spool"
        figures["poll_ms"], written = {}, 0
        figures["fill_s"] = 0.0
        for share in (100, 10, 1):
            some = stock.messages(1, count // share - written, _address, time.time() + 36_000, first=written)
            figures["fill_s"] += stock.fill(spool, 1, some)
            written = count // share
            figures["poll_ms"][str(written)] = await _poll_ms(spool)
        figures["fill_s"] = round(figures["fill_s"], 1)

        scene = Scene(folder / "relay", sites, stack, workers=1)
        peak = Peak(scene.largest_worker_mb, stack)
        began = time.monotonic()
        scene.rig.start()
        address = f"otp-first@{RECEIVER}"
        await _send_soon(scene, address)
        figures["start_to_first_delivery_s"] = round(await sites.wait_for_password(address, 60) - began, 2)
        await scene.rig.ready()
        figures["start_rss_mb"] = peak.most
        await asyncio.sleep(min(2.0, rest_s))
        cpu_s, at = scene.cpu_s(), time.monotonic()
        await asyncio.sleep(rest_s)
        per_s = (scene.cpu_s() - cpu_s) / (time.monotonic() - at)
        figures["idle_cpu_s_per_minute"] = round(60 * per_s, 2)
        figures["rest_rss_mb"] = scene.largest_worker_mb()
        await scene.rush(fresh // 4)
        figures["beside"] = await scene.rush(fresh)
        figures["peak_rss_mb"] = peak.most
        figures["waiting_at_the_end"] = scene.rig.waiting()
        await scene.rig.stop()
        figures["tracebacks"] = scene.rig.traceback_count()
    figures["ratio"] = round(figures["beside"]["delivered_per_s"] / figures["alone"]["delivered_per_s"], 2)
    return figures


async def _poll_ms(spool: Path) -> float:
    """One look for what is due, as the loader looks each second."""
    reader = Reader(shard_folder(spool, 1), 1, lambda: 0)
    try:
        took = []
        for _ in range(20):
            began = time.perf_counter()
            if await reader.due(time.time(), _WINDOW, set(), 0.0) or await reader.parked_groups():
                raise RuntimeError("nothing should be due")
            took.append(1000 * (time.perf_counter() - began))
    finally:
        reader.close()
    return round(median(took), 3)


async def _send_soon(scene: Scene, address: str) -> None:
    """As soon as the relay takes mail."""
    taken: list[float] = []

    async def try_forever() -> None:
        while not taken:
            with suppress(OSError):
                taken.append(await scene.send(address))
            await asyncio.sleep(0.02)

    task = asyncio.get_running_loop().create_task(try_forever())
    try:
        await until(lambda: taken, 120.0, "the relay takes mail")
    finally:
        task.cancel()


def is_good(figures: dict[str, Any]) -> dict[str, bool]:
    """The bars."""
    polls = list(figures["poll_ms"].values())
    return {
        "memory is flat": figures["peak_rss_mb"] < 300,
        "a look costs the same": max(polls) < max(10 * min(polls), 5.0),
        "the first delivery comes soon": figures["start_to_first_delivery_s"] < 5,
        "no one was lost": figures["waiting_at_the_end"] == figures["waiting"],
        "nothing went wrong": figures["tracebacks"] == 0,
    }
