"""A receiver with a cap of connections and of messages a second, which says 421 and 450 to more: two workers
find out what it bears, nothing bounces, nothing is lost, and most of its answers are no refusals."""

import asyncio

from tests.fakes.prepared import wait_until
from tests.fakes.sink import Answer
from tests.scenarios.conftest import StartRelay
from tests.scenarios.load import Load
from tests.scenarios.receiver import Receiver

MESSAGES = 80
CONNECTIONS = 3
RATE_PER_S = 30.0
BURST = 10.0


class Strict(Receiver):
    """``most`` is the most sessions it had at once; ``turned_away`` and ``slowed`` count its refusals."""

    def __init__(self) -> None:
        super().__init__()
        self.sessions = self.most = self.turned_away = self.slowed = 0
        self._tokens, self._at = BURST, 0.0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.sessions >= CONNECTIONS:
            self.turned_away += 1
            writer.write(b"421 4.7.0 too many connections from your address\r\n")
            writer.close()
            return
        self.sessions += 1
        self.most = max(self.most, self.sessions)
        try:
            await super()._serve(reader, writer)
        finally:
            self.sessions -= 1

    def answer(self, key: str, ordinary: Answer) -> Answer:
        if key != "MAIL":
            return super().answer(key, ordinary)
        now = asyncio.get_running_loop().time()
        self._tokens = min(BURST, self._tokens + (now - self._at) * RATE_PER_S)
        self._at = now
        if self._tokens < 1.0:
            self.slowed += 1
            return "450 4.7.1 rate limit exceeded, slow down"
        self._tokens -= 1.0
        return ordinary


def test_two_workers_end_up_within_its_caps(start_relay: StartRelay) -> None:
    with Strict() as receiver:
        relay = start_relay(next_hop=receiver.port, delivery='idle = "500ms"')
        with Load(relay, clients=6, per_session=5) as load:
            load.wait_for(MESSAGES)
        wait_until(lambda: set(load.promised) <= set(receiver.subjects()), "all has arrived", 90)
        load.check(receiver)
        count = len(load.promised)
        wait_until(lambda: relay.count("delivered") == count, "all are settled")
        assert relay.count("failed") == 0
        assert receiver.most <= CONNECTIONS
        # who tries all again every 300 ms, whatever is said, hears of it as often as there are messages
        assert receiver.slowed <= count / 2
        assert receiver.turned_away <= 60
