"""The connections of one site: how many there are, which are idle, what the site has let us know about
itself.

Contract: ``arrange`` brings the site from what it has to what ``places.plan`` wants, synchronously: it rouses
idle connections (the last used first, so that the surplus ages) and starts new ones. The counts below are
changed by the site's connections and by nothing else; ``pool.Pools`` owns the object.

A change of the route's TLS or credentials lets connections made under the old ones go after their present
message. A change of hosts does not: the site is the same.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from relay.base.route import LaneLimits, Route
from relay.base.tasks import Tasks
from relay.transport.connection import Connection
from relay.transport.places import Group, plan
from relay.transport.work import Idler, Shared


class Owner(Shared, Protocol):
    """What a site needs of the pools, beside what its connections do."""

    tasks: Tasks

    def make_room(self, asking: SitePool) -> None:
        """Close an idle connection of another site."""
        ...

    def make_room_in_group(self, asking: SitePool) -> None:
        """Close an idle connection of another lane of the group."""
        ...

    def place_freed(self, site: SitePool) -> None:
        """A connection of ``site`` has gone."""
        ...


class SitePool:
    """One site's connections."""

    __slots__ = (
        "_ceiling_timer",
        "generation",
        "group",
        "idle",
        "is_up",
        "limit",
        "limits",
        "name",
        "open",
        "opening",
        "pools",
        "queued",
        "roused",
        "route",
    )

    def __init__(self, pools: Owner, route: Route, limits: LaneLimits, group: Group | None = None) -> None:
        """``group``: the lanes with which this one has its number of connections in common."""
        self.pools = pools
        self.group = group
        self.route = route
        self.name = route.lane
        self.limits = limits
        self.limit = limits.connections
        self.queued = 0  # attempts that could be taken, as last told, less those taken since
        self.open = 0
        self.opening = 0
        self.roused = 0  # called from idleness, not yet running
        self.idle: list[Idler] = []
        self.is_up = False  # a session has been had since the site was last reported as failed
        self.generation = 0
        self._ceiling_timer: asyncio.TimerHandle | None = None

    @property
    def held(self) -> int:
        """Places of the worker that this site takes."""
        return self.open + self.opening

    @property
    def has_others_waiting(self) -> bool:
        """Lanes of its group wait for a connection."""
        return self.group is not None and self.group.has_line

    def arrange(self) -> None:
        """Rouse, open or stand in line, as much as is needed."""
        pools, group = self.pools, self.group
        steps = plan(
            queued=max(0, self.queued - self.roused),
            idle=len(self.idle),
            open_=self.open,
            opening=self.opening,
            limit=self.limit,
            free=pools.places.free if group is None else min(pools.places.free, group.free),
            is_up=self.is_up,
        )
        for _ in range(steps.wake):
            self.idle[-1].rouse()
        for _ in range(steps.open):
            pools.places.take()
            if group is not None:
                group.take()
            self.opening += 1
            pools.tasks.spawn(Connection(pools, self).run(), self.name)
        if steps.wait and group is not None and group.free <= 0:
            if not group.is_waiting(self.name):  # once: connections that come free later see the line
                group.stand_in_line(self.name)
                pools.make_room_in_group(self)
        elif steps.wait:
            pools.places.stand_in_line(self.name)
            pools.make_room(self)

    def change_route(self, route: Route) -> None:
        """The newest route to the site; another policy makes connections of the old one leave."""
        old = self.route
        self.route = route
        if _policy(old) != _policy(route):
            self.generation += 1
            self.close_idle()

    def change_limits(self, limits: LaneLimits) -> None:
        """Other limits; a ceiling that the site has set stays below them."""
        self.limits = limits
        is_below = self._ceiling_timer is not None
        self.limit = min(self.limit, limits.connections) if is_below else limits.connections
        for _ in range(min(len(self.idle), self.held - self.limit)):
            self.idle[0].leave()
        if self.queued and not self.pools.is_draining:
            self.arrange()

    def close_idle(self) -> None:
        """Let all idle connections go."""
        for connection in list(self.idle):
            connection.leave()

    def set_ceiling(self) -> None:
        """The site refuses more than it has: believe it for a while."""
        self.limit = min(max(1, self.open), self.limits.connections)
        if self._ceiling_timer is not None:
            self._ceiling_timer.cancel()
        loop = asyncio.get_running_loop()
        self._ceiling_timer = loop.call_later(self.pools.settings.ceiling_s, self._lift_ceiling)

    def _lift_ceiling(self) -> None:
        self._ceiling_timer = None
        self.limit = self.limits.connections
        if self.queued and not self.pools.is_draining:
            self.arrange()

    def place_freed(self) -> None:
        """A connection of this site has gone; its place is free."""
        self.pools.place_freed(self)

    def end(self) -> None:
        """The last connection has gone and none is wanted."""
        if self._ceiling_timer is not None:
            self._ceiling_timer.cancel()
            self._ceiling_timer = None


def _policy(route: Route) -> tuple[object, ...]:
    certificate = (route.client_certificate, route.client_key)
    return (route.tls, route.username, route.password_file, certificate, route.source)
