"""A relay that runs: the real daemon as a process of its own, with a configuration made for one test.

    prepared = prepare(folder)                       # once a session: keys, certificate, directory, login
    with RunningRelay(tmp_path, prepared, next_hop=receiver.port) as relay:
        with relay.client() as client:               # STARTTLS and AUTH LOGIN done
            client.sendmail(SENDER, ["someone@receiver.example"], b"...")
        relay.stop()                                 # SIGTERM; the exit status must be 0

Ports are held for as long as the test runs, so that tests beside this one cannot take them. Leaving ends
the supervisor and whatever it left behind, by pid, and prints the log, which pytest shows where a test fails.
"""

import asyncio
import os
import re
import shlex
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from relay.base.errors import RelayError
from relay.daemon import first
from relay.daemon.settings import config
from relay.daemon.supervisor import control
from relay.directory.store import Directory
from tests.fakes.command_line import typed
from tests.fakes.prepared import (
    HOSTNAME,
    SENDER,
    SHARED_FILES,
    Ports,
    Prepared,
    configuration,
    is_alive,
    open_directory,
    signatures,
    wait_until,
)
from tests.fakes.socket_unit import handing_over

START_S = STOP_S = 45.0


class RunningRelay:
    """See above. ``next_hop`` is the port of loopback where all mail goes; without it, MX records decide."""

    def __init__(
        self,
        folder: Path,
        prepared: Prepared,
        *,
        next_hop: int | None = None,
        workers: int = 2,
        heartbeat: str = "30s",
        drain: str = "5s",
        delivery: str = "",
        limits: str = "",
        retry: str = '["300ms"]',
        more: str = "",
    ) -> None:
        self.folder = folder
        self.prepared = prepared
        self.ports = Ports()
        self.starttls, self.wrapper = self.ports.starttls.number, self.ports.wrapper.number
        self.trusted, self.metrics = self.ports.trusted.number, self.ports.metrics.number
        self.proxied, self.far_proxied = self.ports.proxied.number, self.ports.far_proxied.number
        self.spool = folder / "spool"
        self.log_file = folder / "relay.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.handed: Sequence[socket.socket] = ()  # listening sockets that it is started with, as by systemd
        self.within: Sequence[str] = ()  # what becomes the relay: the start of its command line
        folder.mkdir(parents=True, exist_ok=True)
        for name in SHARED_FILES:
            shutil.copy(prepared.folder / name, folder / name)
        self._route = (
            f'[[route]]\ndomain = "*"\nnext_hop = "127.0.0.1:{next_hop}"\ntls = "none"\n' if next_hop else ""
        )
        self._delivery, self._retry, self._limits, self._more = delivery, retry, limits, more
        self.file = folder / "relay.toml"
        self._heartbeat, self._drain = heartbeat, drain
        self.configure(workers)

    def configure(self, workers: int = 2, more: str | None = None) -> None:
        """Write the configuration anew; a running relay hears of it by ``reload`` or a restart."""
        self.workers = workers
        self._more = self._more if more is None else more
        self.file.unlink(missing_ok=True)
        text = configuration(
            self.ports,
            delivery=f"retry_schedule = {self._retry}\n{self._delivery}",
            limits=self._limits,
            workers=f'count = {workers}\nheartbeat = "{self._heartbeat}"\ndrain = "{self._drain}"',
            more=self._route + self._more,
        )
        starttls, wrapper = f"127.0.0.1:{self.starttls}", f"127.0.0.1:{self.wrapper}"
        first.make(
            self.folder,
            first.Choices(HOSTNAME, (starttls,), (wrapper,), f"127.0.0.1:{self.metrics}", text),
        )
        self.settings = config.load(self.file)

    def __enter__(self) -> "RunningRelay":
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self) -> None:
        """Start it and wait until every worker is ready."""
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *handing_over(self.handed),
                    *self.within,
                    *(sys.executable, "-m", "relay", "--config", str(self.file), "run"),
                ],
                pass_fds=[one.fileno() for one in self.handed],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )
        wait_until(self.is_ready, f"every worker is ready:\n{self.log()[-3000:]}", START_S)

    def is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.log()}"
        try:
            return all(self.ask("status")["ready"].values())
        except RelayError:
            return False

    def ask(self, what: str, **fields: Any) -> Any:
        """Ask the supervisor, as the command line does."""
        return asyncio.run(control.ask(self.spool, what, 10.0, **fields))

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def pids_below(self, role: str = "") -> list[int]:
        """The processes below the supervisor; those of a role, "worker" or "notifier"."""
        assert self.process is not None
        pid = self.process.pid
        found = []
        with suppress(OSError):
            for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                with suppress(OSError):  # it has just ended; the others have not
                    words = Path(f"/proc/{word}/cmdline").read_bytes().split(b"\0")
                    if not role or role.encode() in words:
                        found.append(int(word))
        return found

    def worker_pids(self) -> list[int]:
        """The processes of the workers."""
        return self.pids_below("worker")

    def stop(self) -> None:
        """SIGTERM, and an orderly end within the bound."""
        self.signal(signal.SIGTERM)
        assert self.process is not None
        assert self.process.wait(STOP_S) == 0, self.log()

    def kill(self) -> None:
        """Power failure, as far as processes can have one: SIGKILL to all of them."""
        assert self.process is not None
        below = self.pids_below()
        for pid in [self.process.pid, *below]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(STOP_S)
        wait_until(lambda: not any(map(is_alive, below)), "killed workers are gone")

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self.ports.free()
        print(self.log())

    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def events(self, message_id: str) -> list[dict[str, str]]:
        """What the log tells of one message, a dict per line."""
        lines = [line for line in self.log().splitlines() if f" id={message_id} " in line]
        return [dict(word.partition("=")[::2] for word in shlex.split(line)) for line in lines]

    def wait_for_event(self, message_id: str, *kinds: str, timeout_s: float = 30.0) -> dict[str, str]:
        """The first event of one of these kinds about a message."""

        def found() -> dict[str, str] | None:
            return next((one for one in self.events(message_id) if one["event"] in kinds), None)

        event = wait_until(found, f"{' or '.join(kinds)}: {message_id}", timeout_s)
        return dict(event)

    def count(self, name: str) -> int:
        """One reading, over all workers."""
        return sum(one.get(name, 0) for one in self.ask("status")["readings"].values())

    def http(self, path: str) -> tuple[int, str]:
        """GET from the metrics listener."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def wait_for_scrape(self, pattern: str, timeout_s: float = 30.0) -> str:
        """Until a line of /metrics begins so (a regular expression): what is shown is a second old, more on
        a busy machine. The line."""

        def found() -> str:
            match = re.search(f"^{pattern}.*$", self.http("/metrics")[1], re.MULTILINE)
            return match[0] if match else ""

        return str(wait_until(found, f"a scrape shows {pattern}", timeout_s))

    def command(self, *words: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
        """``relay`` with these words."""
        return typed(words, {**os.environ, "RELAY_CONFIG": str(self.file)}, stdin)

    def wait_for_directory(self, directory: Directory, timeout_s: float = 30.0) -> None:
        """Until every worker has the latest change: it polls every second; the rest is for slow machines."""
        latest = directory.revision()

        def is_known() -> bool:
            workers = self.ask("status")["readings"].values()
            return len(workers) == self.workers and all(
                one["directory_revision"] >= latest for one in workers
            )

        wait_until(is_known, f"revision {latest} of the directory is in force", timeout_s)

    def directory(self) -> Directory:
        """What the administrator changes; close it."""
        return open_directory(self.settings)

    def signatures(self, content: bytes) -> dict[str, bool]:
        """Per signing domain: whether dkimpy verifies its signatures against the records to publish."""
        return signatures(self.settings, content)

    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.folder / "tls.crt"))

    def connect(self) -> smtplib.SMTP:
        """A session in TLS, not logged in."""
        client = smtplib.SMTP("localhost", self.starttls, timeout=30)
        try:
            client.starttls(context=self.tls())
            client.ehlo()
        except BaseException:
            client.close()
            raise
        return client

    def client(self, username: str = "", password: str = "") -> smtplib.SMTP:
        """A session in TLS, logged in."""
        client = self.connect()
        try:
            client.login(username or self.prepared.username, password or self.prepared.password)
        except BaseException:
            client.close()
            raise
        return client

    def send(self, content: bytes, to: str = "someone@receiver.example", options: Sequence[str] = ()) -> str:
        """One message through the trusted listener; returns its id."""
        with smtplib.SMTP("127.0.0.1", self.trusted, timeout=30) as client:
            client.ehlo()
            client.mail(SENDER, options)
            client.rcpt(to)
            code, reply = client.data(content)
        assert code == 250, reply
        return reply.decode().rpartition(" ")[2]
