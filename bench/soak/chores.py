"""The administrator's day: one chore at a time, by the command line as typed, while everything goes on.

``done`` counts what was obeyed and ``refused`` what was not, by chore: the relay may be restarting. What must
not be in any case, a call that the command line does not understand or a traceback, is in ``wrong``.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable

from bench.soak.clients import Clients
from bench.soak.mails import MOODY, SENDERS
from bench.soak.scene import Scene
from tests.crash import mail
from tests.crash.ledger import Ledger
from tests.crash.rig import ACCOUNT
from tests.fakes.command_line import typed

_BACKUPS = 5
_SHOP = SENDERS[1]
_READS = (
    "status", "status --json", "stats", "queue list", "queue count", "queue sites", "queue uncertain",
    "events tail -n 20", "account list", "identity list", "topic list", "config check",
    "suppression list --service", "identity keys shop.example", "account quota news",
)  # fmt: skip


class Chores:
    """``names`` are those that there are."""

    def __init__(self, scene: Scene, clients: Clients, ledger: Ledger) -> None:
        self.done: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._scene, self._clients, self._ledger = scene, clients, ledger
        self._rig = scene.rig
        self._turn = 0
        self._level = "warning"
        self._chores: dict[str, Callable[[], Awaitable[bool]]] = {
            "reload": self.reload, "hangup": self.hangup, "bad file": self.bad_file,
            "log level": self.log_level, "certificate": self.certificate, "dkim": self.dkim,
            "credential": self.credential, "account": self.account, "identity": self.identity,
            "hold and release": self.hold_and_release, "flush": self.flush, "suppression": self.suppression,
            "look": self.look, "send": self.send, "scrape": self.scrape, "trace": self.trace,
            "backup": self.backup,
        }  # fmt: skip

    @property
    def names(self) -> tuple[str, ...]:
        """In the order of the plan's dice."""
        return tuple(self._chores)

    async def do(self, name: str) -> None:
        """One of them."""
        (self.done if await self._chores[name]() else self.refused)[name] += 1

    async def lets_all_go(self) -> None:
        """Nothing is held any more, and what waits for a receiver that asked for very little mail goes to
        another one. RuntimeError if the relay does not obey."""
        elsewhere = f"127.0.0.1:{self._scene.main.port}"
        for words in (
            ("release", "--all"),
            ("reroute", "--domain", MOODY, "--to", elsewhere),
            ("flush", "--all"),
        ):
            if not await self._type("queue", *words, "--yes"):
                raise RuntimeError(f"queue {words[0]}: refused; see {self._rig.log}")

    async def _run(self, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        environment = {**os.environ, "RELAY_CONFIG": str(self._rig.config)}
        try:
            done = await asyncio.to_thread(typed, words, environment, stdin)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(words, 1, b"", b"")
        if b"Usage: " in done.stderr or b"Traceback" in done.stderr:
            self.wrong.append(f"{' '.join(words)}: {done.returncode} {done.stderr[-500:].decode()}")
        return done

    async def _type(self, *words: str) -> bool:
        return (await self._run(*words)).returncode == 0

    # -- the chores ---------------------------------------------------------------------------------------

    async def reload(self) -> bool:
        return await self._type("reload")

    async def hangup(self) -> bool:
        self._rig.kill([self._rig.pid], signal.SIGHUP)
        return True

    async def bad_file(self) -> bool:
        """What cannot be used is not taken over, and the relay goes on."""
        text = self._rig.config.read_text()
        try:
            self._rig.config.write_text(text.replace("[spool]", "[spoool]"))
            before = self._rig.log.stat().st_size
            self._rig.kill([self._rig.pid], signal.SIGHUP)
            for _ in range(100):
                with self._rig.log.open("rb") as log:
                    log.seek(before)
                    if b"not taken over" in log.read():
                        return True
                await asyncio.sleep(0.05)
        finally:
            self._rig.config.write_text(text)
        return False

    async def log_level(self) -> bool:
        """A line for each message now and then."""
        before, self._level = self._level, "info" if self._level == "warning" else "warning"
        text = self._rig.config.read_text()
        self._rig.config.write_text(text.replace(f'level = "{before}"', f'level = "{self._level}"'))
        return await self._type("reload")

    async def certificate(self) -> bool:
        self._scene.issue()
        return await self._type("reload")

    async def dkim(self) -> bool:
        """New keys, which sign at once."""
        return await self._type("identity", "easy-dkim", _SHOP.domain, "--ed25519", "--verified")

    async def credential(self) -> bool:
        """A second one comes and goes."""
        made = await self._run("credential", "create", _SHOP.account, "--json")
        if made.returncode:
            return False
        key = json.loads(made.stdout)["access_key_id"]
        return await self._type("credential", "disable", key) and await self._type(
            "credential", "delete", key
        )

    async def account(self) -> bool:
        """Paused, which refuses its mail, and resumed."""
        name = SENDERS[-1].account
        is_paused = await self._type("account", "pause", name, "--reason", "a chore")
        await asyncio.sleep(0.5)
        return await self._type("account", "resume", name) and is_paused

    async def identity(self) -> bool:
        self._turn += 1
        name = f"brand{self._turn}.example"
        is_added = await self._type("identity", "add", _SHOP.account, name, "--verified")
        return await self._type("identity", "remove", name) and is_added

    async def hold_and_release(self) -> bool:
        is_held = await self._type("queue", "hold", "--domain", mail.NARROW, "--yes")
        await asyncio.sleep(1.0)
        return await self._type("queue", "release", "--all", "--yes") and is_held

    async def flush(self) -> bool:
        return await self._type("queue", "flush", "--all", "--yes")

    async def suppression(self) -> bool:
        self._turn += 1
        address = f"nobody{self._turn}@elsewhere.example"
        is_added = await self._type("suppression", "add", address, "--account", _SHOP.account)
        return await self._type("suppression", "remove", address, "--account", _SHOP.account) and is_added

    async def look(self) -> bool:
        """One of the commands that only read."""
        self._turn += 1
        words = _READS[self._turn % len(_READS)].split()
        done = await self._run(*words)
        return done.returncode == 0 or words[0] == "status"  # which says by it how the relay is

    async def send(self) -> bool:
        """A message through ``relay send``: status 0 is a promise."""
        made = mail.make(next(self._clients.numbers), 2000)
        content = mail.unstuff(made.content.removesuffix(b".\r\n"))
        words = ("send", "-i", "-A", ACCOUNT, "-f", made.sender, *made.recipients)
        done = await self._run(*words, stdin=content)
        if done.returncode == 0:
            self._ledger.note(made.recipients)
        return done.returncode == 0

    async def scrape(self) -> bool:
        """/metrics, which must come whole."""

        def get() -> bool:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self._scene.metrics}/metrics", timeout=20
            ) as answer:
                return answer.status == 200 and b"relay_" in answer.read()

        return await asyncio.to_thread(get)

    async def backup(self) -> bool:
        """Made and checked, then thrown away; not ever again, since the event log of an hour is large."""
        if self.done["backup"] >= _BACKUPS:
            return True
        target = self._scene.folder / "backup"
        is_made = await self._type("backup", str(target))
        is_good = is_made and await self._type("backup", "--verify", str(target))
        await asyncio.to_thread(shutil.rmtree, target, ignore_errors=True)
        return is_good

    async def trace(self) -> bool:
        """The dialogues of two seconds."""
        return await self._type("trace", "--account", _SHOP.account, "--for", "2s")
