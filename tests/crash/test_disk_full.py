"""The disk of the spool is full: new mail is refused, what was promised is kept and delivered."""

from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.crash import ledger, mail
from tests.crash.rig import Rig, SinkProcess, until
from tests.crash.rounds import Result, compare
from tests.crash.source import Source
from tests.fakes.prepared import Port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SIZE = 48_000


def refused(source: Source, code: str) -> int:
    return sum(times for reply, times in source.replies.items() if reply.startswith(code))


class Scene:
    """A relay with one worker whose spool is on a small disk, its clients, and a next hop that is down."""

    def __init__(self, tmp_path: Path, disk: Path, reserve: str, stack: AsyncExitStack):
        self.accepted, self.arrived = tmp_path / "accepted", tmp_path / "arrived"
        self.book = ledger.Ledger(self.accepted)
        stack.callback(self.book.close)
        hop = Port()
        stack.callback(hop.free)
        self.hop = hop.number
        spool = f'disk_reserve = "{reserve}"'
        self.rig = stack.enter_context(
            Rig(tmp_path / "relay", self.hop, workers=1, spool=disk / "spool", more_spool=spool)
        )
        self.source = Source(self.rig.port, self.book, 2, partial(mail.make, size_bytes=SIZE))
        self.stack = stack

    async def fill(self):
        """Until the relay takes no more."""
        self.rig.start()
        await self.rig.ready()
        await self.stack.enter_async_context(self.source)
        await until(lambda: refused(self.source, "452") > 20, 60.0, "452")
        assert self.source.accepted > 100

    async def receiver_comes_up(self):
        return await SinkProcess.start(self.arrived, self.stack, "--port", str(self.hop))

    def delivered(self) -> int:
        return ledger.count(self.arrived).total()

    async def all_is_well_in_the_end(self):
        """Mail is taken again, the queue runs empty, the ledgers agree."""
        before = self.source.accepted
        await until(lambda: self.source.accepted > before + 100, 30.0, "mail is taken again")
        await self.source.stop()
        await until(self.rig.is_empty, 60.0, "the queue is empty")
        assert await self.rig.stop() == 0
        result = Result(accepted=self.source.accepted)
        compare(self.accepted, self.arrived, self.rig.uncertain(), result)
        assert result.lost == 0, result
        assert result.duplicates == 0, result
        assert self.source.silences == 0
        assert set(reply[:3] for reply in self.source.replies) <= {"452", "451"}


async def test_at_the_reserve_mail_is_refused_and_taken_again_once_there_is_room(tmp_path, small_disk):
    async with AsyncExitStack() as stack:
        scene = Scene(tmp_path, small_disk, "24MB", stack)
        await scene.fill()
        (worker,) = (await scene.rig.readings()).values()
        assert worker["spool_full"]
        taken = scene.source.accepted
        await scene.receiver_comes_up()
        await until(lambda: scene.delivered() >= taken, 60.0, "what was taken is delivered")
        (small_disk / "ballast").unlink()
        await scene.all_is_well_in_the_end()


async def test_room_that_the_spool_itself_has_given_up_counts_as_room(tmp_path, small_disk):
    """No one frees anything: what was delivered must make room for what comes."""
    async with AsyncExitStack() as stack:
        scene = Scene(tmp_path, small_disk, "24MB", stack)
        await scene.fill()
        await scene.receiver_comes_up()
        await scene.all_is_well_in_the_end()


async def test_on_a_disk_without_a_byte_left_nothing_promised_is_lost(tmp_path, small_disk):
    async with AsyncExitStack() as stack:
        scene = Scene(tmp_path, small_disk, "0", stack)
        await scene.fill()
        await scene.receiver_comes_up()  # what waits for the disk to take its deferral is not tried again yet
        (small_disk / "ballast").unlink()
        await scene.all_is_well_in_the_end()


async def test_killed_on_a_full_disk_it_starts_again_once_there_is_room(tmp_path, small_disk):
    async with AsyncExitStack() as stack:
        scene = Scene(tmp_path, small_disk, "0", stack)
        await scene.fill()
        scene.rig.kill([*scene.rig.worker_pids(), scene.rig.pid])
        await scene.rig.gone()
        (small_disk / "ballast").unlink()
        await scene.receiver_comes_up()
        scene.rig.start()
        await scene.rig.ready()
        await scene.all_is_well_in_the_end()
