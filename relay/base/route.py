"""Where a domain's mail goes.

A *site* is named by what all its domains share: ``mx:`` and the sorted MX host names, or ``hop:`` and the
next hop of a configured route. Domains behind one site share its connections and limits. The mailbox
simulator is the site ``simulator``, which has no hosts.

A *lane* is one source to one site: it has a ready queue, a pool of connections and feedback of its own, since
receivers judge the address that mail comes from. Its name is that of the site, with ``!`` and what is
asked of TLS where that is not the usual, and with ``@`` and the name of the source where that is not the
kernel's choice. So a connection that was opened for less than a domain or message asks is never used for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from relay.base.message import TlsWish
from relay.base.tls import USUAL_DEMAND, TlsDemand, with_wish
from relay.base.tls import TlsMode as TlsMode

_BY_MX = "mx:"


@dataclass(frozen=True, slots=True)
class Host:
    """A mail server: a host name or an address literal without brackets, a port, its MX preference."""

    name: str
    port: int = 25
    preference: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """Where connections come from: a name, our addresses to bind to (at most one of each family; none lets
    the kernel choose), our name in EHLO ("" for that of the relay), and which family is tried first ("ipv4",
    "ipv6", or "" for both in turn)."""

    name: str = ""
    addresses: tuple[str, ...] = ()
    helo_name: str = ""
    prefer: str = ""


ANY_SOURCE = Source()


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """What one worker may do on a lane now. ``group``: lanes that have it in common share the connections."""

    connections: int = 20
    messages_per_connection: int = 1000
    group: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """A site, how to talk to it, and from where. ``hosts`` are sorted; equal preferences are shuffled
    later."""

    site: str
    hosts: tuple[Host, ...]
    tls: TlsMode = TlsMode.OPPORTUNISTIC
    username: str = ""
    password_file: str = ""
    source: Source = ANY_SOURCE
    demand: TlsDemand = USUAL_DEMAND
    client_certificate: str = ""  # PEM files; "" for none
    client_key: str = ""
    domain: str = field(default="", compare=False)  # whose mail it was found for; others may share it
    lane: str = field(init=False, default="")
    _by_wish: dict[TlsWish, Route] = field(init=False, default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        lane = self.site
        asked = [] if self.tls is TlsMode.OPPORTUNISTIC or not self.is_by_mx else [self.tls.value]
        if self.demand is not USUAL_DEMAND and self.demand.name:
            asked.append(self.demand.name)
        if asked:
            lane = f"{lane}!{'+'.join(asked)}"
        if self.source.name:
            lane = f"{lane}@{self.source.name}"
        object.__setattr__(self, "lane", lane)

    def wished(self, wish: TlsWish) -> Route:
        """The route for a message that says something about TLS itself; without hosts, hence without a
        connection, there is nothing to ask for."""
        if not self.hosts:
            return self
        found = self._by_wish.get(wish)
        if found is None:
            tls, demand = with_wish(self.tls, self.demand, wish)
            is_same = (tls, demand) == (self.tls, self.demand)
            found = self if is_same else replace(self, tls=tls, demand=demand)
            self._by_wish[wish] = found
        return found

    @property
    def is_by_mx(self) -> bool:
        """Its hosts were found in the DNS, not configured."""
        return self.site.startswith(_BY_MX)
