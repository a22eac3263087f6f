"""A mail server on loopback for the demonstration: our own ingress, with a shelf in place of a spool.

It takes everything and keeps it in memory; hence only for `relay demo`.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from ipaddress import ip_network

from relay.base.admission import Accepted
from relay.base.budget import Budget
from relay.base.clock import SystemClock
from relay.base.errors import ConfigError, RelayError
from relay.base.message import Submission
from relay.daemon.sockets import bind, listen
from relay.ingress.auth import Throttle
from relay.ingress.connections import LocalTally
from relay.ingress.counters import Counters
from relay.ingress.listeners import Listener
from relay.ingress.settings import ListenerSettings
from relay.ingress.surroundings import Grant, Surroundings

HOST = "127.0.0.1"


class Receiver:
    """A mail server on loopback: our own ingress, with a shelf in place of a spool."""

    def __init__(self, port: int) -> None:
        """``port`` on loopback; 0 takes a free one, which is then ``port``."""
        self.port = port
        self.received: asyncio.Queue[Submission] = asyncio.Queue()

    def accept(self, submission: Submission) -> asyncio.Future[Accepted]:
        """Keep the message; acceptance is immediate."""
        self.received.put_nowait(submission)
        done: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        done.set_result(Accepted("received"))
        return done

    def authenticate(self, username: str, password: str) -> Grant | None:
        """No one logs in at a receiver."""
        return None

    async def start(self, stack: AsyncExitStack) -> None:
        """Listen until the stack unwinds. Raises ConfigError if the port is taken."""
        try:
            bound = bind((HOST, self.port), 1, "the receiver's port")
        except RelayError as error:
            raise ConfigError(f"{error}: does a demo run already?") from error
        listen(bound)
        self.port = bound[0].getsockname()[1]
        settings = ListenerSettings(
            "receiver.example", "none", "none", (ip_network("127.0.0.0/8"),), max_message_bytes=50_000_000
        )
        around = Surroundings(
            intake=self,
            accounts=self,
            tally=LocalTally(),
            throttle=Throttle(),
            budget=Budget(200_000_000),
            counters=Counters(),
            clock=SystemClock(),
        )
        await Listener(settings, around, bound, drain_s=2.0).start(stack)
