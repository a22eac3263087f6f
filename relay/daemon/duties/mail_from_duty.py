"""The duty of the watch that looks at MAIL FROM domains: their MX, and what the owner is told of it.

Contract: one look asks the DNS afresh, decides (``directory.mail_from_life``), tells the account's contact of
a change of state, and stores it, in that order: a crash in between repeats a mail rather than loses it. A DNS
that cannot answer changes nothing. What was set or cleared meanwhile is left alone.

It deliberately does not look at the SPF record: mail goes out without it, only worse (``relay doctor``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from relay.base.clock import Clock
from relay.directory.mail_from import MailFroms
from relay.directory.mail_from_life import Seen, Stand, Step, Times, decide, judge
from relay.directory.records import OnMailFromFailure, RecordState
from relay.transport.answers import Answer, Status


class Names(Protocol):
    """The questions to the DNS."""

    async def mx(self, domain: str, *, is_fresh: bool = False) -> Answer:
        """The MX records of a domain."""
        ...


class Notices(Protocol):
    """Mail to the contact of an account."""

    async def send(
        self, account_id: int, subject: str, text: str, *, kind: str = "notice", about: str = ""
    ) -> str:
        """Tell the contact. Raises SpoolError or Refused if the notice could not be stored."""
        ...


class MailFromDuty:
    """See above; ``host`` is where the MX must lead."""

    name = "mail-from"

    def __init__(
        self, mail_froms: MailFroms, names: Names, notices: Notices, clock: Clock, host: str, times: Times
    ) -> None:
        self._mail_froms = mail_froms
        self._names = names
        self._notices = notices
        self._clock = clock
        self._host = host
        self._times = times

    def claim(self, limit: int) -> Sequence[Stand]:
        """MAIL FROM domains that are due; blocking."""
        return self._mail_froms.claim(limit)

    async def check(self, item: Any) -> None:  # noqa: ANN401
        """Look at one of them."""
        stand: Stand = item
        answer = await self._names.mx(stand.domain, is_fresh=True)
        step = decide(stand, _seen(answer, self._host), self._clock.now(), self._times)
        if step.is_change:
            subject, text = told(stand, step, found_text(answer), self._host, self._times)
            kind = f"mail-from-{step.state.value}"
            await self._notices.send(stand.account_id, subject, text, kind=kind, about=stand.identity)
        await asyncio.to_thread(self._mail_froms.settle, stand, step)


def found_text(answer: Answer) -> str:
    """What the DNS said, for people."""
    if answer.status is Status.FOUND:
        return ", ".join(f"{one.preference} {one.host or '.'}" for one in answer.mx)
    return answer.detail or "nothing"


def _seen(answer: Answer, host: str) -> Seen:
    if answer.status is Status.TEMPORARY:
        return Seen.UNKNOWN
    return judge([one.host for one in answer.mx], host)


def told(stand: Stand, step: Step, found: str, host: str, times: Times) -> tuple[str, str]:
    """Subject and text of the mail about a change of state."""
    domain, identity = stand.domain, stand.identity
    record = f"    {domain}.  MX  10 {host}."
    was_pending = stand.state is RecordState.PENDING
    hours = round((times.pending_for_s if was_pending else times.warned_for_s) / 3600)
    if stand.on_failure is OnMailFromFailure.REJECT:
        meanwhile = f"Mail from {identity} is refused until then, as you have chosen."
    else:
        meanwhile = f"Mail from {identity} goes out with the relay's default MAIL FROM until then."
    if step.state is RecordState.VERIFIED:
        subject = f"{domain} is the MAIL FROM domain of {identity}"
        text = f"""The MX record of {domain} leads to this relay.
From now on mail from {identity} goes out with MAIL FROM <...@{domain}>."""
    elif step.state is RecordState.WARNED:
        hours = round(times.warned_for_s / 3600)
        subject = f"The MX record of {domain} is gone"
        text = f"""The MAIL FROM domain {domain} of {identity} needs this MX record, and no other:

{record}

The DNS says: {found}

{meanwhile}
The relay looks for the record for {hours} hours and tells you when it is back."""
    else:
        subject = f"{domain} is not used as MAIL FROM domain of {identity}"
        text = f"""For {hours} hours the DNS has not had this MX record, and no other:

{record}

The DNS says: {found}

The relay looks for it no more. {meanwhile}
Once the record is published, ask the administrator of the relay to set the domain again
(relay identity mail-from {identity} set {domain})."""
    return subject, text
