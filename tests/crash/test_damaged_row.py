"""Bytes of a stored message change while the relay is stopped: it is set aside, the rest is delivered."""

import json
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest

from relay.spool.schema import DATABASE
from tests.crash import ledger, mail
from tests.crash.rig import Rig, SinkProcess, until
from tests.crash.source import Source
from tests.fakes.prepared import Port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def damage(database: Path, number: int) -> None:
    """Change a few bytes in the body of submission ``number``."""
    content = bytearray(database.read_bytes())
    at = content.index(b"X-Crash: %d " % number) + 300
    content[at : at + 4] = bytes(byte ^ 0x20 for byte in content[at : at + 4])
    database.write_bytes(content)


async def test_a_damaged_message_is_set_aside_and_the_others_are_delivered(tmp_path: Path):
    accepted, arrived = tmp_path / "accepted", tmp_path / "arrived"
    async with AsyncExitStack() as stack:
        book = ledger.Ledger(accepted)
        stack.callback(book.close)
        hop = Port()
        stack.callback(hop.free)
        rig = stack.enter_context(Rig(tmp_path / "relay", hop.number, workers=1))
        rig.start()
        await rig.ready()
        async with Source(rig.port, book, 2, partial(mail.make, size_bytes=4000)) as source:
            await until(lambda: source.accepted > 30, 30.0, "mail is taken")
        assert await rig.stop() == 0

        (shard,) = rig.shards()
        victim = "m7-0@receiver.example"
        assert victim in ledger.count(accepted)
        damage(shard / DATABASE, 7)

        sink = await SinkProcess.start(arrived, stack, "--port", str(hop.number))
        rig.start()
        await rig.ready()
        await until(rig.is_empty, 60.0, "the queue is empty")
        (worker,) = (await rig.readings()).values()
        assert worker["corrupt"] == 1
        assert ledger.count(arrived).keys() == ledger.count(accepted).keys() - {victim}
        assert sink.faults == []

        (remains,) = (shard / "corrupt").glob("*.json")
        assert [one["address"] for one in json.loads(remains.read_text())["recipients"]] == [victim]
        body = remains.with_suffix(".eml").read_bytes()
        assert b"X-Crash: 7 " in body
        assert await rig.stop() == 0
