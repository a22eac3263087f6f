"""The life of a MAIL FROM domain: what its MX record means, and what follows. Decisions, pure.

States (``RecordState``), as SES names them:

    pending   asked for, its MX not seen yet (Pending); after ``pending_for_s`` it has failed
    verified  its MX leads to the relay (Success): mail of the identity goes out under it
    warned    the MX was there and is gone (TemporaryFailure); after ``warned_for_s`` it has failed
    failed    not looked for any more (Failed), until it is set again

Contract: ``decide(stand, seen, now, times)`` says how it stands after one look, when to look again, and what
the owner is to be told, once for each change of state. Only ``verified`` is used; in each other state the
owner's choice decides. What the DNS could not answer (``Seen.UNKNOWN``) changes nothing, however long that
goes on.

As SES, exactly one MX counts as right: with a second one reports would go elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from relay.directory.records import OnMailFromFailure, RecordState

FIRST_LOOK_S = 30.0  # from the setting to the second look; then a quarter of the time that it is missing
LONGEST_WAIT_S = 3600.0


class Seen(Enum):
    """What the DNS says of the MX records."""

    RIGHT = "right"
    WRONG = "wrong"
    UNKNOWN = "unknown"  # no answer: no one knows


@dataclass(frozen=True, slots=True)
class Times:
    """How long records may be missing, and how often those that are right are looked at."""

    pending_for_s: float = 72 * 3600.0
    warned_for_s: float = 72 * 3600.0
    check_every_s: float = LONGEST_WAIT_S


@dataclass(frozen=True, slots=True)
class Stand:
    """How a MAIL FROM domain stands. ``until`` is when the claim under which it was read runs out."""

    identity_id: int
    account_id: int
    identity: str
    domain: str
    state: RecordState
    on_failure: OnMailFromFailure
    pending_since: float | None
    missing_since: float | None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What follows from one look: the new stand, and in it a change of state that the owner hears of."""

    state: RecordState
    missing_since: float | None
    next_check_at: float | None
    is_change: bool


def judge(hosts: Sequence[str], wanted: str) -> Seen:
    """What these MX hosts mean: right is the one that was asked for, alone."""
    return Seen.RIGHT if [host.lower() for host in hosts] == [wanted.lower()] else Seen.WRONG


def decide(stand: Stand, seen: Seen, now: float, times: Times) -> Step:
    """How it stands after a look at ``now`` (wall-clock seconds)."""
    state, missing_since = stand.state, stand.missing_since
    if state in (RecordState.NONE, RecordState.FAILED):
        return Step(state, missing_since, None, False)
    if seen is Seen.RIGHT:
        state, missing_since = RecordState.VERIFIED, None
    elif seen is Seen.WRONG:
        if state is RecordState.VERIFIED:
            state, missing_since = RecordState.WARNED, now
        is_warned = state is RecordState.WARNED
        since = missing_since if is_warned else stand.pending_since
        if now - _known(since, now) >= (times.warned_for_s if is_warned else times.pending_for_s):
            state = RecordState.FAILED
    if state is RecordState.FAILED:
        return Step(state, missing_since, None, True)
    since = missing_since if state is RecordState.WARNED else stand.pending_since
    wait_s = (
        times.check_every_s
        if state is RecordState.VERIFIED
        else min(max(FIRST_LOOK_S, (now - _known(since, now)) / 4), LONGEST_WAIT_S)
    )
    return Step(state, missing_since, now + wait_s, state is not stand.state)


def _known(since: float | None, now: float) -> float:
    return now if since is None else since
