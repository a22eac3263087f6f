"""Ten thousand sites at once, each with some mail that is due now."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from bench.scale import stock
from bench.scale.receiver import DOMAIN
from bench.scale.scene import Peak, Scene, Sites

_WORKERS = 2
_CONNECTIONS = 200  # of one worker, as the configuration says if nothing else is said


async def run(folder: Path, count: int, per_site: int) -> dict[str, Any]:
    """``count`` sites with ``per_site`` messages each."""
    figures: dict[str, Any] = {"sites": count, "messages": count * per_site}
    async with AsyncExitStack() as stack:
        sites = await Sites.start(stack)
        delivery = (
            f'resolver = "127.0.0.1:{sites.dns}"\nport = {sites.port}\nprivate_addresses = "allow"\n'
            f"connections = {_CONNECTIONS}"
        )
        scene = Scene(folder / "relay", sites, stack, workers=_WORKERS, routes="", delivery=delivery)
        share = count * per_site // _WORKERS

        def address(number: int) -> str:
            return f"user{number}@d{number * 7919 % count}.{DOMAIN}"

        for shard in range(_WORKERS):
            some = stock.messages(shard + 1, share, address, time.time(), (2048,), first=shard * share)
            stock.fill(scene.rig.spool, shard + 1, some)
        peak = Peak(scene.largest_worker_mb, stack)
        scene.rig.start()
        await scene.rig.ready()
        cpu_s, before = scene.cpu_s(), (await sites.say("count"))["received"]
        scrapes: list[float] = []
        while (state := await sites.say("count"))["received"] < share * _WORKERS:
            if len(scrapes) > 2000:
                raise TimeoutError(f"{state} of {share * _WORKERS}")
            scrapes.append(await scene.scrape())
            await asyncio.sleep(0.3)
        figures["delivered_per_s"] = round(state["received"] / (state["last_at"] - state["first_at"]))
        ours = state["received"] - before
        figures["cpu_s_per_1000"] = round(1000 * (scene.cpu_s() - cpu_s) / ours, 3) if ours else None
        figures["scrape_ms"] = max(scrapes, default=0.0)
        figures["scrape_median_ms"] = sorted(scrapes)[len(scrapes) // 2] if scrapes else 0.0
        figures["rest_scrape_ms"] = await scene.scrape()
        figures["most_connections"] = state["most_open"]
        figures["peak_rss_mb"] = peak.most
        figures["rest_rss_mb"] = scene.largest_worker_mb()
        figures["received"] = state["received"]
        await scene.rig.stop()
        figures["tracebacks"] = scene.rig.traceback_count()
    return figures


def is_good(figures: dict[str, Any]) -> dict[str, bool]:
    """The bars."""
    return {
        "all came, once": figures["received"] == figures["messages"],
        "connections are within their bound": figures["most_connections"] <= _WORKERS * _CONNECTIONS,
        "memory is bounded": figures["peak_rss_mb"] < 300,
        "a scrape is quick": figures["scrape_median_ms"] < 50,
        "nothing went wrong": figures["tracebacks"] == 0,
    }
