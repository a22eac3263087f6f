"""What a site allows, it allows the relay and not each of its workers: connections, over two processes."""

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path

from tests.fakes.prepared import message, wait_until
from tests.fakes.sink import Answer, Received
from tests.scenarios.conftest import StartRelay
from tests.scenarios.load import Load
from tests.scenarios.receiver import Receiver

SLACK = 2  # messages that a busy machine moves together on their way


class Counting(Receiver):
    """Knows the most connections that there were at once. With ``together`` above 0 it answers a dot only
    while so many wait for the answer, or there are no more to come."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 0
        self.together = 0
        self.at_once = 0
        self.times: list[float] = []  # when each message came
        self._waiting: list[asyncio.Future[None]] = []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.most = max(self.most, self.live + 1)
        await super()._serve(reader, writer)

    async def at_dot(self, message: Received) -> Answer:
        self.times.append(asyncio.get_running_loop().time())
        if self.together:
            self._waiting.append(asyncio.get_running_loop().create_future())
            self.at_once = max(self.at_once, len(self._waiting))
            if len(self._waiting) >= self.together:
                self.let_go()
            else:
                await self._waiting[-1]
        return await super().at_dot(message)

    def let_go(self) -> None:
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if not one.done():
                one.set_result(None)

    def open_gates(self) -> None:
        """All are answered at once from now on."""
        self.together = 0
        self._thread._loop.call_soon_threadsafe(self.let_go)

    def shards(self) -> Counter[str]:
        """How many came from which shard, that is, from which worker."""
        found = [str(one.parsed["message-id"]) for one in list(self.received)]
        return Counter(one.strip("<>").partition("@")[0][-6:] for one in found)


def test_one_connection_is_one_for_all_workers_and_outlives_one_of_them(start_relay: StartRelay) -> None:
    with Counting() as receiver:
        relay = start_relay(next_hop=receiver.port, delivery="connections_per_site = 1")
        with Load(relay, per_session=5) as load:
            load.wait_for(40)
            wait_until(lambda: len(receiver.shards()) == 2, "both workers deliver", 60)
            assert receiver.most == 1
            os.kill(relay.worker_pids()[0], signal.SIGKILL)
            since = len(receiver.received)
            wait_until(lambda: len(receiver.received) > since + 20, "mail goes on", 60)
        wait_until(relay.is_ready, "it is back")
        load.check(receiver, allowed_twice=20)
        assert receiver.most <= 2  # the end of a killed process is seen a moment later


def test_five_are_used_by_both_workers_together_and_never_more(start_relay: StartRelay) -> None:
    with Counting() as receiver:
        receiver.together = 5
        relay = start_relay(next_hop=receiver.port, delivery="connections_per_site = 5")
        with Load(relay, clients=8, per_session=5) as load:
            wait_until(
                lambda: len(receiver.received) >= 50 and len(receiver.shards()) == 2, "both deliver", 60
            )
        receiver.open_gates()
        load.check(receiver)
        assert (receiver.at_once, receiver.most) == (5, 5)


RATE_PER_S = 20
RULE = f"""
[[rule]]
name = "slow"
next_hop = ["127.0.0.1"]
rate = "{RATE_PER_S}/s"
"""


def test_a_rate_is_that_of_both_workers_together(start_relay: StartRelay, tmp_path: Path) -> None:
    (tmp_path / "shaping.toml").write_text(RULE)
    with Counting() as receiver:
        relay = start_relay(next_hop=receiver.port, delivery=f'shaping = "{tmp_path}/shaping.toml"')
        subjects = {f"paced {number}" for number in range(3 * RATE_PER_S)}
        for subject in subjects:  # a session each: the kernel gives them to both workers
            relay.send(message(subject))
        wait_until(lambda: set(receiver.subjects()) == subjects, "all arrive")
        assert len(receiver.shards()) == 2
    times = receiver.times
    for i, since in enumerate(times):
        for j in range(i, len(times)):  # what was late by up to a second may come with what is due
            assert j - i + 1 <= RATE_PER_S * (times[j] - since + 1.0) + 1 + SLACK
