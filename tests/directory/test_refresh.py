"""The live snapshot: changes arrive, failures leave the last one in force."""

import asyncio
import logging
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from relay.base.errors import DirectoryError
from relay.directory.refresh import LiveSnapshot
from relay.directory.snapshot import Snapshot
from relay.directory.store import Directory

NEVER_S = 3600.0


async def test_a_change_arrives_with_the_next_poll(directory: Directory) -> None:
    seen: list[Snapshot] = []
    live = LiveSnapshot(directory, NEVER_S, seen.append)
    async with AsyncExitStack() as stack:
        await live.start(stack)
        first = live.current
        assert first.account_named("shop") is None
        assert not await live.poll()
        assert live.current is first

        directory.accounts.create("shop")
        assert await live.poll()
        assert live.current.account_named("shop") is not None
        assert first.account_named("shop") is None
        assert seen == [live.current]


async def test_it_polls_by_itself(directory: Directory) -> None:
    arrived = asyncio.Event()
    live = LiveSnapshot(directory, 0.001, lambda _: arrived.set())
    async with AsyncExitStack() as stack:
        await live.start(stack)
        directory.accounts.create("shop")
        await asyncio.wait_for(arrived.wait(), 10)


async def test_a_directory_out_of_reach_keeps_the_last_snapshot_and_is_logged_once(
    directory: Directory, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="relay")
    directory.accounts.create("shop")
    live = LiveSnapshot(directory, NEVER_S)
    async with AsyncExitStack() as stack:
        await live.start(stack)
        directory.close()
        (tmp_path / "directory.db").rename(tmp_path / "away")
        for _ in range(3):
            assert not await live.poll()
        assert live.is_stale
        assert live.current.account_named("shop") is not None

        (tmp_path / "away").rename(tmp_path / "directory.db")
        directory.accounts.pause("shop")
        assert await live.poll()
        assert not live.is_stale
        account = live.current.account_named("shop")
        assert account is not None
        assert account.is_paused
    assert [record.message for record in caplog.records] == [
        "directory out of reach",
        "directory within reach again",
    ]


async def test_even_our_own_bug_does_not_end_the_polling(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    live = LiveSnapshot(directory, NEVER_S)
    async with AsyncExitStack() as stack:
        await live.start(stack)
        with monkeypatch.context() as patch:
            patch.setattr(directory, "revision", lambda: 1 // 0)
            assert not await live.poll()
        assert live.is_stale
        assert caplog.records[0].exc_info is not None
        assert not await live.poll()
        assert not live.is_stale


async def test_the_first_read_must_succeed(tmp_path: Path, key_file: Path) -> None:
    live = LiveSnapshot(Directory(f"sqlite:///{tmp_path}/none.db", key_file, "us-east-1"))
    async with AsyncExitStack() as stack:
        with pytest.raises(DirectoryError, match="`relay init`"):
            await live.start(stack)
