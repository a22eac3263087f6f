"""The proof: a relay under load is killed again and again, and then the ledgers are compared.

Per round the relay is brought up, works for a random moment, and is killed in one of four ways: one worker;
everything at once; SIGTERM and, while it drains, everything; the supervisor alone. Before that an operator
holds, releases, reroutes or flushes (``operator``); a second receiver, with narrow limits, goes down and
comes back; mail for a third, which is never there, is given up when its time has passed. At the end the relay
starts cleanly with well-behaved sinks, all is released, and the queue runs empty. Then must hold:

- every recipient of a message whose 250 a client saw is in the sinks' ledger, or in one of the reports that
  the sender got (lost: none), and only those are reported whose time had passed;
- a recipient that is there more than once, or delivered and reported, is one that the relay lists as
  uncertain;
- every message the sink took was whole, and no client waited in vain for an answer.

All the time a topic's address, which fares no better than the receivers, hears of every Send, Delivery and
Bounce, and the notifier is killed at moments of its own. Since it starts after the workers, some rounds last
until the topic has heard of something, and then all dies while more is told. What must hold is in ``told``.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from contextlib import AsyncExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from relay.daemon.notifier.outbox import look
from tests.crash import ledger, mail, told
from tests.crash.operator import Operator
from tests.crash.rig import ACCOUNT, Rig, SinkProcess, until
from tests.crash.source import Source
from tests.crash.told import Hearing
from tests.fakes.authority import Authority
from tests.fakes.prepared import Port

WAYS = ("one worker", "everything", "while it drains", "the supervisor")
NARROW_PER_S = 40
NOTIFIER_DIES, TOPIC_CHANGES = 0.3, 0.4  # in a round
IS_TOLD_EACH, IS_TOLD_S = 3, 60.0  # of so many rounds one is told of mail, for which it waits so long at most


@dataclass(slots=True)
class Result:
    """What the ledgers say, in recipients; ``accepted`` and ``unknown`` in messages."""

    rounds: int = 0
    accepted: int = 0
    unknown: int = 0
    recipients: int = 0
    arrived: int = 0
    lost: int = 0
    given_up: int = 0  # reported to the sender
    given_up_too_soon: int = 0  # with no time that could have passed
    duplicates: int = 0
    duplicates_listed: int = 0
    uncertain_listed: int = 0
    faults: int = 0
    silences: int = 0
    tracebacks: int = 0
    seconds: float = 0.0
    start_s: float = 0.0  # mean, from the exec to all workers ready
    drain_s: float = 0.0  # of the queue at the end
    tell_s: float = 0.0  # until all was told, after that
    hearing: Hearing = field(default_factory=Hearing)
    operations: dict[str, int] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)
    lost_sample: list[str] = field(default_factory=list)
    unlisted_sample: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """The promise held."""
        broken = self.lost or self.given_up_too_soon or self.faults or self.tracebacks or self.silences
        is_kept = bool(self.accepted) and not broken and self.duplicates == self.duplicates_listed
        return is_kept and self.hearing.is_good


def compare(accepted: Path, arrived: Path, uncertain: set[str], result: Result) -> None:
    """Fill in what the ledgers say."""
    promised = ledger.count(accepted)
    received = ledger.count(arrived)
    reported = ledger.count(arrived.with_suffix(".bounced"))
    lost = [address for address in promised if address not in received and address not in reported]
    twice = [address for address, times in received.items() if times > 1 or address in reported]
    if mail.SENDER not in uncertain:  # else a report itself may have come twice
        twice += [address for address, times in reported.items() if times > 1]
    result.given_up = len(reported)
    result.given_up_too_soon = sum(not address.endswith(f"@{mail.GONE}") for address in reported)
    unlisted = [address for address in twice if address not in uncertain]
    result.recipients, result.arrived = len(promised), len(received)
    result.lost, result.lost_sample = len(lost), lost[:10]
    result.duplicates, result.duplicates_listed = len(twice), len(twice) - len(unlisted)
    result.uncertain_listed, result.unlisted_sample = len(uncertain), unlisted[:10]


async def _kill(rig: Rig, way: str, chance: random.Random) -> None:
    """Kill in the given way; afterwards the relay has to be started again, unless one worker was killed."""
    workers = rig.worker_pids()
    if way == "one worker":
        victim = chance.choice(workers)
        rig.kill([victim])
        await until(lambda: victim not in rig.worker_pids(), 10.0, "the worker is dead")
        return
    if way == "while it drains":
        rig.kill([rig.pid], signal.SIGTERM)
        await asyncio.sleep(chance.uniform(0.0, 0.3))
    victims = [rig.pid] if way == "the supervisor" else [rig.pid, *workers]
    chance.shuffle(victims)
    rig.kill(victims)
    await rig.gone()  # workers without their supervisor end by themselves


def is_all_told(rig: Rig) -> bool:
    """Nothing waits for the topic or to be counted."""
    return told.is_all_taken(rig.spool) and not any(one.pending for one in look(rig.spool).values())


def _routes(sink: int, narrow: int, nobody: int) -> str:
    return "".join(
        f'[[route]]\ndomain = "{domain}"\nnext_hop = "127.0.0.1:{port}"\ntls = "none"\n'
        for domain, port in (("*", sink), (mail.NARROW, narrow), (mail.GONE, nobody))
    )


def _shaping(narrow: int) -> str:
    return f"""
