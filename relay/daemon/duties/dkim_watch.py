"""Looks at the DNS for the records of DKIM keys, and does what follows: the duty of the watch, and one look.

Contract: each domain is looked at when it is due: minutes after its keys were made, then less often, once a
day when all is well. What was seen is handed to the decisions (``directory.dkim_life``, ``dkim_rotation``);
the owner hears of a change of state first, and then it is stored, so a crash in between repeats a mail and
loses none. A record of a signing key that is gone while one in reserve is seen makes that one sign: the mail
stays signed. Only if none is seen does it leave unsigned.

Answers come from the server that [delivery] resolver names, past our own cache; what that server keeps, it
keeps for the TTL. A failure of the DNS is no answer.

Deliberately not here: publishing (the zone is the administrator's), other records of the identity.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from relay.base.clock import Clock
from relay.daemon.duties import dkim_letters
from relay.directory.dkim_keys import Dkim, DkimKeys
from relay.directory.dkim_life import Pace, Sight, Standing, Step, after_look, all_of, any_of, next_look_s
from relay.directory.dkim_records import PublicKey, fault
from relay.directory.dkim_rotation import Turn, awaited_since, sparing, turn
from relay.directory.records import KeyState, RecordState
from relay.transport.answers import Answer, Status

log = logging.getLogger(__name__)

HOLD_S = 900.0  # a look that ended with its process is made again after this

_LOOKED_FOR = (RecordState.PENDING, RecordState.VERIFIED, RecordState.WARNED)


class Dns(Protocol):
    """Who is asked."""

    async def txt(self, name: str, *, is_fresh: bool = False) -> Answer:
        """The TXT records of a name, CNAMEs followed."""
        ...


class Contacts(Protocol):
    """Who hears of it."""

    async def send(
        self, account_id: int, subject: str, text: str, *, kind: str = "notice", about: str = ""
    ) -> str:
        """Tell the contact of an account."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one look comes to."""

    standing: Standing
    step: Step | None
    turn: Turn
    next_check_at: float | None


async def look(dns: Dns, keys: Sequence[PublicKey]) -> dict[int, tuple[Sight, str]]:
    """What the DNS shows of each key's record, by number, and what is wrong with it."""
    answers = await asyncio.gather(*[dns.txt(key.name, is_fresh=True) for key in keys])
    return {key.id: _judged(answer, key) for key, answer in zip(keys, answers, strict=True)}


def _judged(answer: Answer, key: PublicKey) -> tuple[Sight, str]:
    if answer.status is Status.TEMPORARY:
        return Sight.UNKNOWN, f"the DNS gives no answer: {answer.detail}"
    wrong = fault(answer.texts, key.text)
    return (Sight.ABSENT, wrong) if wrong else (Sight.SEEN, "")


def conclude(before: Dkim, sights: Mapping[int, Sight], now: float, pace: Pace) -> Outcome:
    """What follows from a look. Pure."""
    if before.standing.state not in _LOOKED_FOR:
        return Outcome(before.standing, None, Turn(), None)
    active = [key.id for key in before.keys if key.state is KeyState.ACTIVE]
    needed = all_of(
        sights[key.id] for key in before.keys if not key.is_leaving and key.state is not KeyState.RETIRED
    )
    done = turn(before.keys, sights, now, pace, is_healing=before.standing.seen_at is not None)
    signing = any_of(sights[number] for number in (*active, *done.promote) if number not in done.retire)
    standing, step = after_look(before.standing, needed, signing, now, pace)
    if standing.state is not RecordState.VERIFIED:
        done = replace(done, promote=(), retire=())
    if standing.state not in _LOOKED_FOR:
        return Outcome(standing, step, done, None)
    is_waiting = not done.promote
    in_s = next_look_s(standing, needed, now, pace, awaited_since(before.keys) if is_waiting else None)
    return Outcome(standing, step, done, now + in_s)


class DkimDuty:
    """Part of the watch: the DKIM records of domains."""

    name = "dkim"

    def __init__(
        self,
        dkim: DkimKeys,
        dns: Dns,
        contacts: Contacts,
        clock: Clock,
        pace: Callable[[], Pace],
        service_domain: Callable[[], str],
        oldest: Callable[[], float],
    ) -> None:
        """``oldest`` (blocking): when the oldest message arrived that waits. ``pace`` and ``service_domain``
        are asked at each look: they follow the configuration. Without a service domain it is the owner who
        has to publish new keys, and who is told."""
        self._dkim = dkim
        self._dns = dns
        self._contacts = contacts
        self._clock = clock
        self._pace = pace
        self._service_domain = service_domain
        self._oldest = oldest

    def claim(self, limit: int) -> Sequence[int]:
        """Identities to look at, nobody else's for a while; blocking."""
        return self._dkim.claim_due(limit, HOLD_S)

    async def check(self, item: int) -> None:
        """Look at one identity; raises what the directory or the spool raise, and nothing is stored then."""
        before = await asyncio.to_thread(self._dkim.read, item)
        if before is None:
            return
        seen = await look(self._dns, before.public)
        now = self._clock.now()
        pace = self._pace()
        outcome = conclude(before, {number: sight for number, (sight, _) in seen.items()}, now, pace)
        if outcome.turn.renew or outcome.turn.drop:
            oldest_at = await asyncio.to_thread(self._oldest)
            outcome = replace(outcome, turn=sparing(outcome.turn, before.keys, oldest_at))
        identity = before.identity
        steps = [outcome.step] if outcome.step is not None else []
        if outcome.turn.renew and not self._service_domain():
            steps.append(Step.RENEWED)
        for step in steps:
            faults = [f"{key.name}: {seen[key.id][1]}" for key in before.public if seen[key.id][1]]
            subject, text = dkim_letters.letter(step, identity.name, faults, pace)
            await self._contacts.send(
                identity.account_id, subject, text, kind=step.value, about=identity.name
            )
        is_stored = await asyncio.to_thread(
            self._dkim.apply, before, outcome.standing, outcome.turn, outcome.next_check_at
        )
        if is_stored:
            self._tell(before, outcome)
        else:
            log.info("dkim: changed during the look", extra={"identity": identity.name})

    @staticmethod
    def _tell(before: Dkim, outcome: Outcome) -> None:
        names = {key.id: key.selector for key in before.keys}
        extra: dict[str, object] = {"identity": before.identity.name}
        done = outcome.turn
        if outcome.step is not None:
            log.info("dkim state", extra={**extra, "state": outcome.standing.state.value})
        for what, numbers in (("signs", done.promote), ("retired", done.retire), ("dropped", done.drop)):
            for number in numbers:
                log.info("dkim key", extra={**extra, "selector": names[number], "now": what})
        for number in done.renew:
            log.warning(
                "dkim key renewed: its new record is to be published (relay identity zone, or records)",
                extra={**extra, "selector": names[number]},
            )
        if done.remark:
            log.warning("dkim keys not turned", extra={**extra, "why": done.remark})
