"""Large content in blocks: from memory, or from its file without holding the loop.

Contract: the blocks joined are the content. A file whose length is not ``size_bytes`` raises OSError at its
end (or before, if it is longer), so that the caller closes the connection in place of sending the dot: half a
message is never promised to be a whole one. Reads happen in the default executor.

Not for small content in memory: that goes out in one write (``session``).
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator
from pathlib import Path

BLOCK_BYTES = 256 * 1024


async def blocks(content: bytes | Path, size_bytes: int) -> AsyncGenerator[bytes, None]:
    """The content in blocks of 256 KiB; a file must hold ``size_bytes``, if not 0. Raises OSError."""
    if isinstance(content, bytes):
        for start in range(0, len(content), BLOCK_BYTES):
            yield content[start : start + BLOCK_BYTES]
        return
    loop = asyncio.get_running_loop()
    opening = loop.run_in_executor(None, io.FileIO, content)
    reading: asyncio.Future[bytes] | None = None
    read_bytes = 0
    try:
        file = await asyncio.shield(opening)
        while True:
            reading = loop.run_in_executor(None, file.read, BLOCK_BYTES)
            block = await asyncio.shield(reading)
            read_bytes += len(block)
            if not block or (size_bytes and read_bytes > size_bytes):
                break
            yield block
    finally:
        # cancelled while a thread reads: closed under it, the descriptor could become another file's
        (reading or opening).add_done_callback(lambda _: _close(opening))
    if size_bytes and read_bytes != size_bytes:
        raise OSError(f"{content} holds {read_bytes} bytes or more, not {size_bytes}")


def _close(opening: asyncio.Future[io.FileIO]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
