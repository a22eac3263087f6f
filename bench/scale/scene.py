"""What the parts share: the receiver as a process, a relay with two accounts, load, and what to watch."""

from __future__ import annotations

import asyncio
import json
import smtplib
import sys
import time
import urllib.request
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

from bench import procs
from bench.content import DOMAIN, RECEIVER, SENDER
from relay.directory import keys
from relay.directory.store import Directory
from tests.crash.rig import ROOT, Rig, until
from tests.fakes.prepared import Port

OTHER_ACCOUNT, OTHER_DOMAIN = "other", "other.bench.example"


class Sites:
    """The receiver, see ``bench.scale.receiver``."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, dns: int) -> None:
        self.port, self.dns = port, dns
        self.arrived: dict[str, float] = {}  # one-time passwords, and when
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._commands, self._told = process, process.stdin, process.stdout
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    @classmethod
    async def start(cls, stack: AsyncExitStack) -> Sites:
        """Start it; it ends with the stack."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.scale.receiver",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT,
        )  # fmt: skip
        assert process.stdout is not None
        sites = cls(process, **json.loads(await process.stdout.readline()))
        reading = asyncio.get_running_loop().create_task(sites._read())
        stack.push_async_callback(sites._end, reading)
        return sites

    async def _read(self) -> None:
        while line := await self._told.readline():
            words = json.loads(line)
            if "otp" in words:
                self.arrived[words["otp"]] = words["at"]
            else:
                self._answers.put_nowait(words)

    async def _end(self, reading: asyncio.Task[None]) -> None:
        self._commands.close()
        await self._process.wait()
        await reading

    async def say(self, command: str) -> dict[str, Any]:
        """A command; the state after it."""
        self._commands.write(command.encode() + b"\n")
        return await self._answers.get()

    async def wait_for(self, count: int, patience_s: float) -> dict[str, Any]:
        """Until so many messages have come."""
        deadline = time.monotonic() + patience_s
        while (state := await self.say("count"))["received"] < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {patience_s:.0f} s {state} and not {count}")
            await asyncio.sleep(0.05)
        return state

    async def wait_for_password(self, address: str, patience_s: float) -> float:
        """When it arrived. TimeoutError if it did not."""
        return float(await until(lambda: self.arrived.get(address), patience_s, f"{address} arrives"))


class Scene:
    """One relay before a receiver."""

    def __init__(
        self,
        folder: Path,
        sites: Sites,
        stack: AsyncExitStack,
        *,
        workers: int = 2,
        routes: str | None = None,
        delivery: str = "",
        spool: Path | None = None,
    ) -> None:
        """``routes``: TOML in place of one for all mail to the receiver; ``delivery``: lines of the table."""
        self.sites = sites
        other, metrics = Port(), Port()
        stack.callback(other.free)
        stack.callback(metrics.free)
        self.other, self.metrics = other.number, metrics.number
        self.rig = stack.enter_context(
            Rig(
                folder,
                sites.port,
                workers=workers,
                routes=routes,
                delivery=delivery,
                spool=spool,
                metrics=f"127.0.0.1:{self.metrics}",
                sending_domain=DOMAIN,
                sections=f"""
[[listener]]
address = "127.0.0.1:{self.other}"
tls = "none"
auth = "none"
trusted_networks = ["127.0.0.0/8"]
account = "{OTHER_ACCOUNT}"
""",
            )
        )
        url = f"sqlite:///{self.rig.folder.absolute() / 'directory.db'}"
        with closing(Directory(url, self.rig.folder / "relay.key", "us-east-1")) as directory:
            directory.accounts.create(
                OTHER_ACCOUNT, f"postmaster@{OTHER_DOMAIN}", max_send_rate=-1, max_24_hours=-1
            )
            directory.identities.add(
                OTHER_ACCOUNT, OTHER_DOMAIN, algorithms=(keys.ED25519,), is_verified=True
            )

    async def send(self, to: str, by_s: int = 0, is_other: bool = False) -> float:
        """One small message, with so many seconds until its deadline (RFC 2852); when its 250 came."""
        return await asyncio.to_thread(self._send, to, by_s, is_other)

    def _send(self, to: str, by_s: int, is_other: bool) -> float:
        sender = f"app@{OTHER_DOMAIN}" if is_other else SENDER
        with smtplib.SMTP("127.0.0.1", self.other if is_other else self.rig.port, timeout=60) as client:
            client.ehlo()
            client.mail(sender, [f"BY={by_s};R"] if by_s else [])
            client.rcpt(to)
            code, reply = client.data(
                f"From: {sender}\r\nTo: {to}\r\nSubject: 123456\r\n\r\n123456\r\n".encode()
            )
            at = time.monotonic()
        if code != 250:
            raise RuntimeError(f"{to}: {code} {reply!r}")
        return at

    async def load(self, messages: int, size_bytes: int = 4096, connections: int = 20) -> dict[str, Any]:
        """Hand in so many messages as fast as they are taken."""
        source = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.source", "--port", str(self.rig.port), "--messages", str(messages),
            "--size", str(size_bytes), "--connections", str(connections), "--patience", "1800",
            stdout=asyncio.subprocess.PIPE, cwd=ROOT,
        )  # fmt: skip
        try:
            out, _ = await source.communicate()
        finally:
            if source.returncode is None:
                source.kill()
        figures = json.loads(out.splitlines()[-1])
        if "error" in figures:
            raise RuntimeError(f"source: {figures}")
        return dict(figures)

    async def rush(self, messages: int) -> dict[str, float]:
        """Fresh mail at full speed: accepted and delivered a second."""
        await self.sites.say("forget")
        began, cpu_s = time.monotonic(), self.cpu_s()
        figures = await self.load(messages)
        state = await self.sites.wait_for(messages, 600.0)
        return {
            "cpu_s_per_1000": round(1000 * (self.cpu_s() - cpu_s) / messages, 3),
            "accepted_per_s": round(figures["accepted_per_s"]),
            "delivered_per_s": round(messages / (state["last_at"] - began)),
        }

    def cpu_s(self) -> float:
        """CPU seconds of all workers so far: says more than a rate where the machine has others to serve."""
        return procs.cpu_s(self.rig.worker_pids())

    def largest_worker_mb(self) -> float:
        """Resident megabytes of the largest worker now."""
        processes = procs.read_all()
        sizes = [processes[pid].rss_bytes for pid in self.rig.worker_pids() if pid in processes]
        return round(max(sizes, default=0) / (1 << 20), 1)

    async def scrape(self) -> float:
        """Milliseconds until all of /metrics has come."""
        return await asyncio.to_thread(self._scrape)

    def _scrape(self) -> float:
        began = time.monotonic()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=30) as answer:
            answer.read()
        return round(1000 * (time.monotonic() - began), 1)


class Peak:
    """Samples a number until the stack ends; ``most`` is its largest."""

    def __init__(self, read: Any, stack: AsyncExitStack, every_s: float = 0.2) -> None:
        self.most = 0.0
        self._read, self._every_s = read, every_s
        task = asyncio.get_running_loop().create_task(self._sample())
        stack.callback(task.cancel)

    async def _sample(self) -> None:
        while True:
            self.most = max(self.most, self._read())
            await asyncio.sleep(self._every_s)


def one_site(number: int) -> str:
    """Addresses at the site that the sources send to."""
    return f"user{number}@{RECEIVER}"
