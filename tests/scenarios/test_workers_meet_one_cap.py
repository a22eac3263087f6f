"""A receiver that stands five connections in all, and is not known to: two workers divide them, and neither
takes a refusal of one more for a site that is down."""

import asyncio

from tests.fakes.prepared import wait_until
from tests.fakes.sink import Answer, Received
from tests.scenarios.conftest import StartRelay
from tests.scenarios.load import Load
from tests.scenarios.test_workers_share_a_site import Counting

CONNECTIONS = 5


class Five(Counting):
    """Turns away the sixth; a dot takes a moment, so that all five are wanted."""

    def __init__(self) -> None:
        super().__init__()
        self.turned_away = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.live >= CONNECTIONS:
            self.turned_away += 1
            writer.write(b"421 4.7.0 too many connections from your address\r\n")
            writer.close()
            return
        await super()._serve(reader, writer)

    async def at_dot(self, message: Received) -> Answer:
        await asyncio.sleep(0.05)
        return await super().at_dot(message)


def test_both_deliver_and_nothing_is_put_off(start_relay: StartRelay) -> None:
    with Five() as receiver:
        relay = start_relay(next_hop=receiver.port)
        with Load(relay, clients=8, per_session=5) as load:
            wait_until(
                lambda: receiver.turned_away and min([*receiver.shards().values(), 0][:2]) >= 15,
                "both deliver",
                60,
            )
        wait_until(lambda: set(load.promised) <= set(receiver.subjects()), "all has arrived", 60)
        load.check(receiver)
        wait_until(lambda: relay.count("delivered") == len(load.promised), "all are settled")
        assert relay.count("deferred") == 0
        assert receiver.most <= CONNECTIONS
        assert "site cannot be reached" not in relay.log()
