import shutil
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from relay.daemon.worker.census import LEAST_REST_S, Census, rest_s
from relay.spool import schema
from relay.spool.census import STATES
from tests.fakes.clock import ManualClock


def make(folder: Path) -> Path:
    folder.mkdir()
    connection = schema.open_writer(folder)
    connection.execute(
        "INSERT INTO message (key, id, account, sender, size, checksum, arrived, expires, flags, ret, envid)"
        " VALUES (1, 'm', 1, '', 1, 1, 1799999990, 1, 1, '', '')"
    )
    connection.execute("INSERT INTO recipient VALUES (1, 0, 'a@b', 'b', 2, 0, 0, '', '', '', 0, 1, 0)")
    connection.close()
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> dict[int, Path]:
    return {number: make(tmp_path / str(number)) for number in (1, 2)}


def test_it_rests_in_proportion_to_what_it_took() -> None:
    assert rest_s(0.0) == rest_s(0.01) == LEAST_REST_S
    assert rest_s(0.3) == pytest.approx(30.0)


async def test_shards_are_added_up(folders: dict[int, Path]) -> None:
    census = Census(folders, ManualClock())
    before = census.readings()
    assert (before["queue_counted_at"], before["queue_recipients"]) == (0.0, dict.fromkeys(STATES, 0))
    await census.count()
    found = census.readings()
    assert found["queue_recipients"] == {"due": 0, "waiting": 0, "parked": 0, "held": 2}
    assert found["queue_oldest_seconds"] == {"due": 0.0, "waiting": 0.0, "parked": 0.0, "held": 10.0}
    assert found["queue_counted_at"] == 1_800_000_000.0
    assert found["spool_database_bytes"] == sum((one / "spool.db").stat().st_size for one in folders.values())


async def test_a_shard_that_cannot_be_counted_keeps_its_numbers(
    folders: dict[int, Path], caplog: pytest.LogCaptureFixture
) -> None:
    census = Census(folders, ManualClock())
    await census.count()
    shutil.rmtree(folders[2])
    await census.count()
    assert census.readings()["queue_recipients"]["held"] == 2
    assert "the queue is not counted" in caplog.text


async def test_the_first_count_comes_at_once(folders: dict[int, Path]) -> None:
    census = Census(folders, ManualClock())
    async with AsyncExitStack() as stack:
        await census.start(stack)
        import asyncio

        async with asyncio.timeout(10):
            while not census.readings()["queue_counted_at"]:
                await asyncio.sleep(0.01)
