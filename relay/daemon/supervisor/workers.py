"""The workers as a set: started, watched, started anew, drained.

A worker that dies, or whose event loop does not touch the board for [workers] heartbeat, is started anew,
with backoff while it dies young. One that cannot start because of the configuration ends the whole relay, as
long as not all have been ready once: an administrator is there then. Later the others go on, and it is tried
again.

State, owned by the event loop: ``children``, the processes by number.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from itertools import count
from typing import Any

from relay.base.clock import Clock
from relay.base.errors import RelayError
from relay.base.tasks import Tasks
from relay.daemon.board import Board
from relay.daemon.exits import EX_CONFIG
from relay.daemon.link import LinkError
from relay.daemon.settings.config import Config
from relay.daemon.supervisor.child import FIRST_BEAT_S, Child, Outfit, Restarts, hang_signal
from relay.daemon.supervisor.watchdog import Pulse, silent_s
from relay.spool.recover import shards_in

log = logging.getLogger(__name__)

_WATCH_S = 1.0

Requests = Callable[[int, str, dict[str, Any]], Awaitable[Any]]
"""What workers ask of the supervisor: which life of a worker, what, with what."""


class Workers:
    """All workers of one relay."""

    def __init__(
        self,
        boot_text: str,
        settings: Config,
        sockets: Sequence[list[list[socket.socket]]],
        clock: Clock,
        tasks: Tasks,
        on_unusable: Callable[[], None],
        requests: Requests,
    ) -> None:
        """``sockets``: per worker, per listener; ``on_unusable`` hears that no worker can be started with
        this configuration; ``requests`` answers what workers ask."""
        self.count = len(sockets)
        self.text = boot_text
        self.children: dict[int, Child] = {}
        self.restarts = {number: Restarts() for number in range(self.count)}
        self.all_ready = asyncio.Event()
        self.is_draining = False
        self._boot_text = boot_text
        self._config = settings
        self._sockets = sockets
        self._clock = clock
        self._tasks = tasks
        self._on_unusable = on_unusable
        self._requests = requests
        self._lives = count(1)
        self._life: dict[int, int] = {}  # by number of the worker
        self.on_end: Callable[[int], None] | None = None  # hears of a life that has ended
        self.on_ready: Callable[[Child], None] | None = None  # hears of one that works from now on
        self._board = Board.make(self.count)

    def start(self) -> None:
        """Start them all, and keep them running."""
        for number in range(self.count):
            self._tasks.spawn(self._keep(number), f"worker {number}")
        self._tasks.spawn(self._watch(), "watch")

    @property
    def ready(self) -> list[Child]:
        """Those that work."""
        return [child for child in self.children.values() if child.is_ready]

    def readiness(self) -> dict[int, bool]:
        """Per worker, whether it works."""
        ready = {child.number for child in self.ready}
        return {number: number in ready for number in range(self.count)}

    def pulses(self) -> list[Pulse]:
        """What the board and the processes say of whether each lives."""
        return [
            Pulse(
                child.number,
                child.started_at if child.process.returncode is None else None,
                self._board.last_beat(child.number),
            )
            for child in self.children.values()
        ]

    async def readings(self) -> dict[int, dict[str, Any]]:
        """What each worker counts; one that does not answer is missing."""
        children = self.ready
        found = await asyncio.gather(*[child.readings() for child in children])
        return {c.number: r for c, r in zip(children, found, strict=True) if r is not None}

    def everyone(self) -> list[Child]:
        """All workers. Raises LinkError while one is not ready: a part of the queue would be left out."""
        missing = [str(number) for number, is_ready in self.readiness().items() if not is_ready]
        if missing:
            raise LinkError(
                f"worker {', '.join(missing)} is not ready; try again in a moment, or see the relay's log"
            )
        return self.ready

    def living(self, life: int) -> Child | None:
        """The worker in one of its lives, if that has not ended."""
        for number, child in self.children.items():
            if self._life[number] == life:
                return child
        return None

    def stop_listening(self) -> None:
        """Close our ends of the sockets: once the workers close theirs, clients are refused at once. Those of
        systemd's it keeps itself, and clients wait there for the next relay."""
        for bound in self._sockets:
            for one in bound:
                for sock in one:
                    sock.close()

    async def drain(self, bound_s: float, at_once: asyncio.Event) -> None:
        """Let all end what is in flight: within the bound, or until ``at_once`` is set."""
        self.is_draining = True
        self.stop_listening()
        for child in self.children.values():
            child.kill(signal.SIGTERM)
        ended = self._tasks.spawn(self._all_ended(), "drain")
        asked = self._tasks.spawn(at_once.wait(), "at once")
        done, _ = await asyncio.wait([ended, asked], timeout=bound_s, return_when=asyncio.FIRST_COMPLETED)
        if ended not in done:
            log.warning("workers killed before they had ended", extra={"asked": at_once.is_set()})

    async def kill(self) -> None:
        """End what is left, and wait until it has ended."""
        self.is_draining = True
        for child in self.children.values():
            child.kill()
        await self._all_ended()

    async def _all_ended(self) -> None:
        for child in list(self.children.values()):
            await child.process.wait()

    async def _keep(self, number: int) -> None:
        """Run worker ``number``, again and again, until we drain."""
        while not self.is_draining:
            started = self._clock.monotonic()
            status = await self._run_once(number)
            if self.is_draining:
                return
            if status == EX_CONFIG and not self.all_ready.is_set():
                self._on_unusable()
                return
            delay_s = self.restarts[number].delay_s(self._clock.monotonic() - started)
            log.error("worker died", extra={"dead": number, "status": status, "restart_in_s": delay_s})
            await asyncio.sleep(delay_s)

    async def _run_once(self, number: int) -> int | str:
        """One life of a worker; its exit status (negative: the signal), or why it could not be started."""
        self._board.clear(number)
        try:
            child = await Child.start(self._outfit(number), self._answering(number))
        except OSError as error:
            return f"not started: {error}"  # no process or descriptor to be had: that may pass
        child.started_at = self._clock.monotonic()
        self.children[number] = child
        self._tasks.spawn(child.link.serve(), f"link {number}")
        if self.is_draining:
            child.kill(signal.SIGTERM)
        life = self._life[number]
        status = await child.process.wait()
        child.is_ready = False
        if self.on_end is not None:
            self.on_end(life)
        self._board.clear(number)
        return status

    def _outfit(self, number: int) -> Outfit:
        shards = shards_in(self._config.spool.path)
        # Shards of workers that are no more are shared out among those that are.
        orphans = [s for s in shards if s > self.count and (s - 1) % self.count == number]
        texts = (self._boot_text, self.text)
        return Outfit(
            number,
            self.count,
            self._sockets[number],
            self._board.descriptor,
            texts,
            str(self._config.path),
            orphans,
        )

    def _answering(self, number: int) -> Callable[[str, dict[str, Any]], Coroutine[Any, Any, Any]]:
        life = self._life[number] = next(self._lives)

        async def answer(what: str, fields: dict[str, Any]) -> Any:  # noqa: ANN401
            """``ready`` is answered with the configuration, if it has changed since the worker got it."""
            child = self.children[number]
            if what == "publish":
                return child.publish(fields["readings"], self._clock.monotonic())
            if what != "ready":
                return await self._requests(life, what, fields)
            child.is_ready = True
            if len(self.ready) == self.count:
                self.all_ready.set()
            if self.on_ready is not None:
                self.on_ready(child)
            return self.text if child.text != self.text else None

        return answer

    async def _watch(self) -> None:
        """End a worker whose event loop has not touched the board for too long; ``_keep`` starts it anew."""
        limit_s = self._config.workers.heartbeat
        last = self._clock.monotonic()
        while True:
            await asyncio.sleep(_WATCH_S)
            now = self._clock.monotonic()
            is_late, last = now - last > 2 * _WATCH_S, now
            if is_late:
                continue  # the whole machine stood still: let the workers breathe first
            for pulse in self.pulses():
                silence_s, child = silent_s(pulse, now), self.children[pulse.number]
                allowed_s = limit_s if pulse.last_beat else max(limit_s, FIRST_BEAT_S)
                number = hang_signal(silence_s, allowed_s, child.is_aborted)
                if number is not None:
                    shown = {"dead": child.number, "silent_s": round(silence_s, 1)}
                    log.error("worker hangs; killed", extra=shown)
                    child.is_ready, child.is_aborted = False, True
                    child.kill(number)

    async def take_over(self, text: str) -> None:
        """Pass on a new configuration: all workers say that they can, or none changes.

        Raises LinkError with a worker's refusal.
        """
        children = self.ready
        for child in children:
            await child.link.ask("prepare", text=text)
        self.text = text  # whoever starts, or becomes ready, from now on gets the new one
        for child in children:
            try:
                await child.link.ask("take over")
            except RelayError as error:
                log.error(
                    "worker did not take over; it is started anew",
                    extra={"dead": child.number, "why": str(error)},
                )
                child.kill(signal.SIGTERM)
