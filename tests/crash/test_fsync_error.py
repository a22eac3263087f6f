"""The disk answers fsync with EIO: nothing is promised on its word, and nothing promised before is lost."""

import os
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.crash import ledger
from tests.crash.rig import Rig, SinkProcess, until
from tests.crash.rounds import Result, compare
from tests.crash.source import Source
from tests.fakes.disk import fsync_shim

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def shim(tmp_path_factory) -> Path:
    return fsync_shim(tmp_path_factory.mktemp("shim"))


class Scene:
    """A relay on a disk whose fsync fails while ``flag`` exists."""

    def __init__(self, tmp_path: Path, shim: Path):
        self.flag = tmp_path / "fails"
        self.accepted, self.arrived = tmp_path / "accepted", tmp_path / "arrived"
        self.environment = {"LD_PRELOAD": str(shim), "FSYNC_FAILS_WHILE": str(self.flag)}
        self.folder = tmp_path / "relay"

    async def open(self, stack: AsyncExitStack):
        sink = await SinkProcess.start(self.arrived, stack)
        self.book = ledger.Ledger(self.accepted)
        stack.callback(self.book.close)
        self.rig = stack.enter_context(Rig(self.folder, sink.port, environment=self.environment))
        self.rig.start()
        await self.rig.ready()
        self.source = await stack.enter_async_context(Source(self.rig.port, self.book))
        await self.some_are_taken()

    async def some_are_taken(self):
        before = self.source.accepted
        await until(lambda: self.source.accepted > before + 100, 30.0, "mail is taken")

    def refused(self) -> int:
        return sum(times for reply, times in self.source.replies.items() if reply.startswith("451"))

    async def disk_fails(self):
        """And stays failed for a while, in which not one message is promised."""
        self.flag.touch()
        await until(lambda: self.refused() > 10, 30.0, "451")
        before = self.source.accepted
        mark = self.refused()
        await until(lambda: self.refused() > mark + 100, 30.0, "more 451")
        assert self.source.accepted == before

    async def compared(self) -> Result:
        await self.source.stop()
        await until(self.rig.is_empty, 60.0, "the queue is empty")
        assert await self.rig.stop() == 0
        result = Result(accepted=self.source.accepted)
        compare(self.accepted, self.arrived, self.rig.uncertain(), result)
        assert {reply[:3] for reply in self.source.replies} == {"451"}
        assert self.source.silences == 0
        return result


async def test_while_fsync_fails_clients_keep_their_mail_and_afterwards_all_is_well(tmp_path, shim):
    assert os.access(shim, os.R_OK)
    scene = Scene(tmp_path, shim)
    async with AsyncExitStack() as stack:
        await scene.open(stack)
        await scene.disk_fails()
        # any: the kernel may have given all connections of the source to one worker
        assert any(worker["spool_failing"] for worker in (await scene.rig.readings()).values())
        scene.flag.unlink()
        await scene.some_are_taken()
        assert not any(worker["spool_failing"] for worker in (await scene.rig.readings()).values())
        result = await scene.compared()
    assert result.lost == 0, result
    assert result.duplicates == 0, result  # outcomes waited for the disk


async def test_killed_while_fsync_fails_what_was_promised_before_still_arrives(tmp_path, shim):
    scene = Scene(tmp_path, shim)
    async with AsyncExitStack() as stack:
        await scene.open(stack)
        await scene.disk_fails()
        scene.rig.kill([*scene.rig.worker_pids(), scene.rig.pid])
        await scene.rig.gone()
        scene.flag.unlink()
        scene.rig.start()
        await scene.rig.ready()
        await scene.some_are_taken()
        result = await scene.compared()
    assert result.lost == 0, result
    assert result.duplicates == result.duplicates_listed, result
