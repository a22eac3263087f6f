"""A one-time password behind a campaign: how long it takes from its 250 to its receiver.

The campaign is due and leaves at full speed, to the same site as the passwords. Measured at a receiver that
is as fast as it goes, and at one that stands five connections and answers each dot after 50 ms.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from typing import Any

from bench.content import RECEIVER
from bench.scale import stock
from bench.scale.scene import Scene, Sites, one_site

_WORKERS = 2
_BETWEEN_S = 0.3
_BY_S = 600


async def run(folder: Path, campaign: int, passwords: int, patience_s: float) -> dict[str, Any]:
    """``passwords`` of each account before each receiver, one after the other."""
    figures: dict[str, Any] = {"campaign": campaign, "passwords": passwords}
    for name, commands in (("fast", ()), ("slow", ("slow 50", "most 5"))):
        async with AsyncExitStack() as stack:
            sites = await Sites.start(stack)
            for command in commands:
                await sites.say(command)
            scene = Scene(folder / name, sites, stack, workers=_WORKERS)
            share = campaign // _WORKERS
            for shard in range(_WORKERS):
                some = stock.messages(shard + 1, share, one_site, time.time(), (2048,), first=shard * share)
                stock.fill(scene.rig.spool, shard + 1, some)
            scene.rig.start()
            await scene.rig.ready()
            await sites.wait_for(100, 60.0)
            cpu_s, before = scene.cpu_s(), (await sites.say("count"))["received"]
            for kind, by_s, is_other in (
                ("same account", _BY_S, False),
                ("other account", _BY_S, True),
                ("other account, no deadline", 0, True),
            ):
                took = await _send_each(scene, kind, by_s, is_other, passwords, patience_s)
                figures[f"{name}, {kind}"] = took
            state = await sites.say("count")
            figures[f"{name}, left"] = campaign + 3 * passwords - state["received"]
            figures[f"{name}, campaign_per_s"] = round(
                state["received"] / (state["last_at"] - state["first_at"])
            )
            ours = state["received"] - before
            figures[f"{name}, cpu_s_per_1000"] = round(1000 * (scene.cpu_s() - cpu_s) / max(1, ours), 3)
            figures["tracebacks"] = scene.rig.traceback_count()
    return figures


async def _send_each(
    scene: Scene, kind: str, by_s: int, is_other: bool, count: int, patience_s: float
) -> dict[str, float]:
    """Median and longest seconds from 250 to arrival; what has not come in time counts as the patience."""
    taken: dict[str, float] = {}
    for number in range(count):
        address = f"otp-{kind.replace(' ', '').replace(',', '')}-{number}@{RECEIVER}"
        taken[address] = await scene.send(address, by_s, is_other)
        await asyncio.sleep(_BETWEEN_S)
    arrived = scene.sites.arrived
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline and not taken.keys() <= arrived.keys():
        await asyncio.sleep(0.05)
    took = [max(0.0, arrived[one] - at) if one in arrived else patience_s for one, at in taken.items()]
    return {"median_s": round(median(took), 3), "longest_s": round(max(took), 3)}


def is_good(figures: dict[str, Any]) -> dict[str, bool]:
    """The bars."""
    return {
        **{
            f"{receiver}, {kind}: within 2 s": figures[f"{receiver}, {kind}"]["longest_s"] < 2.0
            for receiver in ("fast", "slow")
            for kind in ("same account", "other account")
        },
        "the campaign was still there": figures["fast, left"] > 0 and figures["slow, left"] > 0,
        "nothing went wrong": figures["tracebacks"] == 0,
    }
