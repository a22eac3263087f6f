"""A soak from its start to its figures: the plan carried out, the drain, the ledgers compared.

The relay must be empty and have told everything within a bound at the end. What is raised (a relay that does
not start or end well) leaves the folder for a person to look at.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.figures import percentiles
from bench.soak import promise, report, room
from bench.soak.abuse import Abuse
from bench.soak.chores import Chores
from bench.soak.clients import Clients, Pace
from bench.soak.deaths import Deaths
from bench.soak.late import Late
from bench.soak.mails import SENDERS, make
from bench.soak.plan import SHORT_S, Step, plan
from bench.soak.scene import Scene
from bench.soak.watch import Watch
from tests.crash import ledger, told
from tests.crash.rig import ACCOUNT, Rig, until
from tests.crash.rounds import is_all_told
from tests.crash.told import Hearing

_DRAIN_S = 900.0  # the notifier gives way to all else that runs on the machine
_IDLE_S = 6.0  # the pool has closed what nobody used by then
_ROOM_EACH_S = 30.0


class Soak:
    """One run."""

    def __init__(self, folder: Path, seconds: float, rate: float, workers: int, seed: int) -> None:
        self._folder, self._seconds, self._rate = folder, seconds, rate
        self._workers, self._seed = workers, seed
        self._most_room: dict[str, float] = {}
        self._undone: list[str] = []  # what should have become true at the end

    async def run(self, say: Callable[[str], None]) -> dict[str, Any]:
        """All of it; the figures."""
        began = time.monotonic()
        every_s = 5.0 if self._seconds >= SHORT_S else 0.5
        async with AsyncExitStack() as stack:
            scene = Scene(self._folder, stack, self._seed)
            await scene.start(self._workers, self._rate)
            rig, book = scene.rig, ledger.Ledger(scene.accepted)
            stack.callback(book.close)
            watch = Watch(lambda: (rig.pid, rig.worker_pids()), every_s)
            deaths = Deaths(rig, watch)
            await deaths.start()
            stack.callback(watch.write, self._folder / "samples.csv")
            await stack.enter_async_context(watch)
            pace = Pace(self._rate)
            clients = Clients(scene.ways, pace, make, book, scene.tls, self._seed)
            chores = Chores(scene, clients, book)
            late = await stack.enter_async_context(Late(scene.arrived.with_suffix(".later"), scene.inbound))
            ports = (rig.port, scene.starttls, scene.wrapper)
            abuse = Abuse(ports, scene.tls, self._seed, 4, 0.5)
            async with clients, abuse:
                await self._live(scene, chores, deaths, say)
                await clients.stop()
            watch.is_kept = False
            say(f"{clients.accepted} accepted; draining")
            drain_s = await self._drain(scene, chores, late)
            await asyncio.sleep(_IDLE_S if self._seconds >= SHORT_S else 0.0)
            quiet = watch.sample()
            self._measure(rig)
            room_at_end = room.measure(rig.folder)
            await deaths.stop()
            await watch.__aexit__()
            say("comparing the ledgers")
            return {
                **self._judged(scene),
                "seconds": round(time.monotonic() - began, 1),
                "rate": self._rate,
                "accepted": clients.accepted,
                "unknown": clients.unknown,
                "silences": clients.silences,
                "accept_ms": {k: round(v * 1000, 1) for k, v in percentiles(clients.took).items()},
                "sessions": dict(clients.sessions),
                "replies": dict(clients.replies.most_common(12)),
                "abuse": dict(abuse.done),
                "abuse_wrong": abuse.wrong[:10],
                "bounces_brought": late.brought,
                "deaths": dict(deaths.done),
                "chores": dict(chores.done),
                "chores_refused": dict(chores.refused),
                "commands_wrong": chores.wrong[:10],
                "start_s": [round(one, 1) for one in deaths.starts],
                "stop_s": [round(one, 1) for one in deaths.stops],
                "drain_s": drain_s,
                "undone": self._undone,
                "quiet": {role: asdict(one) for role, one in quiet.items()},
                "room_mb_most": self._most_room,
                "room_mb_end": room_at_end,
                "left_over": room.left_over(rig.folder)[:10],
                "lives": report.judge_all(watch.lives.values()),
            }

    async def _live(self, scene: Scene, chores: Chores, deaths: Deaths, say: Callable[[str], None]) -> None:
        """Carry out the plan."""
        began = measured = time.monotonic()
        for step in plan(self._seconds, self._seed, chores.names):
            await asyncio.sleep(max(0.0, began + step.at_s - time.monotonic()))
            if step.what not in ("mood", "chore", "topic", "narrow"):
                say(f"{time.monotonic() - began:6.0f} s: {step.what}")
            await self._take(step, scene, chores, deaths)
            if time.monotonic() - measured > _ROOM_EACH_S:
                measured = time.monotonic()
                self._measure(scene.rig)
        await asyncio.sleep(max(0.0, began + self._seconds - time.monotonic()))

    async def _take(self, step: Step, scene: Scene, chores: Chores, deaths: Deaths) -> None:
        match step.what:
            case "mood":
                scene.moody.behave(step.how)
            case "narrow":
                await scene.narrow_comes_or_goes()
            case "topic":
                await scene.topic.comes_or_goes()
            case "chore":
                await chores.do(step.how)
            case _:
                await deaths.happen(step.what)

    def _measure(self, rig: Rig) -> None:
        self._most_room = room.most(self._most_room, room.measure(rig.folder))

    async def _drain(self, scene: Scene, chores: Chores, late: Late) -> dict[str, float]:
        """Until nothing waits anywhere; how long each part of that took."""
        rig, took = scene.rig, {}
        await scene.calm()
        await rig.ready()
        await chores.lets_all_go()
        for what, condition in (
            ("the queue is empty", rig.is_empty),
            ("late bounces are brought", lambda: late.is_done),
            ("what was passed on has left", rig.is_empty),
            ("everything is told", lambda: is_all_told(rig)),
        ):
            began = time.monotonic()
            try:
                await until(condition, _DRAIN_S + self._seconds / 2, what)
            except TimeoutError:
                self._undone.append(what)
                break
            took[what] = round(time.monotonic() - began, 1)
        return took

    def _judged(self, scene: Scene) -> dict[str, Any]:
        """What the ledgers say, of a relay that has ended."""
        rig, hearing = scene.rig, Hearing()
        with closing(rig.directory()) as directory:
            told.compare(rig.spool, scene.topic.ledger, directory.accounts.show(ACCOUNT).id, hearing)
        promises = promise.compare(
            ledger.count(scene.accepted),
            ledger.count(scene.arrived),
            ledger.count(scene.arrived.with_suffix(".bounced")),
            rig.uncertain(),
            [one.address for one in SENDERS],
        )
        return {
            "promises": promises.figures(),
            "promises_kept": promises.is_kept,
            "hearing": asdict(hearing),
            "hearing_good": hearing.is_good,
            "bounces": _bounces(rig),
            "faults": scene.main.faults[:10],
            "tracebacks": rig.traceback_count(),
        }


def _bounces(rig: Rig) -> dict[str, int]:
    """The bounces of the event log by type, e.g. those that were suppressed."""
    found: Counter[str] = Counter()
    for folder in rig.shards():
        with closing(sqlite3.connect(f"file:{folder / 'spool.db'}?mode=ro", uri=True)) as connection:
            for kind, times in connection.execute(
                "SELECT json_extract(detail, '$.bounceType') || '/' ||"
                " json_extract(detail, '$.bounceSubType'), count(*) FROM event"
                " WHERE kind = 'Bounce' GROUP BY 1"
            ):
                found[str(kind)] += times
    return dict(found)
