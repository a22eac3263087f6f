"""Where a domain's mail goes.

A *site* is named by what all its domains share: ``mx:`` and the sorted MX host names, or ``hop:`` and the
next hop of a configured route. Domains behind one site share its connections and limits. The mailbox
simulator is the site ``simulator``, which has no hosts.

A *lane* is one source to one site: it has a ready queue, a pool of connections and feedback of its own, since
receivers judge the address that mail comes from. Its name is that of the site, with ``@`` and the name of the
source where that is not the kernel's choice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

_BY_MX = "mx:"


class TlsMode(StrEnum):
    """How a session to the next hop is encrypted."""

    OPPORTUNISTIC = "opportunistic"  # STARTTLS if offered, certificate not checked (RFC 3207)
    REQUIRED = "required"  # STARTTLS with a certificate that verifies, or no delivery
    WRAPPER = "wrapper"  # TLS from the first byte, certificate must verify
    NONE = "none"  # never


@dataclass(frozen=True, slots=True)
class Host:
    """A mail server: a host name or an address literal without brackets, a port, its MX preference."""

    name: str
    port: int = 25
    preference: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """Where connections come from: a name, our addresses to bind to (at most one of each family; none lets
    the kernel choose), and our name in EHLO ("" for that of the relay)."""

    name: str = ""
    addresses: tuple[str, ...] = ()
    helo_name: str = ""


ANY_SOURCE = Source()


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """What one worker may do on a lane now."""

    connections: int = 20
    messages_per_connection: int = 1000


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
    lane: str = field(init=False, default="")

    def __post_init__(self) -> None:
        lane = f"{self.site}@{self.source.name}" if self.source.name else self.site
        object.__setattr__(self, "lane", lane)

    @property
    def is_by_mx(self) -> bool:
        """Its hosts were found in the DNS, not configured."""
        return self.site.startswith(_BY_MX)
