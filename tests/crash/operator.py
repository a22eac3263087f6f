"""An operator who interferes with the queue while all around is killed: commands as typed, by chance."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter

from tests.crash import mail
from tests.crash.rig import Rig
from tests.fakes.command_line import typed

_USAGE = 2  # the exit status of a command that is not there, or not so


class Operator:
    """``done`` counts the commands. One that fails is no matter: the relay may be dying."""

    def __init__(self, rig: Rig, chance: random.Random, sink: int) -> None:
        """``sink`` is the port of the receiver that is always there."""
        self.done: Counter[str] = Counter()
        self._rig = rig
        self._chance = chance
        self._choices = (
            ("hold", "--domain", mail.NARROW),
            ("hold", "--domain", mail.DOMAINS[0]),
            ("release", "--all"),
            ("flush", "--all"),
            ("reroute", "--domain", mail.NARROW, "--to", f"127.0.0.1:{sink}"),
        )

    async def does_something(self) -> None:
        """One command."""
        await self._type(*self._chance.choice(self._choices))

    async def lets_all_go(self) -> None:
        """Nothing is held any more, everything is tried now. AssertionError if the relay does not obey."""
        assert await self._type("release", "--all") == 0
        assert await self._type("flush", "--all") == 0

    async def _type(self, what: str, *words: str) -> int:
        environment = {**os.environ, "RELAY_CONFIG": str(self._rig.config)}
        done = await asyncio.to_thread(typed, ["queue", what, *words, "--yes"], environment)
        assert done.returncode != _USAGE, done.stderr
        self.done[what] += done.returncode == 0
        return done.returncode