[[rule]]
name = "narrow"
next_hop = ["127.0.0.1:{narrow}"]
connections = 2
messages_per_connection = 20
rate = "{NARROW_PER_S}/s"
"""


class Topic:
    """The address of a topic that hears of all mail; ``comes_or_goes`` is its outage, and the end of that."""

    def __init__(self, folder: Path, seed: int, stack: AsyncExitStack) -> None:
        self.ledger = folder / "told"
        self._stack = stack
        authority = Authority(folder)
        self._port = Port()
        stack.callback(self._port.free)
        chain, key = (str(file) for file in authority.issue("127.0.0.1"))
        port = str(self._port.number)
        self._words = ("--seed", str(seed), "--port", port, "--chain", chain, "--key", key)
        self._process: SinkProcess | None = None
        self.url = f"https://127.0.0.1:{port}/hook"
        self.section = (
            f'[notifications]\ntimeout = "1s"\nprivate_addresses = "allow"\nca_file = "{authority.file}"\n'
        )

    def is_told_by(self, rig: Rig) -> None:
        """Of what becomes of all mail."""
        with closing(rig.directory()) as directory:
            directory.topics.create(ACCOUNT, "hook", self.url)
            directory.notifications.set(mail.SENDING_DOMAIN, topics=dict.fromkeys(told.KINDS, "hook"))

    async def comes_or_goes(self) -> None:
        """It is there again, and wild, or there no more."""
        if self._process is None:
            await self._start("wild")
        else:
            await self._process.end()
            self._process = None

    async def hears(self, chance: random.Random) -> None:
        """It is there, and has just heard of something; or has not, in all this time."""
        if self._process is None:
            await self._start("wild")
        heard = len(told.taken(self.ledger))
        with suppress(TimeoutError):
            await until(lambda: len(told.taken(self.ledger)) > heard, IS_TOLD_S, "the topic hears")
            await asyncio.sleep(chance.uniform(0.0, 0.5))

    async def comes_back(self) -> None:
        """It is there, and calm."""
        if self._process is None:
            await self._start("calm")
        else:
            self._process.behave("calm")

    async def _start(self, mood: str) -> None:
        self._process = await SinkProcess.start(
            self.ledger, self._stack, *self._words, module="tests.crash.hook"
        )
        self._process.behave(mood)


async def run(folder: Path, rounds: int, seed: int, connections: int = 8) -> Result:
    """All rounds, and the comparison."""
    chance = random.Random(seed)
    result = Result()
    began = time.monotonic()
    starts = []
    accepted, arrived = folder / "accepted", folder / "arrived"
    async with AsyncExitStack() as stack:
        sink = await SinkProcess.start(arrived, stack, "--seed", str(seed))
        narrow, nobody = Port(), Port()
        stack.callback(narrow.free)
        stack.callback(nobody.free)
        narrow_words = ("--seed", str(seed + 1), "--port", str(narrow.number))
        second: SinkProcess | None = await SinkProcess.start(arrived, stack, *narrow_words)
        routes = _routes(sink.port, narrow.number, nobody.number)
        topic = Topic(folder, seed + 2, stack)
        rig = stack.enter_context(Rig(folder / "relay", sink.port, routes=routes, sections=topic.section))
        topic.is_told_by(rig)
        await topic.comes_or_goes()
        (rig.folder / "shaping.toml").write_text(_shaping(narrow.number))
        operator = Operator(rig, chance, sink.port)
        book = ledger.Ledger(accepted)
        stack.callback(book.close)
        sink.behave("wild")
        source = await stack.enter_async_context(Source(rig.port, book, connections, mail.make_shaped))
        for number in range(rounds):
            started = time.monotonic()
            is_new = not rig.is_running
            if is_new:
                rig.start()
            await rig.ready()
            if is_new:
                starts.append(time.monotonic() - started)
            await asyncio.sleep(chance.uniform(0.05, 0.8))
            await operator.does_something()
            if number % IS_TOLD_EACH == 1:
                await topic.hears(chance)
            if chance.random() < NOTIFIER_DIES:
                rig.kill(rig.notifier_pids())
            if chance.random() < TOPIC_CHANGES:
                await topic.comes_or_goes()
            if second is not None:
                await second.end()
                second = None
            else:
                second = await SinkProcess.start(arrived, stack, *narrow_words)
                second.behave("wild")
            await _kill(rig, WAYS[number % len(WAYS)], chance)
            result.rounds += 1
        if not rig.is_running:
            rig.start()
        await rig.ready()
        await source.stop()
        sink.behave("calm")
        if second is None:
            second = await SinkProcess.start(arrived, stack, *narrow_words)
        second.behave("calm")
        if await rig.stop() != 0:
            raise RuntimeError(f"the relay did not end well: {rig.log}")
        result.hearing.told_meanwhile = len(told.taken(topic.ledger))
        await topic.comes_back()
        draining = time.monotonic()
        rig.start()
        await rig.ready()
        await operator.lets_all_go()
        await until(rig.is_empty, 300.0, "the queue is empty")
        result.drain_s = round(time.monotonic() - draining, 2)
        telling = time.monotonic()
        await until(lambda: is_all_told(rig), 300.0, "everything is told")
        result.tell_s = round(time.monotonic() - telling, 2)
        await rig.stop()
        with closing(rig.directory()) as directory:
            told.compare(rig.spool, topic.ledger, directory.accounts.show(ACCOUNT).id, result.hearing)
        compare(accepted, arrived, rig.uncertain(), result)
        result.accepted, result.unknown = source.accepted, source.unknown
        result.silences, result.refusals = source.silences, dict(source.replies.most_common(10))
        result.faults, result.tracebacks = len(sink.faults), rig.traceback_count()
        result.operations = dict(operator.done)
    result.start_s = round(sum(starts) / max(1, len(starts)), 2)
    result.seconds = round(time.monotonic() - began, 1)
    return result
