"""What a scrape and a health check are answered from: the readings that the other processes sent last.

Contract: no process is waited for. Workers and the notifier send their readings once a second by themselves
(``publish``); a worker that is saturated sends them late, and a scrape then shows older ones and says how
old. For the health check, one that has sent nothing for ``SILENT_S`` does not answer.

What the supervisor knows itself is read at the scrape: restarts, the limits of accounts, room on the disk,
certificates (read again when the file has changed).
"""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import relay
from relay.admin.health import Health, judge
from relay.admin.metrics import Everything, render
from relay.base.clock import Clock
from relay.daemon.settings.config import Config
from relay.daemon.supervisor.account_readings import Throttled, account_readings
from relay.daemon.supervisor.certificates import Certificates, named_by
from relay.daemon.supervisor.ledger_keeper import LedgerKeeper
from relay.daemon.supervisor.notifier_process import NotifierProcess
from relay.daemon.supervisor.reloading import Reloading
from relay.daemon.supervisor.workers import Workers
from relay.daemon.vitals import Vitals

SILENT_S = 10.0


class Scrape:
    """Answers for all processes."""

    def __init__(
        self,
        config: Callable[[], Config],
        workers: Workers,
        notifier: NotifierProcess,
        ledger: LedgerKeeper,
        reloading: Reloading,
        vitals: Vitals,
        clock: Clock,
    ) -> None:
        """``config`` is asked anew for what a reload changes."""
        self._config = config
        self._workers = workers
        self._notifier = notifier
        self._ledger = ledger
        self._reloading = reloading
        self._vitals = vitals
        self._clock = clock
        self._started_at = clock.now()
        self._certificates = Certificates()
        self._throttled = Throttled()
        self._look_at_certificates()  # as the workers read them, whenever the first scrape comes

    def _look_at_certificates(self) -> dict[Path, float | None]:
        return self._certificates.look(named_by(self._config()), self._reloading.done_at)

    def metrics(self, accept: str) -> tuple[bytes, str]:
        """The text of /metrics and its content type."""
        return render(self.everything(), accept)

    def health(self, *, is_draining: bool) -> Health:
        """How the relay is."""
        now = self._clock.monotonic()
        heard = {
            child.number: child.published
            for child in self._workers.ready
            if now - child.published_at <= SILENT_S
        }
        return judge(self._workers.readiness(), heard, is_draining=is_draining)

    def everything(self) -> Everything:
        """All readings."""
        workers = {child.number: child.published for child in self._workers.ready if child.published}
        return Everything(workers, self._notifier.published, self._own(workers))

    def _own(self, workers: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
        now, config, reloading = self._clock.monotonic(), self._config(), self._reloading
        certificates = self._look_at_certificates()
        publishers = [child for child in self._workers.ready if child.published]
        return {
            **self._vitals.readings(),
            **_disk(config),
            **account_readings(self._ledger.used, list(workers.values()), self._throttled.note(workers)),
            "worker_up": {str(number): is_up for number, is_up in self._workers.readiness().items()},
            "worker_restarts": {str(n): one.count for n, one in self._workers.restarts.items()},
            "worker_readings_age": {str(child.number): now - child.published_at for child in publishers},
            "notifier_up": self._notifier.is_ready,
            "notifier_restarts": self._notifier.restarts.count,
            "started_at": self._started_at,
            "info": {relay.__version__: 1},
            "build_info": {f"{relay.__version__} {platform.python_version()} {sqlite3.sqlite_version}": 1},
            "reloads": reloading.done,
            "reload_failures": reloading.failed,
            "reload_is_good": reloading.last is None or reloading.last.ok,
            "reloaded_at": reloading.done_at,
            "certificate_ends_at": {
                str(file): ends_at for file, ends_at in certificates.items() if ends_at is not None
            },
            "certificate_unreadable": {str(file): at is None for file, at in certificates.items()},
        }


def _disk(config: Config) -> dict[str, float]:
    """The file system of the spool; nothing if it cannot be asked."""
    try:
        state = os.statvfs(config.spool.path)
    except OSError:
        return {}
    return {
        "spool_free_bytes": state.f_bavail * state.f_frsize,
        "spool_size_bytes": state.f_blocks * state.f_frsize,
        "spool_free_files": state.f_favail,
        "spool_reserve_bytes": config.spool.disk_reserve,
    }
