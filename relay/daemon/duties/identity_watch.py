"""The watch over identities: links that are to be sent, tokens that are looked for, owners who are told.

One duty of ``watch``. What is found becomes a step by ``directory.verification``; then the mail goes first,
and the state is stored after it. Crash between the two: the claim runs out and the mail is sent again (a link
that was sent twice works from either mail). If the identity was changed meanwhile, the change stands and the
step is dropped; the mail then told of what was found, not of what is.

Without [verification] url no link can be made: addresses stay pending and are tried again every hour.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from relay.base.clock import Clock
from relay.daemon.duties.identity_letters import letter, link_letter
from relay.directory.life import Life
from relay.directory.published import token_names
from relay.directory.records import Account, IdentityKind, IdentityState
from relay.directory.verification import Settings, Standing, Step, Told, decide, find
from relay.transport.answers import Answer, Status

log = logging.getLogger(__name__)

_WITHOUT_URL_S = 3600.0


class Dns(Protocol):
    """Questions that are asked anew."""

    async def txt(self, name: str, *, is_fresh: bool = False) -> Answer:
        """The TXT records of a name."""
        ...


class Notices(Protocol):
    """Mail to people."""

    async def send(
        self, account_id: int, subject: str, text: str, *, kind: str = "notice", about: str = ""
    ) -> str:
        """To the contact of an account."""
        ...

    async def mail(self, address: str, subject: str, text: str) -> str:
        """To an address."""
        ...


class IdentityWatch:
    """Looks after the proof of identities."""

    name = "identities"

    def __init__(
        self,
        *,
        life: Life,
        dns: Dns,
        notices: Notices,
        account: Callable[[int], Account | None],
        link: Callable[[Standing, float], str],
        settings: Settings,
        prefix: str,
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        """``link`` makes the URL for an address and the time it runs out; "" if there can be none."""
        self._life = life
        self._dns = dns
        self._notices = notices
        self._account = account
        self._link = link
        self._settings = settings
        self._prefix = prefix
        self._clock = clock
        self._random = random
        self._unsettled: list[tuple[Standing, Step, asyncio.Future[bool]]] = []
        self._writing = asyncio.Lock()

    def claim(self, limit: int) -> Sequence[Standing]:
        """What is due; blocking."""
        return self._life.due(limit)

    async def check(self, item: Standing) -> None:
        """Look, tell, store."""
        texts, is_answered = await self._ask(item)
        now = self._clock.now()
        finding = find(texts, item.token, is_answered, item.dkim_state)
        step = decide(item, finding, now, self._settings, self._random())
        if step.sends_link:
            step = await self._send_link(item, step, now)
        if step.told is not None:
            subject, text = letter(step.told, item, self._settings, self._prefix, now)
            await self._notices.send(item.account_id, subject, text, kind=step.told, about=item.name)
        if not await self._settle(item, step):
            log.info("identity changed while it was looked at", extra={"identity": item.name})
        elif step.state is not item.state:
            log.info(
                "identity changes state",
                extra={
                    "identity": item.name,
                    "account": item.account_id,
                    "from": item.state.value,
                    "to": step.state.value,
                },
            )

    async def _settle(self, item: Standing, step: Step) -> bool:
        """Store a step together with those of others that wait: one transaction, one fsync for all."""
        stored: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._unsettled.append((item, step, stored))
        async with self._writing:
            if not stored.done():
                batch, self._unsettled = self._unsettled, []
                try:
                    results = await asyncio.to_thread(self._life.settle, [one[:2] for one in batch])
                except Exception as failure:
                    for *_, other in batch:
                        other.set_exception(failure)
                else:
                    for (*_, other), result in zip(batch, results, strict=True):
                        other.set_result(result)
        return await stored

    async def _ask(self, item: Standing) -> tuple[tuple[str, ...], bool]:
        """The TXT records at the names of the token; whether all that were needed were answered."""
        if item.kind is not IdentityKind.DOMAIN or not item.token:
            return (), False
        texts: tuple[str, ...] = ()
        is_answered = True
        for name in token_names(item.name, self._prefix):
            answer = await self._dns.txt(name, is_fresh=True)
            texts += answer.texts
            is_answered = is_answered and answer.status is not Status.TEMPORARY
            if item.token in texts:
                break
        return texts, is_answered

    async def _send_link(self, item: Standing, step: Step, now: float) -> Step:
        expires_at = now + self._settings.link_age_s
        link = await asyncio.to_thread(self._link, item, expires_at)
        if not link:
            log.warning(
                "no link can be sent: set [verification] url, or use `relay identity verify`",
                extra={"identity": item.name},
            )
            return Step(IdentityState.PENDING, next_check_at=now + _WITHOUT_URL_S)
        account = self._account(item.account_id)
        subject, text = link_letter(item.name, account.name if account else "?", link, expires_at)
        try:
            message_id = await self._notices.mail(item.name, subject, text)
        except ValueError as fault:
            log.warning("no link can be sent", extra={"identity": item.name, "why": str(fault)})
            return Step(IdentityState.FAILED, told=Told.FAILED)
        log.info("link sent", extra={"identity": item.name, "message_id": message_id})
        return step
