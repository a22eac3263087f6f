"""Which key of an identity signs next: the decision alone.

Each algorithm has one ACTIVE key, which signs, and others in STANDBY, published in advance. A turn makes a
STANDBY key whose record is seen in the DNS right now ACTIVE and the ACTIVE one RETIRED; without such a record
nothing turns, and ``remark`` says what is missing. A RETIRED key stays published for as long as mail that it
signed may be under way (``Pace.retired_for_s``); after that its selector gets a new key, which is a STANDBY
again, used when it is seen and caches have had time to forget the old one.

Keys that are to be replaced by others (keys of the owner by keys of the relay, those by others with another
size) are ``is_leaving``: they sign until the records of the new ones are seen, for every algorithm of these;
then all go together, and are dropped after the same time. So a change of keys, like a rotation, leaves no
moment without a signature that verifies.

Contract: after a turn each algorithm has at most one ACTIVE key, if it had before. Pure: no clock, no DNS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from relay.directory.dkim_life import Pace, Sight
from relay.directory.records import KeyOrigin, KeyState

# How long a worker may sign on with a key that has been retired, at the very most.
_LATE_S = 3600.0


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A DKIM key, its private half sealed under the name of its public record."""

    id: int
    identity_id: int
    domain: str
    selector: str
    algorithm: str
    private: bytes
    state: KeyState
    origin: KeyOrigin
    is_leaving: bool
    created_at: float
    changed_at: float


@dataclass(frozen=True, slots=True)
class Turn:
    """What happens to which keys, by number. ``renew``: a new key for the selector; ``drop``: no more key."""

    promote: tuple[int, ...] = ()
    retire: tuple[int, ...] = ()
    renew: tuple[int, ...] = ()
    drop: tuple[int, ...] = ()
    remark: str = ""  # why a turn that is due does not happen

    @property
    def is_none(self) -> bool:
        """Nothing happens."""
        return not (self.promote or self.retire or self.renew or self.drop)


def turn(
    keys: Sequence[KeyRow],
    sights: Mapping[int, Sight],
    now: float,
    pace: Pace,
    *,
    is_asked: bool = False,
    is_healing: bool = False,
) -> Turn:
    """What is due at ``now``; ``is_asked``: whatever the age of the active keys; ``is_healing``: also for an
    active key whose record is gone."""
    promote, retire, remark = _replacement(keys, sights, now, pace)
    if not promote and not remark:
        wanted = [
            key
            for key in keys
            if key.state is KeyState.ACTIVE
            and (
                is_asked
                or _is_old(key, now, pace)
                or (is_healing and sights.get(key.id) is Sight.ABSENT and key.origin is KeyOrigin.RELAY)
            )
        ]
        promote, retire, remark = _rotation(keys, wanted, sights, now, pace)
    over = [k for k in keys if k.state is KeyState.RETIRED and now - k.changed_at >= pace.retired_for_s]
    renew = tuple(k.id for k in over if not k.is_leaving and k.origin is KeyOrigin.RELAY)
    drop = tuple(k.id for k in over if k.id not in renew)
    return Turn(tuple(promote), tuple(retire), renew, drop, remark)


def sparing(done: Turn, keys: Sequence[KeyRow], oldest_at: float) -> Turn:
    """The turn without the end of any key that may have signed mail which still waits, of which the oldest
    arrived at ``oldest_at``: what is held for weeks is to verify when it leaves."""
    needed = {key.id for key in keys if key.changed_at + _LATE_S >= oldest_at}
    return replace(
        done,
        renew=tuple(number for number in done.renew if number not in needed),
        drop=tuple(number for number in done.drop if number not in needed),
    )


def awaited_since(keys: Sequence[KeyRow]) -> float | None:
    """Since when new keys wait to take over from others; None if none do."""
    if not _leaving(keys):
        return None
    return max((k.created_at for k in keys if not k.is_leaving), default=None)


def _replacement(
    keys: Sequence[KeyRow], sights: Mapping[int, Sight], now: float, pace: Pace
) -> tuple[list[int], list[int], str]:
    leaving = _leaving(keys)
    if not leaving:
        return [], [], ""
    promote: list[int] = []
    for algorithm in sorted({k.algorithm for k in keys if not k.is_leaving}):
        successor = _successor(keys, algorithm, sights, now, pace)
        if isinstance(successor, str):
            return [], [], successor
        promote.append(successor.id)
    if not promote:
        return [], [], "there are no keys to take over"
    return promote, [k.id for k in leaving], ""


def _is_old(key: KeyRow, now: float, pace: Pace) -> bool:
    is_over = pace.rotate_every_s > 0 and now - key.changed_at >= pace.rotate_every_s
    return is_over and key.origin is KeyOrigin.RELAY


def _rotation(
    keys: Sequence[KeyRow], wanted: Sequence[KeyRow], sights: Mapping[int, Sight], now: float, pace: Pace
) -> tuple[list[int], list[int], str]:
    promote: list[int] = []
    retire: list[int] = []
    remarks: list[str] = []
    for key in wanted:
        if key.origin is KeyOrigin.OWNER:
            remarks.append(f"the key {key.selector} is the owner's: import another instead")
            continue
        successor = _successor(keys, key.algorithm, sights, now, pace)
        if isinstance(successor, str):
            remarks.append(successor)
        else:
            promote.append(successor.id)
            retire.append(key.id)
    return promote, retire, "; ".join(remarks)


def _successor(
    keys: Sequence[KeyRow], algorithm: str, sights: Mapping[int, Sight], now: float, pace: Pace
) -> KeyRow | str:
    """The STANDBY key that has waited longest of those that may sign now; else why there is none."""
    waiting = [
        k for k in keys if k.algorithm == algorithm and k.state is KeyState.STANDBY and not k.is_leaving
    ]
    seen = [k for k in waiting if sights.get(k.id) is Sight.SEEN]
    ready = [k for k in seen if k.changed_at == k.created_at or now - k.changed_at >= pace.settled_after_s]
    if ready:
        return min(ready, key=lambda k: (k.changed_at, k.id))
    if seen:
        hours = min(pace.settled_after_s - (now - k.changed_at) for k in seen) / 3600
        return f"the new key of {seen[0].selector} may still be hidden by caches, for {hours:.0f} h at most"
    if waiting:
        names = ", ".join(f"{k.selector}._domainkey.{k.domain}" for k in waiting)
        return f"none of the records of its {algorithm} keys in reserve is found: {names}"
    return (
        f"it has no {algorithm} key in reserve: one comes when a retired key has been published long enough, "
        f"or with `relay identity easy-dkim`"
    )


def _leaving(keys: Sequence[KeyRow]) -> list[KeyRow]:
    return [k for k in keys if k.state is KeyState.ACTIVE and k.is_leaving]
