"""Reading the configuration again while the relay runs: all take the new one over, or none does.

Contract: ``Reloading.run`` reads the file, judges it and every file that it names, asks all workers and the
notifier whether they can, and only then lets it come into force. Whatever is wrong raises RelayError, and
nothing has changed anywhere. A notifier that dies meanwhile hinders nobody: it starts with the new text.

``last`` is how the latest reload went, for who asks later; ``done`` and ``failed`` count them. All three are
of this life of the supervisor: after a restart nothing has been reloaded. ``text`` is the text in force,
``boot_text`` that of the start, from which settings marked [restart] still come.

One at a time; who asks meanwhile waits. It decides nothing about what a setting means (``settings.changes``).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

import relay
from relay.base.clock import Clock
from relay.base.errors import RelayError
from relay.daemon import systemd
from relay.daemon.settings import config
from relay.daemon.settings.changes import in_force, needs_restart
from relay.daemon.supervisor import files
from relay.daemon.supervisor.notifier_process import NotifierProcess
from relay.daemon.supervisor.workers import Workers

log = logging.getLogger(__name__)

SIGNAL = "SIGHUP"


@dataclass(frozen=True, slots=True)
class Reload:
    """How one went. ``why`` is what was wrong, or what waits for a restart; ``by`` a user, or SIGHUP."""

    at: float
    ok: bool
    why: str
    by: str


class Reloading:
    """State: the text in force, how the last reload went, how many there were."""

    def __init__(
        self,
        text: str,
        settings: config.Config,
        workers: Workers,
        notifier: NotifierProcess,
        clock: Clock,
        on_change: Callable[[config.Config], None],
    ) -> None:
        """``on_change`` hears what is in force now."""
        self.text = self.boot_text = text
        self._boot = settings
        self._on_change = on_change
        self.last: Reload | None = None
        self.done = self.failed = 0
        self.done_at = clock.now()  # since when what is in force is
        self._workers = workers
        self._notifier = notifier
        self._clock = clock
        self._lock = asyncio.Lock()

    def told(self) -> dict[str, Any] | None:
        """The last one, ready for JSON; None while there was none."""
        return None if self.last is None else asdict(self.last)

    def texts(self) -> dict[str, str]:
        """What is in force comes of these: the text of the start, and that of the last reload."""
        path = str(self._boot.path)
        return {"boot_text": self.boot_text, "text": self.text, "path": path, "version": relay.__version__}

    async def logged(self) -> None:
        """As ``run``, for a signal: who sent it reads the log."""
        with suppress(RelayError):  # logged
            await self.run(SIGNAL)

    async def run(self, by: str) -> list[str]:
        """Take over the file as it is now; returns the settings that need a restart. Raises RelayError."""
        async with self._lock, self._told_to_systemd():
            try:
                need = await self._take_over()
            except RelayError as error:
                self.failed += 1
                self.last = Reload(self._clock.now(), False, str(error), by)
                log.error(
                    "configuration not taken over; the old one is in force",
                    extra={"why": str(error), "by": by},
                )
                raise
            self.done += 1
            self.done_at = self._clock.now()
            waits = ", ".join(need)
            self.last = Reload(self._clock.now(), True, f"needs a restart: {waits}" if waits else "", by)
            log.info("configuration taken over", extra={"needs_restart": waits or "nothing", "by": by})
            return need

    @asynccontextmanager
    async def _told_to_systemd(self) -> AsyncIterator[None]:
        """READY says that it is over, also where nothing changed: whether it failed, who asked hears. Before
        the relay is ready for the first time, READY would say too much."""
        if not self._workers.all_ready.is_set():
            yield
            return
        systemd.notify(f"RELOADING=1\nMONOTONIC_USEC={int(self._clock.monotonic() * 1e6)}")
        try:
            yield
        finally:
            systemd.notify("READY=1")

    async def _take_over(self) -> list[str]:
        text, file = config.read(self._boot.path)
        wanted = config.parse(text, file)
        settings, need = in_force(self._boot, wanted), needs_restart(self._boot, wanted)
        await asyncio.to_thread(files.check, settings)
        await self._notifier.prepare(text)
        await self._workers.take_over(text)
        await self._notifier.take_over(text)
        self.text = text
        self._on_change(settings)
        return need
