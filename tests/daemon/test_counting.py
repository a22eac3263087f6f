"""The parts of the notifier that count, joined over a real directory."""

import json
from contextlib import AsyncExitStack
from pathlib import Path

from relay.base.clock import SystemClock
from relay.base.events import Change, Event, EventKind
from relay.base.ids import MessageIds
from relay.daemon.notifier.counting import Counting
from relay.daemon.notifier.following import Follower
from relay.daemon.settings.config import parse
from relay.directory.refresh import LiveSnapshot
from relay.directory.secrets import create_key_file
from relay.directory.store import Directory
from relay.spool.shard import Shard, SpoolLimits
from relay.spool.statistics_views import reading

SETTINGS = """
[signing]
service_domain = "relay.example"
[reputation]
minimum_volume = 4
pause = true
"""


async def test_own_identities_and_the_simulator_are_excepted_and_the_rest_pauses(tmp_path: Path) -> None:
    settings = parse(f"[spool]\npath = '{tmp_path}'\n{SETTINGS}", tmp_path / "relay.toml")
    create_key_file(tmp_path / "relay.key")
    clock, told = SystemClock(), []

    async def notify(account_id: int, subject: str, text: str, kind: str, about: str = "") -> str:
        told.append((account_id, about))
        return ""

    async with AsyncExitStack() as stack:
        directory = Directory(f"sqlite:///{tmp_path / 'directory.db'}", tmp_path / "relay.key", "eu")
        stack.callback(directory.close)
        directory.migrate()
        shop = directory.accounts.create("shop")
        directory.identities.add("shop", "shop.example")
        directory.identities.verify("shop.example", "shop")
        live = LiveSnapshot(directory)
        await live.start(stack)
        counting = Counting(lambda: settings, live, directory, notify, clock)
        shard = await Shard.open(tmp_path, 1, SpoolLimits(0), clock, stack)
        message = MessageIds(1).make(clock.now())
        bad = ["a@sub.shop.example", "bounce+1@Simulator.relay.example", "x@there.example", "y@there.example"]
        events = [
            Event(clock.now(), kind, message, shop.id, json.dumps({"identity": "shop.example"} | detail))
            for kind, detail in [
                (EventKind.SEND, {"destination": [*bad, "z@there.example"]}),
                *((EventKind.BOUNCE, {"recipient": one, "bounceType": "Permanent"}) for one in bad),
            ]
        ]
        await shard.commit(Change(events=events))
        follower = Follower(tmp_path, counting.sink)
        while await follower.step():
            pass
        with reading(tmp_path) as views:
            counts = views.total(shop.id, 0.0)
        assert (counts.sent, counts.hard, counts.mails, counts.bounced) == (5, 4, 3, 2)
        await counting.watch.look()
        assert told == [(shop.id, "bounce Sending paused")]
        assert directory.accounts.show("shop").is_paused
        found = counting.readings()
        assert found["bounces"]["Permanent"] == 4
        assert found["bounce_rates"] == {"shop": 0.5}
        await counting.start(stack)  # and ended by the stack
