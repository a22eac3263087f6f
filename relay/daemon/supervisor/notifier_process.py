"""The notifier as the supervisor sees it: one process, kept running, told what changes.

It is started anew when it dies or hangs, as workers are (``workers``), but the relay does not depend on it: a
notifier that cannot be started costs news, not mail, and is tried again for ever.

State, owned by the event loop: ``child``, its process in its present life.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from typing import Any

from relay.base.clock import Clock
from relay.base.errors import RelayError
from relay.base.tasks import Tasks
from relay.daemon.board import Board
from relay.daemon.link import LinkError
from relay.daemon.politeness import set_nice
from relay.daemon.settings.config import Config
from relay.daemon.supervisor.child import Child, Outfit, Restarts, hang_signal
from relay.daemon.supervisor.workers import Requests

log = logging.getLogger(__name__)

_WATCH_S = 1.0
_START_AFTER_S = 2.0  # at the start of a relay the processor is the mail's that has waited; news can wait


class NotifierProcess:
    """The notifier of one relay."""

    def __init__(
        self, boot_text: str, settings: Config, clock: Clock, tasks: Tasks, requests: Requests
    ) -> None:
        """``requests`` answers what it asks; ``tasks`` are those without which the supervisor ends."""
        self.text = boot_text
        self.child: Child | None = None
        self.restarts = Restarts()
        self.on_ready: Callable[[Child], None] | None = None  # hears of one that works from now on
        self._boot_text = boot_text
        self._config = settings
        self._clock = clock
        self._tasks = tasks
        self._requests = requests
        self._is_ending = False
        self._board = Board.make(1)

    @property
    def is_ready(self) -> bool:
        """It works."""
        return self.child is not None and self.child.is_ready

    @property
    def published(self) -> dict[str, Any]:
        """The readings that it sent last; none while it does not work."""
        return self.child.published if self.child is not None and self.child.is_ready else {}

    def start(self, after: asyncio.Event) -> None:
        """Start it a while after ``after`` is set, and keep it running."""
        self._tasks.spawn(self._keep(after), "notifier")
        self._tasks.spawn(self._watch(), "watch notifier")

    async def ask(self, what: str, timeout_s: float = 60.0, **fields: Any) -> Any:  # noqa: ANN401
        """Ask it. Raises LinkError."""
        if self.child is None or not self.child.is_ready:
            raise LinkError("the notifier is not ready; try again in a moment, or see the relay's log")
        return await self.child.link.ask(what, timeout_s, **fields)

    async def readings(self) -> dict[str, Any]:
        """What it counts; nothing if it does not answer in time."""
        found = await self.child.readings() if self.child is not None and self.child.is_ready else None
        return found or {}

    async def prepare(self, text: str) -> None:
        """Ask whether it can take over. Raises LinkError with its refusal, and then nothing has changed; one
        that is not there, or has just died, refuses nothing: news must not keep mail from a new setting."""
        child = self.child
        if child is None or not child.is_ready:
            return
        try:
            await child.link.ask("prepare", text=text)
        except LinkError:
            if child.link.is_open:
                raise

    async def take_over(self, text: str) -> None:
        """A new configuration comes into force; whoever starts from now on gets it."""
        self.text = text
        if self.child is not None and self.child.is_ready:
            try:
                await self.child.link.ask("take over")
            except RelayError as error:
                log.error("notifier did not take over; it is started anew", extra={"why": str(error)})
                self.child.kill(signal.SIGTERM)

    async def end(self, bound_s: float) -> None:
        """Let it end what is in hand, within the bound."""
        self._is_ending = True
        if self.child is None:
            return
        if self.child.process.returncode is None:
            set_nice(0, self.child.process.pid)  # who gives way to all others has not ended within any bound
        self.child.kill(signal.SIGTERM)
        try:
            async with asyncio.timeout(bound_s):
                await self.child.process.wait()
        except TimeoutError:
            log.warning("notifier killed before it had ended")

    async def kill(self) -> None:
        """End it at once."""
        self._is_ending = True
        if self.child is not None:
            self.child.kill()
            await self.child.process.wait()

    async def _keep(self, after: asyncio.Event) -> None:
        await after.wait()
        await asyncio.sleep(_START_AFTER_S)
        while not self._is_ending:
            started = self._clock.monotonic()
            status = await self._run_once()
            if self._is_ending:
                return
            delay_s = self.restarts.delay_s(self._clock.monotonic() - started)
            log.error("notifier died", extra={"status": status, "restart_in_s": delay_s})
            await asyncio.sleep(delay_s)

    async def _run_once(self) -> int | str:
        """One life; its exit status (negative: the signal), or why it could not be started."""
        self._board.clear(0)
        texts = (self._boot_text, self.text)
        outfit = Outfit(0, 1, [], self._board.descriptor, texts, str(self._config.path), role="notifier")
        try:
            child = self.child = await Child.start(outfit, self._answer)
        except OSError as error:
            return f"not started: {error}"
        self._tasks.spawn(child.link.serve(), "link notifier")
        if self._is_ending:
            child.kill(signal.SIGTERM)
        status = await child.process.wait()
        child.is_ready = False
        return status

    async def _answer(self, what: str, fields: dict[str, Any]) -> Any:  # noqa: ANN401
        """``ready`` is answered with the configuration, if it has changed since it got it."""
        child = self.child
        assert child is not None
        if what == "publish":
            return child.publish(fields["readings"], self._clock.monotonic())
        if what != "ready":
            return await self._requests(0, what, fields)
        child.is_ready = True
        if self.on_ready is not None:
            self.on_ready(child)
        return self.text if child.text != self.text else None

    async def _watch(self) -> None:
        """End it if its event loop has been silent for too long; ``_keep`` starts it anew."""
        last = self._clock.monotonic()
        while True:
            await asyncio.sleep(_WATCH_S)
            now = self._clock.monotonic()
            is_late, last = now - last > 2 * _WATCH_S, now
            child, beat = self.child, self._board.last_beat(0)
            if is_late or child is None or not beat:
                continue
            number = hang_signal(now - beat, self._config.workers.heartbeat, child.is_aborted)
            if number is not None:
                log.error("notifier hangs; killed", extra={"silent_s": round(now - beat, 1)})
                child.is_ready, child.is_aborted = False, True
                child.kill(number)
