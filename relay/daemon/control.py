"""How the CLI reaches a running relay: a unix socket in the spool's folder, mode 0660.

Who may open the socket may do everything that the CLI does, send mail included; the folder's owner and group
decide. ``serve`` replaces a socket that a crash left behind, hence is called only by who holds the lock of
the spool. ``ask`` is the CLI's side.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from relay.base.errors import ConfigError
from relay.base.tasks import Tasks
from relay.daemon.link import LIMIT_BYTES, Answer, Link, LinkError

SOCKET = "control"


class NotRunning(LinkError):
    """No relay answers at the socket."""


class NotAllowed(LinkError):
    """This user may not open the socket."""


async def serve(spool: Path, answer: Answer, stack: AsyncExitStack) -> None:
    """Answer requests until the stack unwinds. Raises ConfigError if the socket cannot be made."""
    path = spool / SOCKET
    path.unlink(missing_ok=True)
    tasks = Tasks("control")
    await tasks.start(stack)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Link(reader, writer, answer).serve()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.spawn(connected(reader, writer), "request")

    try:
        server = await asyncio.start_unix_server(accepted, path, limit=LIMIT_BYTES)
        os.chmod(path, 0o660)
    except OSError as error:
        raise ConfigError(f"[spool] path: {path}: {error}; a path of 100 characters at most") from error
    stack.callback(path.unlink, missing_ok=True)
    stack.callback(server.close)


async def _refuse(what: str, _: dict[str, Any]) -> None:
    raise LinkError(f"unexpected request {what!r}")


async def ask(spool: Path, what: str, timeout_s: float = 600.0, **fields: Any) -> Any:  # noqa: ANN401
    """Ask the running relay. Raises NotRunning, or LinkError with its answer."""
    try:
        reader, writer = await asyncio.open_unix_connection(spool / SOCKET, limit=LIMIT_BYTES)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise NotRunning(f"no relay runs on {spool}; start it with `relay run`") from error
    except PermissionError as error:
        raise NotAllowed(
            f"{spool / SOCKET}: not allowed for this user; be root, the relay's user or in its group"
        ) from error
    link = Link(reader, writer, _refuse)
    tasks = Tasks("ask")
    tasks.spawn(link.serve(), "link")
    try:
        return await link.ask(what, timeout_s, **fields)
    finally:
        await tasks.end()
