"""Is there a virus in it? A client of clamd, over a unix socket or TCP.

Contract: ``scan`` returns the name of what clamd found, "" for clean content; it raises NoAnswer if clamd is
not there, says anything else, or takes longer than ``timeout_s``, the wait for a free slot included. At most
``CONCURRENCY`` scans of a worker run at a time: clamd has a fixed number of threads (MaxThreads), and what
waits there holds memory twice. New ``settings`` hold from the next scan on.

``screen`` is the whole rule for a message: infected is dropped after it was accepted, as SES does; without
an answer it is refused for now (451) or passes, as configured. The log says when answers begin to fail and
when they come again, not for each message.

Each scan has a connection of its own: a clamd that was restarted or gave up on one message cannot harm the
next, and on a unix socket a connection costs little beside the scan.

Cost, measured with uvloop and a unix socket: 0.3 ms of the worker's processor for a message of 4 KB, 0.4 ms
for 100 KB, beside what clamd takes. Nothing without a scanner.

Deliberately not here: clamd's own limits. What is above its MaxScanSize it calls clean unless
AlertExceedsMax is on.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, TypeVar

from relay.base.admission import Admission
from relay.base.errors import Refused
from relay.base.message import Submission
from relay.base.reply import Reply
from relay.policy.clamd import MAX_ANSWER, NoAnswer, command, read_answer

log = logging.getLogger(__name__)

CONCURRENCY = 5
BAD_CONTENT = "Bad content"  # the only reason of SES's Reject events
_NOT_NOW = Reply(451, "Temporary service failure: the message could not be scanned, try again later", "4.7.1")

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class ScannerSettings:
    """Where clamd is, and what to do without it. ``path`` is its unix socket; else host and port."""

    path: str = ""
    host: str = ""
    port: int = 0
    timeout_s: float = 30.0
    failure: Literal["defer", "pass"] = "defer"

    @property
    def is_on(self) -> bool:
        """Whether there is a scanner at all."""
        return bool(self.path or self.host)


class Scanner:
    """Asks clamd. Its counters are read at scrape."""

    def __init__(self, settings: ScannerSettings) -> None:
        self.settings = settings
        self.clean = 0
        self.infected = 0
        self.failed = 0
        self._is_failing = False
        self._slots = asyncio.Semaphore(CONCURRENCY)

    async def screen(self, submission: Submission, admission: Admission[K]) -> None:
        """Mark an infected message as dropped. Raises Refused if it was not scanned and must be."""
        try:
            found = await self.scan(submission.content)
        except NoAnswer as failure:
            self._note_failure(str(failure))
            if self.settings.failure == "defer":
                raise Refused(_NOT_NOW, str(failure), why="scanner") from failure
            return
        if self._is_failing:
            self._is_failing = False
            log.info("the virus scanner answers again")
        if found:
            admission.dropped = BAD_CONTENT
            log.warning(
                "infected message dropped",
                extra={
                    "found": found,
                    "account": submission.account_id,
                    "sender": submission.envelope.sender,
                    "credential": submission.client.credential,
                },
            )

    def _note_failure(self, why: str) -> None:
        if not self._is_failing:
            self._is_failing = True
            fate = "refused for now" if self.settings.failure == "defer" else "passed unscanned"
            log.error("the virus scanner does not answer; messages are " + fate, extra={"why": why})

    async def scan(self, content: bytes) -> str:
        """The name of what is in the content, "" for nothing. Raises NoAnswer."""
        settings = self.settings
        try:
            async with asyncio.timeout(settings.timeout_s), self._slots:
                found = await _ask(settings, content)
        except TimeoutError:
            self.failed += 1
            raise NoAnswer(f"no answer of clamd within {settings.timeout_s:g} s") from None
        except OSError as error:
            self.failed += 1
            raise NoAnswer(f"clamd cannot be reached at {_place(settings)}: {error}") from error
        except NoAnswer:
            self.failed += 1
            raise
        if found:
            self.infected += 1
        else:
            self.clean += 1
        return found


async def _ask(settings: ScannerSettings, content: bytes) -> str:
    if settings.path:
        reader, writer = await asyncio.open_unix_connection(settings.path, limit=MAX_ANSWER)
    else:
        reader, writer = await asyncio.open_connection(settings.host, settings.port, limit=MAX_ANSWER)
    try:
        writer.writelines(command(content))
        await writer.drain()
        return read_answer(await _read_line(reader))
    except ConnectionError as error:
        # A clamd that wants no more says so and closes; what it said is lost where writing failed first.
        raise NoAnswer(
            f"clamd closed the connection on a message of {len(content)} bytes; "
            "if StreamMaxLength in clamd.conf is less, raise it"
        ) from error
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    try:
        return (await reader.readuntil(b"\0"))[:-1]
    except asyncio.IncompleteReadError as end:
        return end.partial
    except asyncio.LimitOverrunError:
        raise NoAnswer("clamd's answer has no end") from None


def _place(settings: ScannerSettings) -> str:
    return settings.path or f"{settings.host}:{settings.port}"
