"""How an identity's proof of ownership stands: decisions, pure.

``decide(standing, finding, now, settings, spread)`` says what becomes of an identity that was looked at now:

pending    a domain is looked for until its token (or its DKIM records) is found: verified. After
           ``pending_for`` without it: failed. If the DNS cannot be asked, that is no answer: the search
           goes on, for twice the time at most. An address waits for its link to be used: verified; once
           the link has run out: failed.
verified   looked at every ``check_every``. Records gone: warned.
warned     still sends. Records back: verified again. Gone for ``warned_for``: revoked.
failed, revoked   not looked at; the search begins anew when the owner asks for it.

A DNS that cannot be asked is never "gone". Who is verified by the administrator's word has no token and no
time at which it is looked at next: the word stands until the identity is removed.

The intervals of a search grow with its age, from ``SOON_S`` to ``LATE_S``; ``spread`` (0 to 1, random) brings
each next look forward by up to a tenth, so that what was added together is not looked at together for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from relay.directory.records import IdentityKind, IdentityState, RecordState

SOON_S = 5.0
LATE_S = 3600.0
_GROWTH = 0.25  # of the age of a search: the share of it that passes until the next look
_SPREAD = 0.1


class Finding(StrEnum):
    """What the DNS said of the records that prove a domain."""

    FOUND = "found"
    MISSING = "missing"
    UNKNOWN = "unknown"  # no answer


class Told(StrEnum):
    """What the owner is told; also the kind in the Notice event."""

    VERIFIED = "identity-verified"
    FAILED = "identity-failed"
    WARNED = "identity-warned"
    CANCELLED = "identity-warning-cancelled"
    REVOKED = "identity-revoked"


@dataclass(frozen=True, slots=True)
class Settings:
    """[verification], in seconds."""

    pending_for_s: float = 72 * 3600.0
    check_every_s: float = 86400.0
    warned_for_s: float = 72 * 3600.0
    link_age_s: float = 86400.0


@dataclass(frozen=True, slots=True)
class Standing:
    """An identity as whoever looks at it has claimed it, until ``claimed_until``."""

    id: int
    account_id: int
    name: str
    kind: IdentityKind
    state: IdentityState
    token: str
    dkim_state: RecordState
    pending_since: float | None
    missing_since: float | None
    claimed_until: float

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of it. ``next_check_at`` None: not looked at any more."""

    state: IdentityState
    pending_since: float | None = None
    missing_since: float | None = None
    next_check_at: float | None = None
    told: Told | None = None
    sends_link: bool = False


def find(texts: tuple[str, ...], token: str, is_answered: bool, dkim_state: RecordState) -> Finding:
    """What the TXT records at all names of the token, and the state of the DKIM records, come to."""
    if dkim_state is RecordState.VERIFIED or (token and token in (text.strip() for text in texts)):
        return Finding.FOUND
    return Finding.MISSING if is_answered else Finding.UNKNOWN


def decide(standing: Standing, finding: Finding, now: float, settings: Settings, spread: float) -> Step:
    """What becomes of an identity of which this was found."""
    if standing.kind is IdentityKind.ADDRESS:
        return _of_address(standing, now, settings)
    if standing.state is IdentityState.PENDING:
        return _of_pending(standing, finding, now, settings, spread)
    if standing.state.is_sending:
        return _of_proved(standing, finding, now, settings, spread)
    return Step(standing.state)


def _of_pending(standing: Standing, finding: Finding, now: float, settings: Settings, spread: float) -> Step:
    if finding is Finding.FOUND:
        later = now + settings.check_every_s * (1.0 - _SPREAD * spread)
        return Step(IdentityState.VERIFIED, next_check_at=later, told=Told.VERIFIED)
    since = now if standing.pending_since is None else standing.pending_since
    age = max(0.0, now - since)
    limit = settings.pending_for_s * (1 if finding is Finding.MISSING else 2)
    if age >= limit:
        return Step(IdentityState.FAILED, told=Told.FAILED)
    later = min(now + _interval(age, spread), max(since + limit, now + SOON_S))
    return Step(IdentityState.PENDING, pending_since=since, next_check_at=later)


def _of_proved(standing: Standing, finding: Finding, now: float, settings: Settings, spread: float) -> Step:
    daily = now + settings.check_every_s * (1.0 - _SPREAD * spread)
    if finding is Finding.FOUND:
        is_back = standing.state is IdentityState.WARNED
        return Step(IdentityState.VERIFIED, next_check_at=daily, told=Told.CANCELLED if is_back else None)
    since = standing.missing_since
    if finding is Finding.UNKNOWN:
        later = min(daily, now + _interval(LATE_S / _GROWTH, spread))
        return Step(standing.state, missing_since=since, next_check_at=later)
    if standing.state is IdentityState.VERIFIED or since is None:
        later = now + _interval(0.0, spread)
        return Step(IdentityState.WARNED, missing_since=now, next_check_at=later, told=Told.WARNED)
    age = max(0.0, now - since)
    if age >= settings.warned_for_s:
        return Step(IdentityState.REVOKED, told=Told.REVOKED)
    later = min(now + _interval(age, spread), max(since + settings.warned_for_s, now + SOON_S))
    return Step(IdentityState.WARNED, missing_since=since, next_check_at=later)


def _of_address(standing: Standing, now: float, settings: Settings) -> Step:
    if standing.state is IdentityState.VERIFIED:  # a moment ago, by the page behind the link
        return Step(IdentityState.VERIFIED, told=Told.VERIFIED)
    if standing.state is not IdentityState.PENDING:
        return Step(standing.state)
    if standing.pending_since is None:  # no link has been sent yet
        return Step(
            IdentityState.PENDING,
            pending_since=now,
            next_check_at=now + settings.link_age_s,
            sends_link=True,
        )
    expires_at = standing.pending_since + settings.link_age_s
    if now >= expires_at:
        return Step(IdentityState.FAILED, told=Told.FAILED)
    return Step(IdentityState.PENDING, pending_since=standing.pending_since, next_check_at=expires_at)


def _interval(age: float, spread: float) -> float:
    return min(max(SOON_S, age * _GROWTH), LATE_S) * (1.0 - _SPREAD * spread)
