"""A relay to be killed: made in a folder, started as ``relay run``, watched from outside.

It has a plain listener that trusts loopback, one route for everything, short retries, and an account that may
send as crash.example. What it holds is read from its databases, read-only, as an operator could.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack, closing, suppress
from pathlib import Path
from typing import Any

from bench.procs import wait_until_gone
from relay.base.errors import RelayError
from relay.daemon.supervisor import control
from relay.directory import keys, secrets
from relay.directory.store import Directory
from relay.spool.schema import DATABASE, open_reader
from tests.crash.mail import SENDING_DOMAIN
from tests.fakes.prepared import Port

ACCOUNT = "crash"
ROOT = Path(__file__).parents[2]
LOOK_S = 0.02  # between two looks at a condition


async def until(condition: Callable[[], Any], patience_s: float, what: str) -> Any:
    """Look until the condition holds; returns what it gave. TimeoutError, with ``what``, if it never does."""
    deadline = time.monotonic() + patience_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {patience_s:.0f} s still not: {what}")
        await asyncio.sleep(LOOK_S)
    return found


def _words(pid: int) -> list[bytes]:
    with suppress(OSError):  # it has just ended
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return []


class Rig:
    """One relay. Call ``end`` (or use it as a context) so that nothing of it stays."""

    def __init__(
        self,
        folder: Path,
        next_hop: int,
        *,
        workers: int = 2,
        spool: Path | None = None,
        sections: str = "",
        delivery: str = 'retry_schedule = ["1s"]\nsite_retry = "1s"\nsite_retry_max = "1s"',
        more_spool: str = 'disk_reserve = "0"',
        environment: dict[str, str] | None = None,
        sending_domain: str = SENDING_DOMAIN,
        routes: str | None = None,
        metrics: str = "",
    ) -> None:
        """``sections``: TOML to append; ``delivery`` and ``more_spool``: the lines of these tables;
        ``routes``: in place of one for everything to ``next_hop``; ``metrics``: what listens for them."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.workers = workers
        self.spool = spool or folder / "spool"
        self._held = Port()
        self.port = self._held.number
        self.log = folder / "relay.log"
        self.config = folder / "relay.toml"
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._known: set[int] = set()  # every process of the relay that we have seen
        self._make_directory(sending_domain)
        if routes is None:
            routes = f'[[route]]\ndomain = "*"\nnext_hop = "127.0.0.1:{next_hop}"\ntls = "none"\n'
        self.config.write_text(
            f"""
[relay]
hostname = "relay.crash.example"
[[listener]]
address = "127.0.0.1:{self.port}"
tls = "none"
auth = "none"
trusted_networks = ["127.0.0.0/8"]
account = "{ACCOUNT}"
[spool]
path = "{self.spool}"
{more_spool}
[directory]
key_file = "relay.key"
[delivery]
{delivery}
{routes}
[workers]
count = {workers}
drain = "3s"
[metrics]
listen = "{metrics}"
{sections}
"""
        )

    def directory(self) -> Directory:
        """What the administrator changes; close it."""
        url = f"sqlite:///{self.folder.absolute() / 'directory.db'}"
        return Directory(url, self.folder / "relay.key", "us-east-1")

    def _make_directory(self, sending_domain: str) -> None:
        secrets.create_key_file(self.folder / "relay.key")
        with closing(self.directory()) as directory:
            directory.migrate()
            directory.accounts.create(
                ACCOUNT, f"postmaster@{sending_domain}", max_send_rate=-1, max_24_hours=-1
            )
            directory.identities.add(ACCOUNT, sending_domain, algorithms=(keys.ED25519,), is_verified=True)

    def __enter__(self) -> Rig:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    # -- processes ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """``relay run``; does not wait."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "relay", "--config", str(self.config), "run"],
                stderr=log,
                stdout=log,
                cwd=ROOT,
                env=self._environment,
            )
        self._known.add(self._process.pid)

    async def ready(self, patience_s: float = 60.0) -> None:
        """Wait until all workers are ready. RuntimeError if the relay ends instead."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                raise RuntimeError(f"the relay ended with status {self._process.returncode}: {self.log}")
            with suppress(RelayError, OSError, TimeoutError):
                answer = await control.ask(self.spool, "status", 5.0)
                if all(answer["ready"].values()):
                    self.worker_pids()
                    return
            await asyncio.sleep(LOOK_S)
        raise TimeoutError(f"not ready after {patience_s:.0f} s: {self.log}")

    @property
    def is_running(self) -> bool:
        """The supervisor lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the supervisor."""
        assert self._process is not None
        return self._process.pid

    def worker_pids(self) -> list[int]:
        """The supervisor's children, oldest first: workers, and the notifier."""
        try:
            text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        except OSError:
            return []
        pids = [int(word) for word in text.split()]
        self._known.update(pids)
        return pids

    def notifier_pids(self) -> list[int]:
        """The notifier, if it has been started."""
        return [pid for pid in self.worker_pids() if b"notifier" in _words(pid)]

    def kill(self, pids: Iterable[int], number: int = signal.SIGKILL) -> None:
        """Send a signal to some of our processes; those that have ended do not mind."""
        for pid in pids:
            assert pid in self._known
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    async def gone(self, patience_s: float = 60.0) -> None:
        """Wait until no process of the relay is left."""
        if self._process is not None:
            await asyncio.to_thread(self._process.wait, patience_s)
        left = await asyncio.to_thread(wait_until_gone, self._known, patience_s)
        if left:
            raise TimeoutError(f"processes {left} do not end")
        self._known.clear()

    async def stop(self, patience_s: float = 60.0) -> int:
        """SIGTERM, and wait for the end; returns the exit status."""
        assert self._process is not None
        self.worker_pids()
        self._process.terminate()
        await self.gone(patience_s)
        return int(self._process.returncode)

    def end(self) -> None:
        """Nothing of it stays, whatever happened."""
        self._held.free()
        if self._process is not None:
            self.worker_pids()
            self.kill(self._known)
            self._process.wait(10)
            wait_until_gone(self._known, 10.0)

    # -- what it holds ------------------------------------------------------------------------------------

    def shards(self) -> list[Path]:
        """The folders of the shards."""
        return [one for one in sorted(self.spool.glob("shard-*")) if (one / DATABASE).exists()]

    def _ask(self, sql: str) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        for folder in self.shards():
            with closing(open_reader(folder)) as connection:
                rows += connection.execute(sql).fetchall()
        return rows

    def waiting(self) -> int:
        """Messages in the spool."""
        return sum(n for (n,) in self._ask("SELECT count(*) FROM message"))

    def is_empty(self) -> bool:
        """No message is in the spool; cheap."""
        with suppress(sqlite3.OperationalError):  # a shard that is being made
            return not self._ask("SELECT 1 FROM message LIMIT 1")
        return False

    def uncertain(self) -> set[str]:
        """Addresses whose message may have arrived twice, as the relay lists them."""
        return {address for (address,) in self._ask("SELECT address FROM uncertain")}

    async def readings(self) -> dict[str, dict[str, Any]]:
        """What each worker counts."""
        answer = await control.ask(self.spool, "status", 10.0)
        return dict(answer["readings"])

    def traceback_count(self) -> int:
        """Tracebacks in the log: bugs, whatever the ledgers say."""
        return self.log.read_bytes().count(b"Traceback")


class SinkProcess:
    """The receiver of mail, or of notifications, with a ledger that outlives it."""

    def __init__(self, record: Path, port: int, process: asyncio.subprocess.Process) -> None:
        self.record = record
        self.port = port
        self._process = process

    @classmethod
    async def start(
        cls, record: Path, stack: AsyncExitStack, *words: str, module: str = "tests.crash.sink"
    ) -> SinkProcess:
        """Start it with these options, and end it with the stack."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, "--record", str(record), *words,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT,
        )  # fmt: skip
        assert process.stdout is not None
        line = await process.stdout.readline()
        sink = cls(record, json.loads(line)["port"], process)
        stack.push_async_callback(sink.end)
        return sink

    def behave(self, mood: str) -> None:
        """``calm`` or ``wild``."""
        assert self._process.stdin is not None
        self._process.stdin.write(mood.encode() + b"\n")

    @property
    def faults(self) -> list[str]:
        """Messages that were not whole."""
        file = self.record.with_suffix(".faults")
        return file.read_text().splitlines() if file.exists() else []

    async def end(self) -> None:
        """Close its standard input, wait for its end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
