"""Who watches a session of ours to a receiver: asked when it opens, and anew for each attempt.

Contract: a session goes by the name of its site, the domain it was opened for, its host and address
(``names_of``); during an attempt by the domains of the recipients too, and it is then of the attempt's
account. So who watches a domain sees what is said of its mail on a connection that is shared, and nothing
else. Who comes when a session is open gets its opening first, as ``Wire.opening`` keeps it, without secrets.

Cost: nothing while nobody watches; the session asks two attributes an attempt.
"""

from __future__ import annotations

from typing import Protocol

from relay.base.message import Attempt
from relay.base.outcome import Peer
from relay.base.route import Host, Route
from relay.base.trace import CLIENT, NOTE, SERVER, Traces, Trail
from relay.codec.trace_text import shown
from relay.transport.transcript import Exchange, lines_of

_WHO = {">": CLIENT, "<": SERVER, "#": NOTE}


class Open(Protocol):
    """A connection (``wire.Wire``)."""

    traces: Traces
    trail: Trail | None
    opening: list[Exchange]


def names_of(route: Route, host: Host, address: str = "") -> frozenset[str]:
    """What a session to a host of a route goes by."""
    site = route.site.lower()
    names = {site, site.partition(":")[2], route.domain.lower(), host.name.lower(), address}
    return frozenset(names - {""})


def opening_trail(traces: Traces, route: Route, host: Host, address: str) -> Trail | None:
    """The trail of a connection that is about to be made; None if nobody watches it, or might."""
    names = names_of(route, host, address)
    trail = traces.receiver_trail(names)
    trail.decide([(one, one.filter.of_site(names, 0)) for one in traces.active])
    where = f"{host.name} [{address}]:{host.port}"
    if not trail.is_watched:
        return None
    trail(NOTE, shown(f"connecting to {where} for {route.domain or route.site}"))
    return trail


def watch(wire: Open, peer: Peer, attempt: Attempt) -> None:
    """An attempt begins: who watches it?"""
    traces, trail = wire.traces, wire.trail
    if not traces.active:
        wire.trail = None
        return
    if trail is None:
        own = frozenset({peer.host.lower(), peer.address})
        trail = wire.trail = traces.receiver_trail(own)
    message = attempt.message
    names = trail.names | {one.domain for one in attempt.recipients}
    verdicts = [(one, one.filter.of_site(names, message.account_id)) for one in traces.active]
    late = [one for one, verdict in verdicts if verdict and not trail.knows(one)]
    trail.decide(verdicts)
    for one in late:
        trail.only(one, NOTE, shown(f"open to {peer.host} [{peer.address}]; it began with"))
        for line in lines_of(wire.opening):
            trail.only(one, _WHO[line[0]], shown(line[2:]))
    trail(NOTE, f"message {message.id} of account {message.account_id}")


def watched_envelope(trail: Trail, commands: bytes) -> None:
    """Commands of a transaction, as they are written."""
    trail.lines(CLIENT, [shown(one) for one in commands.decode("utf-8", "replace").split("\r\n")[:-1]])
