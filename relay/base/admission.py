"""What policy decided on a message that may come in, and what acceptance promised.

An ``Admission`` is made by policy for one submission and read once by the intake. ``Accepted`` is the
promise: the message is on disk (or was accepted and dropped, as SES does with infected mail). Pure words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K")


class Accepted(NamedTuple):
    """A message that the relay has taken: its id, and what the 250 adds for people ("" for nothing)."""

    id: str
    note: str = ""


@dataclass(slots=True)
class Admission(Generic[K]):
    """How a message comes in. Nothing set: signed with ``keys``, delivered at once."""

    keys: Sequence[K] = ()
    identity: str = ""  # the verified identity that covers From
    has_headers: bool = False  # someone is told the header as it came: it is kept in the Send event
    control: str = ""  # what its X-SES-* fields asked for, as a JSON object; stored with the message
    deadline_s: float = 0.0  # seconds from acceptance until when it is worth delivering; 0: not asked for
    deadline_at: float = 0.0  # the same as a wall-clock moment
    return_path_domain: str = ""  # MAIL FROM on the wire is <return path>@ this; "": the sender's own
    due_at: float = 0.0  # wall-clock seconds before which there is no attempt; 0: at once
    is_held: bool = False  # no attempt until an operator releases it
    dropped: str = ""  # why it is accepted and not delivered; told as a Reject event
    note: str = ""  # for people, behind the message id in the 250
    tokens: int = 0  # recipients counted against the limits of the account; given back if it is not stored
    quota: int = 0  # of them, those that count against the quota too
    minute: int = 0  # of the ledger of limits, in which they were counted

    @property
    def is_waiting(self) -> bool:
        """It is stored and not handed to the scheduler now."""
        return self.is_held or self.due_at > 0.0
