"""Blocks of content from memory and from a file."""

import asyncio
from contextlib import aclosing

import pytest

from relay.transport.blocks import BLOCK_BYTES, blocks


async def joined(content, size_bytes):
    return [block async for block in blocks(content, size_bytes)]


@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES])
async def test_the_blocks_are_the_content(tmp_path, size):
    content = bytes(range(256)) * (size // 256 + 1)
    content = content[:size]
    path = tmp_path / "content"
    path.write_bytes(content)
    for source in (content, path):
        found = await joined(source, size)
        assert b"".join(found) == content
        assert max(map(len, found), default=0) <= BLOCK_BYTES


@pytest.mark.parametrize("claimed", [1, 99, 101])
async def test_a_file_of_another_length(tmp_path, claimed):
    path = tmp_path / "content"
    path.write_bytes(b"x" * 100)
    with pytest.raises(OSError, match=f"not {claimed}"):
        await joined(path, claimed)


async def test_cancelled_at_its_first_wait_it_leaves_no_file_open(tmp_path):
    path = tmp_path / "content"
    path.write_bytes(b"x" * 10)

    async def read():
        async with aclosing(blocks(path, 10)) as pieces:
            async for _ in pieces:
                pass

    for turns in range(6):
        task = asyncio.create_task(read())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_default_executor()
    await asyncio.sleep(0)  # an unclosed file would be a ResourceWarning, hence an error
