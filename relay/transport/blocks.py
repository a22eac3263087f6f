"""Large content in blocks: from memory, or from its file without holding the loop.

Contract: the blocks joined are the content. A file whose length is not ``size_bytes`` raises OSError at its
end (or before, if it is longer), so that the caller closes the connection in place of sending the dot: half a
message is never promised to be a whole one. Reads happen in the default executor.

Not for small content in memory: that goes out in one write (``session``).
"""

from __future__ import annotations

import asyncio
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
    file = await loop.run_in_executor(None, open, content, "rb", 0)
    read_bytes = 0
    try:
        while block := await loop.run_in_executor(None, file.read, BLOCK_BYTES):
            read_bytes += len(block)
            if size_bytes and read_bytes > size_bytes:
                break
            yield block
    finally:
        file.close()
    if size_bytes and read_bytes != size_bytes:
        raise OSError(f"{content} holds {read_bytes} bytes or more, not {size_bytes}")
