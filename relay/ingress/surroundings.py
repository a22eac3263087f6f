"""What a session needs from the rest of the relay: declared here, joined in the wiring.

Contract: ``Acceptance`` is the promise (a future of what was accepted); ``Accounts`` says who a client is.
One ``Surroundings`` is shared by all listeners of a worker.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from relay.base.admission import Accepted
from relay.base.budget import Budget
from relay.base.clock import Clock
from relay.base.inbound import Door
from relay.base.message import Submission
from relay.base.tasks import Tasks
from relay.base.trace import Traces
from relay.ingress.auth import Throttle
from relay.ingress.connections import Tally
from relay.ingress.counters import Counters
from relay.ingress.tls import Certificate


class Grant(Protocol):
    """A credential that was proved."""

    @property
    def key_id(self) -> str:
        """The access key id."""
        ...

    @property
    def account_id(self) -> int:
        """Whose mail it is."""
        ...


class Accounts(Protocol):
    """Who may log in. Any exception means that the store cannot say now: 454."""

    def authenticate(self, username: str, password: str) -> Grant | None:
        """The credential, or None if there is no such one or the password is wrong."""
        ...


class Acceptance(Protocol):
    """The relay's one acceptance function."""

    def accept(self, submission: Submission) -> asyncio.Future[Accepted]:
        """The promise once the message is on disk; Refused or SpoolError as the future's exception."""
        ...


class Gate(Protocol):
    """Whom an inbound listener takes mail for, and how much of it (``relay.ingress.inbound``)."""

    def door(self, address: str, domain: str) -> Door:
        """What a recipient is to us."""
        ...

    def takes_from(self, address: str, now: float) -> bool:
        """Whether one more message from a client may come now; counts it."""
        ...


@dataclass(slots=True)
class Surroundings:
    """The parts that every session of a worker uses."""

    intake: Acceptance
    accounts: Accounts
    tally: Tally
    throttle: Throttle
    budget: Budget
    counters: Counters
    clock: Clock
    tasks: Tasks = field(default_factory=lambda: Tasks("ingress"))
    certificate: Certificate | None = None
    gate: Gate | None = None  # of inbound listeners
    traces: Traces = field(default_factory=Traces)
