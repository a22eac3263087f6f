"""All connections of one worker to all sites, and the attempts that go through them.

Contract: ``wake(route, queued)`` says that attempts wait for a site; the pools open connections as ``places``
decides, and each takes attempts from ``Work`` until there are none. ``limit`` says what a lane (one source to
one site) may do; all that is called a site below is such a lane. An attempt that was taken is always
finished, once: with what the peer said, with Deferred(INTERNAL) after a bug of ours, with Deferred(SESSION)
when the relay stops, REPLY_LOST among these if its dot was sent. A site none of whose hosts takes a session
is reported with ``site_failed``, unless other connections to it live: then it has only set a ceiling of its
own.

A connection that idled may be closed by the peer just as it is used again. If nothing but its end (or 421)
answered MAIL, the same attempt goes once more through a fresh connection; it is not the message's fault.

Crash here: attempts in flight are in the spool, and sent again; those whose dot was sent are in the journal.

Cost on the hot path: ``wake`` 1 microsecond while the site's connections are busy; per message one loop turn
of the connection's task, no task and no timer of its own.

Not here: which message is next and how many at once a site stands (stage traffic), what outcomes mean (stage
verdict).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import AsyncExitStack

from relay.base.clock import Clock
from relay.base.histogram import MOMENTS, NUMBERS, Histogram
from relay.base.route import Host, LaneLimits, Route
from relay.base.tasks import Tasks
from relay.base.tls_session import TlsSessionLog
from relay.base.trace import UNWATCHED, Traces
from relay.transport.connect import Addresses, Connector
from relay.transport.places import Group, Places
from relay.transport.settings import PoolSettings, SessionSettings
from relay.transport.site_pool import SitePool
from relay.transport.tls_policy import TlsContexts
from relay.transport.work import Site, Work


class Pools:
    """The connections. Their owner is the event loop's thread."""

    def __init__(
        self,
        work: Work,
        addresses: Addresses,
        contexts: TlsContexts,
        settings: PoolSettings,
        session_settings: SessionSettings,
        clock: Clock,
        shuffle: Callable[[list[Host]], None] = random.shuffle,
        tls_sessions: TlsSessionLog | None = None,
        traces: Traces = UNWATCHED,
    ) -> None:
        """``shuffle`` orders hosts of equal preference in place. ``tls_sessions`` hears how TLS fared;
        ``traces`` are of those who watch what is said."""
        self.work = work
        self.settings = settings
        self.clock = clock
        self.connector = Connector(
            addresses,
            contexts,
            session_settings,
            shuffle,
            settings.addresses_per_attempt,
            tls_sessions,
            traces,
        )
        self.places = Places(settings.connections)
        self.tasks = Tasks("transport")
        self.is_draining = False
        self.open = 0  # sessions, idle ones included
        self.idle = 0
        self.leaving = 0  # saying QUIT
        self.opened_total = 0
        self.closed_total = 0
        self.failed_total = 0  # connects that came to nothing
        self.reused_total = 0  # attempts on a connection that had carried one before
        self.carried = Histogram(NUMBERS)  # messages, by connection that has ended
        self.connect_seconds = Histogram(MOMENTS)  # of those that came to a session
        self.tls_versions = {"TLSv1.2": 0, "TLSv1.3": 0, "other": 0, "none": 0}
        self._sites: dict[str, SitePool] = {}  # by lane
        self._usual = LaneLimits(settings.connections_per_site, settings.messages_per_connection)
        self._limits: dict[str, LaneLimits] = {}  # of lanes with others
        self._groups: dict[str, Group] = {}  # of lanes that have connections
        self._gone = asyncio.Event()

    async def start(self, stack: AsyncExitStack) -> None:
        """Close everything when the stack unwinds; attempts in flight are finished as Deferred."""
        stack.push_async_callback(self._stop)

    async def _stop(self) -> None:
        self.is_draining = True  # else each place that is freed would be given to a new connection
        await self.tasks.end()

    def wake(self, route: Route, queued: int) -> None:
        """``queued`` attempts for the route's site could be taken now. Never waits."""
        site = self._sites.get(route.lane)
        if site is None:
            limits = self._limits.get(route.lane, self._usual)
            if self.is_draining or queued <= 0 or limits.connections <= 0:
                return
            site = self._sites[route.lane] = SitePool(self, route, limits, self._join(limits))
        elif route is not site.route:
            site.change_route(route)
        site.queued = queued
        if queued > site.roused + site.opening and (site.idle or site.held < site.limit):
            site.arrange()

    def limit(self, lane: str, limits: LaneLimits | None) -> None:
        """What the lane may do from now on; connections above it go after their present message. A lane that
        might do nothing before is woken by the caller. None: nothing is known of it any more."""
        if limits is None or limits == self._usual:
            self._limits.pop(lane, None)
        else:
            self._limits[lane] = limits
        if limits is None:
            return
        if (group := self._groups.get(limits.group)) is not None:
            group.limit = limits.connections
        if (site := self._sites.get(lane)) is not None:
            if limits.group != site.limits.group:
                self._leave(site)
                site.group = self._join(limits, site.held)
            site.change_limits(limits)

    def held(self, lane: str) -> tuple[int, int, int]:
        """Connections of the lane, on their way in and out included; of them idle; of them with a session."""
        site = self._sites.get(lane)
        return (0, 0, 0) if site is None else (site.held, len(site.idle), site.open)

    def by_lane(self) -> dict[str, int]:
        """Connections, on their way in and out included, of the lanes that have any."""
        return {name: site.held for name, site in self._sites.items() if site.held}

    def _join(self, limits: LaneLimits, held: int = 0) -> Group | None:
        """The group of a lane, with the ``held`` connections that it brings."""
        if not limits.group:
            return None
        group = self._groups.get(limits.group)
        if group is None:
            group = self._groups[limits.group] = Group(limits.connections)
        group.lanes += 1
        group.taken += held
        return group

    def _leave(self, site: SitePool) -> None:
        """A lane goes out of its group."""
        group = site.group
        if group is not None:
            group.lanes -= 1
            group.taken -= site.held
            if not group.lanes:
                self._groups.pop(site.limits.group, None)

    async def drain(self, deadline_s: float) -> None:
        """Take no more attempts; wait up to ``deadline_s`` for those in flight, then cancel the rest."""
        self.is_draining = True
        for site in list(self._sites.values()):
            site.close_idle()
        try:
            async with asyncio.timeout(deadline_s):
                while self.places.taken:
                    self._gone.clear()
                    await self._gone.wait()
        except TimeoutError:
            await self._stop()

    def make_room(self, asking: SitePool) -> None:
        """Close an idle connection of another site, if none is leaving yet; its place goes to the line."""
        if self.idle and self.leaving < self.places.waiting:
            for site in self._sites.values():
                if site is not asking and site.idle:
                    site.idle[0].leave()
                    return

    def make_room_in_group(self, asking: SitePool) -> None:
        """Close an idle connection of another lane of the group, if there is one."""
        for site in self._sites.values():
            if site.group is asking.group and site is not asking and site.idle:
                site.idle[0].leave()
                return

    def must_yield(self, site: Site) -> bool:
        """A site must let one of its places go, to another or because its group has too many."""
        if self.places.has_line and self.places.must_yield(site.held, len(self._sites)):
            return True
        return site.group is not None and site.group.wants_back(site.held)

    def place_freed(self, site: SitePool) -> None:
        """A connection of ``site`` has gone: serve the line first, then the site itself."""
        self.places.give()
        if site.group is not None:
            site.group.give()
            self._serve(site.group)
        self._serve(self.places)
        self._go_on(site)
        self._gone.set()

    def _serve(self, places: Places) -> None:
        """Those who stand in line, as far as there is room."""
        while (name := places.next_in_line()) is not None:
            waiting = self._sites.get(name)
            if waiting is not None:
                self._go_on(waiting)

    def _go_on(self, site: SitePool) -> None:
        """Open what the site still needs, or forget it."""
        if site.queued and not self.is_draining:
            site.arrange()
        if site.held or self.places.is_waiting(site.name) or self._sites.get(site.name) is not site:
            return
        if site.group is None or not site.group.is_waiting(site.name):
            site.end()
            self._leave(site)
            del self._sites[site.name]
