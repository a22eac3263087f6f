"""``explain``: what one worker, or the disk alone, knows of a message that has not left.

``Explaining`` gathers facts from disk, scheduler, router, directory and the lane's control, and has
``relay.admin.explanation`` judge them. ``from_disk`` does the same where no relay runs. Read-only; the only
thing that it may wait for is a question to the DNS that the next attempt would ask anyway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol

from relay.admin.explanation import Facts, explain
from relay.base.clock import Clock
from relay.base.message import Message, Recipient, TlsWish
from relay.base.outcome import Deferred, Failed
from relay.base.route import Host, Route, Source
from relay.base.suppression import ON_SERVICE_LIST, is_suppressed
from relay.directory.records import AccountState, Suspension
from relay.directory.snapshot import Snapshot
from relay.spool import views
from relay.traffic.neighbours import any_source
from relay.traffic.scheduler import Scheduler
from relay.traffic.suspensions import Suspensions
from relay.traffic.whereabouts import Spot
from relay.verdict.details import describe

_DISK = Spot("")


class Live(Protocol):
    """Where the current snapshot is found."""

    @property
    def current(self) -> Snapshot: ...


class Routes(Protocol):
    """Where a domain's mail goes."""

    async def find(self, domain: str) -> Route | Deferred | Failed: ...


class Explaining:
    """Explains the messages of one worker."""

    def __init__(
        self,
        spool: Path,
        scheduler: Scheduler,
        router: Routes,
        live: Live,
        clock: Clock,
        source: Callable[[Message], Source] = any_source,
    ) -> None:
        """``source`` says from where a message leaves, as it does to the scheduler."""
        self._spool = spool
        self._scheduler = scheduler
        self._router = router
        self._live = live
        self._clock = clock
        self._source = source

    async def explain(self, message_id: str) -> dict[str, Any] | None:
        """All that is known, ready for JSON; None if the message is not in the queue. Raises ValueError if
        the text is no message id, SpoolError."""
        message = await asyncio.to_thread(views.show, self._spool, message_id)
        if message is None:
            return None
        said = await asyncio.to_thread(views.transcripts, self._spool, message)
        spots = self._scheduler.where(message.shard, message.key)
        directory = self._live.current
        account = directory.account(message.account_id)
        found = _head(message, account.name if account is not None else "")
        if account is not None and account.state is AccountState.PAUSED:
            found["account_state"] = "paused: nothing new is accepted; what was accepted still leaves"
        numbers = directory.account_numbers()
        for one in message.recipients:
            route = await self._router.find(one.domain)
            found["recipients"].append(
                self._one(message, one, spots.get(one.number, _DISK), route, directory, numbers)
                | said.get(one.number, {})
            )
        return found

    def _one(
        self,
        message: Message,
        one: Recipient,
        spot: Spot,
        route: Route | Deferred | Failed,
        directory: Snapshot,
        numbers: dict[str, int],
    ) -> dict[str, Any]:
        found = route if isinstance(route, Route) else None
        if found is not None:
            if message.tls is not TlsWish.NONE:
                found = found.wished(message.tls)
            found = replace(found, source=self._source(message))
        name = spot.lane or (found.lane if found is not None else "")
        queue = self._scheduler.lanes.by_name.get(name)
        lane = queue.control.describe(self._clock.monotonic()) if queue is not None else {}
        row, covered = _suspension(directory.suspensions, numbers, found, one.domain, message.account_id)
        facts = Facts(
            **_facts(message, one, self._clock.now()),
            suspended=covered,
            resume=f'--{row.kind.value} "{row.name}"' if row is not None else "",
            site=found.site if found is not None else "",
            place=spot.place,
            before=spot.before,
            waiting=spot.waiting,
            accounts=spot.accounts,
            lane=lane,
            route_fault=describe(route) if not isinstance(route, Route) else "",
        )
        shown = _shown(one, facts)
        if found is not None:
            shown["route"] = _route(found)
        if name:
            shown["lane"] = {"name": name, "waiting": queue.waiting if queue is not None else 0, **lane}
        return shown


def from_disk(spool: Path, message_id: str, now: float) -> dict[str, Any] | None:
    """What the disk alone tells; None if the message is not in the queue."""
    message = views.show(spool, message_id)
    if message is None:
        return None
    said = views.transcripts(spool, message)
    found = _head(message, "")
    for one in message.recipients:
        facts = Facts(**_facts(message, one, now), is_running=False)
        found["recipients"].append(_shown(one, facts) | said.get(one.number, {}))
    return found


def _head(message: Message, account: str) -> dict[str, Any]:
    return {
        "id": message.id,
        "account_id": message.account_id,
        "account": account,
        "sender": message.sender,
        "bytes": message.size_bytes,
        "arrived_at": message.arrived_at,
        "gives_up_at": message.gives_up_at,
        "recipients": [],
    }


def _facts(message: Message, one: Recipient, now: float) -> dict[str, Any]:
    return {
        "message_id": message.id,
        "domain": one.domain,
        "state": one.state,
        "attempts": one.attempts,
        "due_at": one.due_at,
        "reply": one.reply,
        "now": now,
        "gives_up_at": message.gives_up_at,
    }


def _shown(one: Recipient, facts: Facts) -> dict[str, Any]:
    shown = {
        "recipient": one.address,
        "state": one.state.value,
        **asdict(explain(facts)),
        "attempts": one.attempts,
        "reply": one.reply,
    }
    if is_suppressed(one.domain):
        whose = "service-wide" if one.domain == ON_SERVICE_LIST else "account's"
        shown["suppressed"] = f"on the {whose} suppression list when it came in: bounced, not sent"
    return shown


def _route(route: Route) -> dict[str, Any]:
    return {
        "site": route.site,
        "hosts": [_host(host, route.is_by_mx) for host in route.hosts],
        "tls": route.tls.value,
        "tls_asked_by": route.demand.name,
        "source": route.source.name,
    }


def _host(host: Host, is_by_mx: bool) -> str:
    return f"{host.preference} {host.name}:{host.port}" if is_by_mx else f"{host.name}:{host.port}"


def _suspension(
    rows: tuple[Suspension, ...], numbers: dict[str, int], route: Route | None, domain: str, account_id: int
) -> tuple[Suspension | None, str]:
    """The first that covers it, and what is said of it."""
    for row in rows:
        if said := Suspensions([row], numbers).covers(route, domain, account_id):
            return row, said
    return None, ""
