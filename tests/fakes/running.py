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
import shlex
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relay.base.errors import RelayError
from relay.daemon import config, control, first
from relay.daemon.demo import verify
from relay.daemon.wiring import load_service_keys
from relay.directory import keys
from relay.directory.store import Directory

ACCOUNT, DOMAIN, HOSTNAME = "tests", "sender.example", "relay.test.example"
SENDER = f"app@{DOMAIN}"
START_S = STOP_S = 45.0
_SHARED = ("relay.key", "tls.key", "tls.crt", "service.pem", "directory.db")


def wait_until(is_true: Callable[[], Any], what: str, timeout_s: float = 30.0) -> Any:
    """The first true answer; an AssertionError that names ``what`` if none comes in time."""
    deadline = time.monotonic() + timeout_s
    while not (answer := is_true()):
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"
        time.sleep(0.02)
    return answer


class Port:
    """A port of loopback that nobody else gets: bound, not listening, and open to our own program."""

    def __init__(self, host: str = "127.0.0.1", number: int = 0) -> None:
        self._socket = socket.socket()
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            self._socket.setsockopt(socket.SOL_SOCKET, option, 1)
        self._socket.bind((host, number))
        self.number: int = self._socket.getsockname()[1]

    def free(self) -> None:
        self._socket.close()


@dataclass(frozen=True)
class Prepared:
    """What takes long to make and may be copied."""

    folder: Path
    username: str
    secret: str
    password: str


def prepare(folder: Path) -> Prepared:
    """Keys, certificate, and a directory with an account, a verified domain and a credential."""
    first.make(folder, first.Choices(HOSTNAME))
    settings = config.load(folder / "relay.toml")
    directory = open_directory(settings)
    directory.accounts.create(ACCOUNT, f"postmaster@{DOMAIN}")
    directory.identities.add(ACCOUNT, DOMAIN, algorithms=(keys.RSA, keys.ED25519), is_verified=True)
    made = directory.credentials.create(ACCOUNT)
    directory.close()
    return Prepared(folder, made.smtp_username, made.secret, made.smtp_password)


def open_directory(settings: config.Config) -> Directory:
    section = settings.directory
    return Directory(section.url, section.key_file, section.region)


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
        delivery: str = "",
        limits: str = "",
        retry: str = '["300ms"]',
        more: str = "",
    ) -> None:
        self.folder = folder
        self.prepared = prepared
        self._ports = [Port() for _ in range(6)]
        (
            self.starttls,
            self.wrapper,
            self.metrics,
            self.trusted,  # no TLS, no AUTH: loopback is trusted to send for the account
            self.proxied,  # loopback is the proxy
            self.far_proxied,  # the proxy is somewhere else
        ) = (port.number for port in self._ports)
        self.spool = folder / "spool"
        self.log_file = folder / "relay.log"
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        for name in _SHARED:
            shutil.copy(prepared.folder / name, folder / name)
        self._route = (
            f'[[route]]\ndomain = "*"\nnext_hop = "127.0.0.1:{next_hop}"\ntls = "none"\n' if next_hop else ""
        )
        self._delivery, self._retry, self._limits, self._more = delivery, retry, limits, more
        self.file = folder / "relay.toml"
        self.heartbeat = heartbeat
        self.configure(workers)

    def configure(self, workers: int = 2, more: str | None = None) -> None:
        """Write the configuration anew; a running relay hears of it by ``reload`` or a restart."""
        self.workers = workers
        self._more = self._more if more is None else more
        self.file.unlink(missing_ok=True)
        tables = f"""
[[listener]]
address = "127.0.0.1:{self.trusted}"
tls = "none"
auth = "none"
trusted_networks = ["127.0.0.0/8"]
account = "{ACCOUNT}"
[[listener]]
address = "127.0.0.1:{self.proxied}"
proxy_protocol = true
proxy_networks = ["127.0.0.1/32"]
[[listener]]
address = "127.0.0.1:{self.far_proxied}"
proxy_protocol = true
proxy_networks = ["192.0.2.1/32"]
[delivery]
retry_schedule = {self._retry}
retry_jitter = 0.0
site_retry = "200ms"
site_retry_max = "400ms"
{self._delivery}
[limits]
{self._limits}
[workers]
count = {workers}
drain = "5s"
heartbeat = "{self.heartbeat}"
{self._route}{self._more}"""
        first.make(
            self.folder,
            first.Choices(
                HOSTNAME,
                (f"127.0.0.1:{self.starttls}",),
                (f"127.0.0.1:{self.wrapper}",),
                f"127.0.0.1:{self.metrics}",
                tables,
            ),
        )
        self.settings = config.load(self.file)

    # -- the process --------------------------------------------------------------------------------------

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
                [sys.executable, "-m", "relay", "--config", str(self.file), "run"],
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

    def worker_pids(self) -> list[int]:
        """The processes below the supervisor."""
        assert self.process is not None
        pid = self.process.pid
        with suppress(OSError):
            return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return []

    def stop(self) -> None:
        """SIGTERM, and an orderly end within the bound."""
        self.signal(signal.SIGTERM)
        assert self.process is not None
        assert self.process.wait(STOP_S) == 0, self.log()

    def kill(self) -> None:
        """Power failure, as far as processes can have one: SIGKILL to all of them."""
        assert self.process is not None
        below = self.worker_pids()
        for pid in [self.process.pid, *below]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(STOP_S)
        wait_until(lambda: not any(map(_is_alive, below)), "killed workers are gone")

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
        for port in self._ports:
            port.free()
        print(self.log())

    # -- what it says -------------------------------------------------------------------------------------

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

    def command(self, *words: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
        """``relay`` with these words."""
        line = [sys.executable, "-m", "relay"]
        environment = {**os.environ, "RELAY_CONFIG": str(self.file)}
        return subprocess.run([*line, *words], input=stdin, capture_output=True, env=environment, timeout=60)

    def wait_for_directory(self, directory: Directory, timeout_s: float = 4.0) -> None:
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
        directory = self.directory()
        signing = (
            *directory.identities.signing_keys(DOMAIN, ACCOUNT),
            *load_service_keys(self.settings),
        )
        directory.close()
        records = {key.record_name: keys.public_record(key) for key in signing}
        found: dict[str, bool] = {}
        for signer, is_good in verify(content, records):
            domain = signer.partition("/")[0]
            found[domain] = found.get(domain, True) and is_good
        return found

    # -- its clients --------------------------------------------------------------------------------------

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


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def message(subject: str = "test", sender: str = SENDER, to: str = "someone@receiver.example") -> bytes:
    """A small message; its subject is what the receiver is asked about."""
    return f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\n\r\nHello {subject}\r\n".encode()
