"""Where a domain's mail goes.

A *site* is named by what all its domains share: ``mx:`` and the sorted MX host names, or ``hop:`` and the
next hop of a configured route. Domains behind one site share its connections and limits. The mailbox
simulator is the site ``simulator``, which has no hosts.
"""

from __future__ import annotations

from dataclasses import dataclass
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
class Route:
    """A site and how to talk to it. ``hosts`` are sorted; equal preferences are shuffled later."""

    site: str
    hosts: tuple[Host, ...]
    tls: TlsMode = TlsMode.OPPORTUNISTIC
    username: str = ""
    password_file: str = ""

    @property
    def is_by_mx(self) -> bool:
        """Its hosts were found in the DNS, not configured."""
        return self.site.startswith(_BY_MX)
