"""How the CLI reaches a running relay: a unix socket in the spool's folder, mode 0660.

Who may open the socket may do everything that the CLI does, send mail included; the folder's owner and group
decide. ``serve`` replaces a socket that a crash left behind, hence is called only by who holds the lock of
the spool. The kernel says which user is at the other end, for the log. ``ask`` is the CLI's side.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from relay.base.errors import ConfigError
from relay.base.tasks import Tasks
from relay.daemon.link import LIMIT_BYTES, Link, LinkError

SOCKET = "control"

Answer = Callable[[str, dict[str, Any], str], Awaitable[Any]]
"""Answers a request: what, with what, and the user who asks."""
Ask = Callable[..., Awaitable[Any]]


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
        await Link(reader, writer, _as(answer, _user_of(writer))).serve()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.spawn(connected(reader, writer), "request")

    try:
        server = await asyncio.start_unix_server(accepted, path, limit=LIMIT_BYTES)
        os.chmod(path, 0o660)
    except OSError as error:
        raise ConfigError(f"[spool] path: {path}: {error}; a path of 100 characters at most") from error
    stack.callback(path.unlink, missing_ok=True)
    stack.callback(server.close)


def _as(answer: Answer, user: str) -> Callable[[str, dict[str, Any]], Awaitable[Any]]:
    """The answers for one user."""
    return lambda what, fields: answer(what, fields, user)


def _user_of(writer: asyncio.StreamWriter) -> str:
    """The name of the user at the other end (or its number where it has none), as the kernel knows it."""
    sock = writer.get_extra_info("socket")
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", credentials)
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


async def _refuse(what: str, _: dict[str, Any]) -> None:
    raise LinkError(f"unexpected request {what!r}")


@asynccontextmanager
async def asking(spool: Path) -> AsyncIterator[Ask]:
    """A function that asks the running relay, ``(what, timeout_s, **fields)``, as often as one likes.

    Raises NotRunning or NotAllowed; the function raises LinkError with the relay's answer."""
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
        yield link.ask
    finally:
        await tasks.end()


async def ask(spool: Path, what: str, timeout_s: float = 600.0, **fields: Any) -> Any:  # noqa: ANN401
    """Ask the running relay once. Raises NotRunning, NotAllowed, or LinkError with its answer."""
    async with asking(spool) as question:
        return await question(what, timeout_s, **fields)
