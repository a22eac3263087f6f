"""The life of one connection: open, take attempts, idle, take leave. One task each.

Contract: an attempt that was taken is finished once, whatever ends the task; ``run`` counts the connection in
and out, so that the counts of its site and of the pools hold even when it is cancelled at any await. It ends
after ``messages_per_connection``, when its lane has more than it may, after ``idle_s`` without work, when
others wait for its place, when the route's policy has changed, when the session is of no more use, or when
the relay drains.

Not here: whether another connection is wanted (``places``), and what goes over the wire (``session``).
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from relay.base.errors import SpoolError
from relay.base.message import Attempt
from relay.base.outcome import STOPPED, Deferred, Outcome, Reason, Scope
from relay.base.tls import version_of
from relay.transport.deadline import Deadline
from relay.transport.session import Session
from relay.transport.work import Shared, Site

log = logging.getLogger(__name__)

_STALE = (Reason.CONNECTION_LOST, Reason.BUSY)


class Connection:
    """One connection of one site."""

    __slots__ = ("_attempt", "_call", "_deadline", "_generation", "_pools", "_session", "_site")

    def __init__(self, pools: Shared, site: Site) -> None:
        self._pools = pools
        self._site = site
        self._generation = 0
        self._session: Session | None = None
        self._attempt: Attempt | None = None  # taken and not finished
        self._call: asyncio.Future[bool] | None = None
        self._deadline = Deadline(asyncio.get_running_loop(), self.leave)

    async def run(self) -> None:
        """All of it. The place was taken, and counted as opening, by the one who started the task."""
        site = self._site
        try:
            while True:
                opened = await self._open()
                if isinstance(opened, Deferred):
                    self._not_opened(opened)
                    return
                self._opened(opened)
                try:
                    is_stale = await self._converse(opened)
                finally:
                    self._closed(opened)
                if not is_stale:
                    return
        finally:
            self._deadline.end()
            if self._session is None:
                site.opening -= 1
            else:
                site.open -= 1
            if self._attempt is not None:
                is_uncertain = self._session is not None and self._session.dot_sent
                reason = Reason.REPLY_LOST if is_uncertain else Reason.INTERNAL
                self._finish(self._same(Deferred(Scope.SESSION, reason, None, STOPPED)))
            site.place_freed()

    async def _open(self) -> Session | Deferred:
        site = self._site
        self._generation = site.generation
        began = self._pools.clock.monotonic()
        try:
            opened = await self._pools.connector.connect(site.route)
        except Exception:
            log.exception("connecting failed", extra={"site": site.name})
            return Deferred(Scope.SITE, Reason.INTERNAL, None, "connecting failed on our side")
        if isinstance(opened, Session):
            self._pools.connect_seconds.observe(self._pools.clock.monotonic() - began)
        return opened

    def _not_opened(self, failure: Deferred) -> None:
        """A site with other connections only refuses one more; else it is down."""
        site = self._site
        self._pools.failed_total += 1
        if self._attempt is not None:
            self._finish(self._same(failure))
        if site.open:
            site.set_ceiling()
            try:
                self._pools.work.crowded(site.name, failure, site.open)
            except Exception:
                log.exception("a refused connection was not heard of", extra={"site": site.name})
        elif site.queued or site.opening == 1:
            site.queued = 0
            site.is_up = False
            try:
                self._pools.work.site_failed(site.name, failure)
            except Exception:
                log.exception("a failed site was not heard of", extra={"site": site.name})

    def _opened(self, session: Session) -> None:
        site = self._site
        self._session = session
        site.opening -= 1
        site.open += 1
        self._pools.open += 1
        self._pools.opened_total += 1
        self._pools.tls_versions[version_of(session.peer.tls)] += 1
        if site.open == 1:
            site.is_up = True
            try:
                self._pools.work.site_up(site.name)
            except Exception:
                log.exception("a site's rise was not heard of", extra={"site": site.name})
        site.roused += 1  # this one takes an attempt itself
        try:
            site.arrange()
        finally:
            site.roused -= 1

    def _closed(self, session: Session) -> None:
        session.abort()
        self._pools.open -= 1
        self._pools.closed_total += 1
        self._pools.carried.observe(session.delivered)

    async def _converse(self, session: Session) -> bool:
        """Attempts until there is a reason to stop; True if the last wants a fresh connection."""
        site = self._site
        pools = self._pools
        take = pools.work.take
        name = site.name
        while True:
            attempt = self._attempt
            if attempt is None:
                if (
                    not session.is_usable
                    or session.delivered >= site.limits.messages_per_connection
                    or site.open > site.limit
                    or self._generation != site.generation
                    or pools.is_draining
                    or pools.must_yield(site)
                ):
                    break
                attempt = self._attempt = take(name)
                if attempt is None:
                    site.queued = 0
                    if pools.places.has_line or site.has_others_waiting or not await self._stay_idle():
                        break
                    continue
                if session.delivered:
                    pools.reused_total += 1
                if site.queued > 0:
                    site.queued -= 1
            outcomes = await self._deliver(session, attempt)
            if outcomes is None:
                # back to opening, in the same place and with the same attempt
                self._session = None
                site.open -= 1
                site.opening += 1
                return True
            self._finish(outcomes)
        pools.leaving += 1
        try:
            await session.end()
        finally:
            pools.leaving -= 1
        return False

    async def _deliver(self, session: Session, attempt: Attempt) -> dict[int, Outcome] | None:
        """The outcomes, or None if a connection that had idled was gone."""
        work = self._pools.work
        session.dot_sent = False
        content = attempt.message.content
        try:
            found = await work.content(attempt) if content is None else content
        except Exception as fault:
            # a damaged or unreadable record is the disk's doing, anything else a bug of ours
            is_expected = isinstance(fault, SpoolError)
            log.log(
                logging.WARNING if is_expected else logging.ERROR,
                "content not read",
                exc_info=not is_expected,
                extra={"message_id": attempt.message.id, "detail": str(fault)},
            )
            return self._same(Deferred(Scope.MESSAGE, Reason.INTERNAL, None, "content not read"))
        try:
            outcomes = await session.deliver(attempt, found, partial(work.before_dot, attempt))
        except Exception:
            log.exception("delivery failed on our side", extra={"message_id": attempt.message.id})
            reason = Reason.REPLY_LOST if session.dot_sent else Reason.INTERNAL
            return self._same(Deferred(Scope.MESSAGE, reason, None, "failed on our side", session.peer))
        if not session.is_answered and session.delivered > 1:
            first = next(iter(outcomes.values()))
            if isinstance(first, Deferred) and first.reason in _STALE:
                return None
        return outcomes

    def _same(self, outcome: Outcome) -> dict[int, Outcome]:
        assert self._attempt is not None
        return {recipient.number: outcome for recipient in self._attempt.recipients}

    def _finish(self, outcomes: dict[int, Outcome]) -> None:
        attempt, self._attempt = self._attempt, None
        assert attempt is not None
        try:
            self._pools.work.finished(attempt, outcomes)
        except Exception:
            log.exception("an outcome was not heard of", extra={"message_id": attempt.message.id})

    async def _stay_idle(self) -> bool:
        """Wait for work; False if none came in time, or the connection is wanted elsewhere."""
        pools = self._pools
        self._call = asyncio.get_running_loop().create_future()
        self._site.idle.append(self)
        pools.idle += 1
        self._deadline.within(pools.settings.idle_s)
        is_roused = False
        try:
            is_roused = await self._call
            return is_roused
        finally:
            self._deadline.clear()
            self._out_of_idle()
            if self._call.done() and not self._call.cancelled() and self._call.result():
                self._site.roused -= 1
            self._call = None

    def rouse(self) -> None:
        """There is work."""
        if self._call is not None and not self._call.done():
            self._out_of_idle()
            self._site.roused += 1
            self._call.set_result(True)

    def leave(self) -> None:
        """Take leave if idle."""
        if self._call is not None and not self._call.done():
            self._out_of_idle()
            self._call.set_result(False)

    def _out_of_idle(self) -> None:
        if self in self._site.idle:
            self._site.idle.remove(self)
            self._pools.idle -= 1
