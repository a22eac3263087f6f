"""What a site allows, it allows the relay and not each of its workers: connections, over two processes."""

import asyncio
import os
import signal
from collections import Counter

from tests.fakes.prepared import wait_until
from tests.fakes.sink import Answer, Received
from tests.scenarios.conftest import StartRelay
from tests.scenarios.load import Load
from tests.scenarios.receiver import Receiver


class Counting(Receiver):
    """Knows the most connections that there were at once. With ``together`` above 0 it answers a dot only
    while so many wait for the answer, or there are no more to come."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 0
        self.together = 0
        self.at_once = 0
        self._waiting: list[asyncio.Future[None]] = []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.most = max(self.most, self.live + 1)
        await super()._serve(reader, writer)

    async def at_dot(self, message: Received) -> Answer:
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


def test_one_connection_is_one_for_all_workers_and_both_have_it(start_relay: StartRelay) -> None:
    with Counting() as receiver:
        relay = start_relay(next_hop=receiver.port, delivery="connections_per_site = 1")
        with Load(relay, per_session=5) as load:
            load.wait_for(40)
            wait_until(lambda: len(receiver.shards()) == 2, "both workers deliver", 60)
        load.check(receiver)
        assert receiver.most == 1


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


def test_what_a_killed_worker_had_goes_to_the_other(start_relay: StartRelay) -> None:
    with Counting() as receiver:
        relay = start_relay(next_hop=receiver.port, delivery="connections_per_site = 1")
        with Load(relay, per_session=5) as load:
            wait_until(lambda: len(receiver.shards()) == 2, "both workers deliver", 60)
            os.kill(relay.worker_pids()[0], signal.SIGKILL)
            since = len(receiver.received)
            wait_until(lambda: len(receiver.received) > since + 20, "mail goes on", 60)
        wait_until(relay.is_ready, "it is back")
        load.check(receiver, allowed_twice=20)
        assert receiver.most <= 2  # the end of a killed process is seen a moment later
