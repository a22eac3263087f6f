"""What is asked of TLS towards the receivers: by the administrator, by the receiver's domain, by the message.

Contract, pure. ``TlsMode`` is the least that a route asks; ``TlsDemand`` is what raises it: DANE where the MX
hosts publish TLSA records, an MTA-STS policy of the recipients' domain, REQUIRETLS of the message. What the
two amount to for one host is decided in ``transport.tls_decision``.

Mail of different demands never shares a connection: ``TlsDemand.name`` is a part of the lane's name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from relay.base.message import TlsWish
from relay.base.tls_session import TlsPolicy


class TlsMode(StrEnum):
    """How a session to the next hop is encrypted."""

    OPPORTUNISTIC = "opportunistic"  # STARTTLS if offered, certificate not checked (RFC 3207)
    ENCRYPT = "encrypt"  # STARTTLS or no delivery; certificate not checked
    REQUIRED = "required"  # STARTTLS with a certificate that verifies by CA and host name, or no delivery
    DANE_ONLY = "dane-only"  # STARTTLS with a certificate that TLSA records vouch for, or no delivery
    WRAPPER = "wrapper"  # TLS from the first byte, certificate must verify
    NONE = "none"  # never


@dataclass(frozen=True, slots=True)
class TlsDemand:
    """What may ask for more than the mode. ``sts`` is the MTA-STS policy of the recipients' domain."""

    has_dane: bool = True  # TLSA records of the MX hosts count
    sts: TlsPolicy | None = None
    is_sts_enforced: bool = False  # else the policy is only tested
    is_explicit: bool = False  # the administrator named the mode for this domain
    is_mx_secure: bool = False  # DNSSEC vouches for the MX records
    is_requiretls: bool = False  # the message demands it (RFC 8689)

    @property
    def is_waived(self) -> bool:
        """The message wants what the receiver published passed over; its sessions say nothing about it."""
        return not self.has_dane and self.sts is None and not self.is_explicit

    @property
    def name(self) -> str:
        """What tells lanes apart; "" for what is usual. Not in it: what changes nothing for the session. (A
        policy in testing does: over a connection of its own it is seen whether it would hold.)"""
        parts = []
        if not self.has_dane:
            parts.append("no-dane")
        if self.sts is not None:
            parts.append(f"{'sts' if self.is_sts_enforced else 'sts-testing'}:{self.sts.domain}")
        if self.is_requiretls:
            parts.append("requiretls" if self.is_mx_secure else "requiretls-by-sts")
        return "+".join(parts)


USUAL_DEMAND = TlsDemand()


def with_wish(mode: TlsMode, demand: TlsDemand, wish: TlsWish) -> tuple[TlsMode, TlsDemand]:
    """What remains of mode and demand for a message with a wish (RFC 8689): REQUIRETLS adds to them,
    "TLS-Required: No" takes away what the receiver published, but not what the administrator set."""
    if wish is TlsWish.REQUIRED:
        return mode, replace(demand, is_requiretls=True)
    if wish is TlsWish.OPTIONAL:
        return mode, replace(demand, has_dane=False, sts=None, is_sts_enforced=False)
    return mode, demand


_VERSIONS = ("TLSv1.2", "TLSv1.3")


def version_of(described: str) -> str:
    """The version under which a session counts that is described by version and cipher; "" is no TLS."""
    version = described.partition(" ")[0]
    return version if version in _VERSIONS else "other" if version else "none"
