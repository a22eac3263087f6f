"""Requests between processes: JSON lines over a stream, each answered by number.

Used between supervisor and worker (a socket pair; its end is how each learns that the other died) and
between the CLI and the supervisor (a unix socket, mode 0660). A request is
``{"n": 1, "do": "flush", "with": {...}}``, its answer ``{"n": 1, "ok": ...}`` or ``{"n": 1, "error": ""}``.
Lines are bounded; a line that is neither ends the link, since nothing after it can be trusted.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from relay.base.errors import RelayError
from relay.base.tasks import Tasks

log = logging.getLogger(__name__)

LIMIT_BYTES = 96 << 20  # a submission of 40 MB in base64 and some room

Answer = Callable[[str, dict[str, Any]], Awaitable[Any]]


class LinkError(RelayError):
    """The other side answered with an error, or is gone."""


class Link:
    """One end of a stream. ``serve`` runs until the other side goes away."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> None:
        self._reader = reader
        self._writer = writer
        self._answer = answer
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._number = 0
        self._tasks = Tasks("link")
        self.is_open = True

    async def ask(self, what: str, timeout_s: float = 60.0, **fields: Any) -> Any:  # noqa: ANN401
        """Ask the other side and wait for its answer. Raises LinkError."""
        if not self.is_open:
            raise LinkError("the other process is gone")
        self._number += 1
        number = self._number
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._send({"n": number, "do": what, "with": fields})
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            raise LinkError(f"no answer to {what!r} within {timeout_s:g} s") from None
        finally:
            self._waiting.pop(number, None)

    def _send(self, line: dict[str, Any]) -> None:
        self._writer.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")

    async def serve(self) -> None:
        """Answer requests until the stream ends."""
        try:
            while line := await self._reader.readline():
                self._take(json.loads(line))
        except OSError:
            pass  # the other side is gone: who asked it hears so below
        except (ValueError, KeyError, TypeError) as error:
            log.warning("link closed: no request and no answer", extra={"error": repr(error)})
        finally:
            self.is_open = False
            await self._tasks.end()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(LinkError("the other process is gone"))
            self._writer.close()

    def _take(self, message: dict[str, Any]) -> None:
        if "do" in message:
            self._tasks.spawn(self._reply(message), str(message["do"]))
            return
        future = self._waiting.get(message["n"])
        if future is None or future.done():
            return  # its asker has given up
        if "error" in message:
            future.set_exception(LinkError(message["error"]))
        else:
            future.set_result(message["ok"])

    async def _reply(self, message: dict[str, Any]) -> None:
        number, what = message["n"], message["do"]
        try:
            self._send({"n": number, "ok": await self._answer(what, dict(message.get("with", {})))})
        except RelayError as error:
            self._send({"n": number, "error": str(error)})
        except Exception as error:
            log.exception("request failed", extra={"request": what})
            self._send({"n": number, "error": f"{type(error).__name__}: {error}"})
        with suppress(OSError):  # the asker did not wait
            await self._writer.drain()
