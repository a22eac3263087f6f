"""How an identity's DKIM stands, from what the DNS shows of its records: the decision alone.

    NONE      an address, or a domain without keys
    PENDING   the records are looked for                          mail leaves without the signature
    VERIFIED  they were found, or an administrator vouches        mail is signed
    WARNED    they were there and are gone                        mail leaves without the signature
    FAILED    not found in 72 hours, or gone for five days        likewise, and nobody looks any more

Contract: PENDING ends when the records of all keys in use or in reserve are found together, as SES asks for
all three; from then on only those that sign matter, since a reserve that is missing harms no message (and is
not rotated into). An administrator's word (VERIFIED, never seen) is not taken back because the records cannot
be seen from here: only what was seen once can be gone. What the DNS could not say (UNKNOWN) changes nothing,
however long it lasts. FAILED ends only by the owner, who begins again.

Pure: no clock, no database, no DNS.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from relay.directory.records import RecordState

_FIRST_CHECK_S = 60.0
_SOON_S = 3600.0
_AFTER_UNKNOWN_S = 300.0


class Sight(StrEnum):
    """What the DNS showed of one record."""

    SEEN = "seen"
    ABSENT = "absent"  # no record, or one with another key
    UNKNOWN = "unknown"  # no answer: SERVFAIL, a timeout


class Step(StrEnum):
    """A change that the owner hears of."""

    FOUND = "dkim-verified"
    FAILED = "dkim-failed"
    WARNED = "dkim-warned"
    REVOKED = "dkim-revoked"
    RECOVERED = "dkim-recovered"
    RENEWED = "dkim-renewed"  # not of its standing: a selector that the owner publishes has a new key


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things last, in seconds; ``rotate_every_s`` 0: only when asked."""

    pending_for_s: float = 72 * 3600.0
    check_every_s: float = 86400.0
    warned_for_s: float = 5 * 86400.0
    rotate_every_s: float = 90 * 86400.0
    # After its last signature a key stays published for the longest retry age, and a day more: for workers
    # that hear of the change late, and for receivers that verify when the message is read.
    retired_for_s: float = 14 * 3600.0 + 86400.0
    # The new key of an old selector is not used before caches have forgotten the old one.
    settled_after_s: float = 2 * 86400.0


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands: what is kept between two looks."""

    state: RecordState
    seen_at: float | None = None  # when the records were last found; None: never
    pending_since: float | None = None
    missing_since: float | None = None


def all_of(sights: Iterable[Sight]) -> Sight:
    """What several records amount to: SEEN if all are, UNKNOWN if that could still be."""
    found = set(sights)
    if not found or Sight.ABSENT in found:
        return Sight.ABSENT
    return Sight.UNKNOWN if Sight.UNKNOWN in found else Sight.SEEN


def any_of(sights: Iterable[Sight]) -> Sight:
    """The best of several: with two signatures, one that verifies is enough."""
    found = set(sights)
    if Sight.SEEN in found:
        return Sight.SEEN
    return Sight.UNKNOWN if Sight.UNKNOWN in found else Sight.ABSENT


def after_look(
    standing: Standing, needed: Sight, signing: Sight, now: float, pace: Pace
) -> tuple[Standing, Step | None]:
    """How it stands after a look; ``needed``: all records, ``signing``: the best of those of active keys."""
    state = standing.state
    if state is RecordState.PENDING:
        since = now if standing.pending_since is None else standing.pending_since
        if needed is Sight.SEEN:
            return Standing(RecordState.VERIFIED, seen_at=now), Step.FOUND
        if needed is Sight.ABSENT and now - since >= pace.pending_for_s:
            return replace(standing, state=RecordState.FAILED, pending_since=since), Step.FAILED
        return replace(standing, pending_since=since), None
    if state is RecordState.VERIFIED:
        if signing is Sight.SEEN:
            return replace(standing, seen_at=now, missing_since=None), None
        if signing is Sight.ABSENT and standing.seen_at is not None:
            return replace(standing, state=RecordState.WARNED, missing_since=now), Step.WARNED
    if state is RecordState.WARNED:
        since = now if standing.missing_since is None else standing.missing_since
        if signing is Sight.SEEN:
            return Standing(RecordState.VERIFIED, seen_at=now), Step.RECOVERED
        if signing is Sight.ABSENT and now - since >= pace.warned_for_s:
            return replace(standing, state=RecordState.FAILED, missing_since=since), Step.REVOKED
        return replace(standing, missing_since=since), None
    return standing, None


def next_look_s(
    standing: Standing, needed: Sight, now: float, pace: Pace, awaited_since: float | None
) -> float:
    """In how many seconds to look again; ``awaited_since``: new keys wait for their records since then."""
    if needed is Sight.UNKNOWN:
        return min(_AFTER_UNKNOWN_S, pace.check_every_s)
    if standing.state is RecordState.WARNED:
        return min(_SOON_S, pace.check_every_s)
    since = standing.pending_since if standing.state is RecordState.PENDING else awaited_since
    if since is None:
        return pace.check_every_s
    # Soon after the owner was told what to publish, then less and less often.
    return min(max((now - since) / 10, _FIRST_CHECK_S), _SOON_S, pace.check_every_s)
