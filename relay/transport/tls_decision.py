"""What is required of a session to one host: one decision for all that may ask for TLS.

Contract, pure. ``decide`` joins the mode of the route, the demand of domain and message, and what the DNS
says of the host's TLSA records, to a ``TlsPlan``, or to an ``Unfit`` host, to which no session may be opened.
Never less than each of them requires:

- The administrator's "none", "required" and "wrapper" hold as they are; what receivers publish is not asked.
- Usable TLSA records: TLS, and a certificate that they vouch for; MTA-STS and the CAs are not asked (RFC 8461
  2). Only unusable ones: TLS, with any certificate (RFC 7672 2.2). No one knows: no session (2.1.2).
- An MTA-STS policy in force: a host that it names, and a certificate that verifies by CA and host name.
- "dane-only": usable records, and MX records that DNSSEC vouches for; the router sees to those.
- REQUIRETLS: DNSSEC or MTA-STS vouches for the host, TLSA records or CA and name for the certificate
  (RFC 8689 4.2.1). That the host offers REQUIRETLS is seen later, in its EHLO.

An MTA-STS policy in testing changes nothing but what is noted: ``try_first`` is a stronger mode that is tried
and may fail, ``amiss`` what is known to be against the policy before anything is tried.

Not here: the handshake (``opening``), chains (``dane``), the questions (``tlsa_lookup``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from relay.base.route import Route, TlsMode
from relay.base.tls_session import TlsFailure, TlsPolicy, TlsPolicyType
from relay.codec.mta_sts import matches
from relay.codec.tlsa import Tlsa


class TlsaState(Enum):
    """What the DNS says of a host's TLSA records."""

    NONE = "none"  # there are none, or nothing vouches for the answer, or they are not asked for
    USABLE = "usable"
    UNUSABLE = "unusable"  # there are, but none that a mail client understands
    UNKNOWN = "unknown"  # the answer did not come, or is bogus


@dataclass(frozen=True, slots=True)
class TlsaFound:
    """The usable records, and the name that they were found by."""

    state: TlsaState = TlsaState.NONE
    records: tuple[Tlsa, ...] = ()
    name: str = ""
    detail: str = ""


NO_TLSA = TlsaFound()


@dataclass(frozen=True, slots=True)
class TlsPlan:
    """How a session is opened. ``records`` are for mode DANE_ONLY; ``name`` is what the certificate must be
    for, "" for the host's; ``policy`` is what the outcome is noted under."""

    mode: TlsMode
    policy: TlsPolicy
    records: tuple[Tlsa, ...] = ()
    name: str = ""
    try_first: TlsMode | None = None
    amiss: tuple[TlsFailure, str] | None = None

    @property
    def may_fall_back(self) -> bool:
        """A plain session is better than none."""
        return self.mode is TlsMode.OPPORTUNISTIC


@dataclass(frozen=True, slots=True)
class Unfit:
    """No session may be opened to this host, and why."""

    policy: TlsPolicy
    failure: TlsFailure
    detail: str


def asks_tlsa(route: Route) -> bool:
    """Whether TLSA records of the route's hosts matter."""
    if route.tls is TlsMode.DANE_ONLY:
        return True
    is_open = route.tls in (TlsMode.OPPORTUNISTIC, TlsMode.ENCRYPT)
    return is_open and route.is_by_mx and route.demand.has_dane


def decide(route: Route, host: str, tlsa: TlsaFound = NO_TLSA) -> TlsPlan | Unfit:
    """The plan for one host of the route; ``host`` is its name as MX records or the route have it."""
    mode, demand = route.tls, route.demand
    policy = _policy(route, tlsa)
    if mode in (TlsMode.NONE, TlsMode.WRAPPER):
        if demand.is_requiretls and mode is TlsMode.NONE:
            detail = 'the message demands TLS (REQUIRETLS), and tls = "none" is set for where it goes'
            return Unfit(policy, TlsFailure.VALIDATION_FAILURE, detail)
        return TlsPlan(mode, policy)
    if tlsa.state is TlsaState.UNKNOWN:
        return Unfit(policy, TlsFailure.DNSSEC_INVALID, f"TLSA records of {host}: {tlsa.detail}")
    sts = demand.sts if demand.is_sts_enforced else None
    is_named = demand.sts is not None and any(matches(pattern, host) for pattern in demand.sts.mx)
    is_vouched_for = demand.is_mx_secure or (sts is not None and is_named)
    if demand.is_requiretls and route.is_by_mx and not is_vouched_for:
        detail = f"the message demands TLS (REQUIRETLS), and neither DNSSEC nor MTA-STS vouches for {host}"
        return Unfit(policy, TlsFailure.VALIDATION_FAILURE, detail)
    if tlsa.state is TlsaState.USABLE:
        return TlsPlan(TlsMode.DANE_ONLY, policy, tlsa.records, tlsa.name)
    if mode is TlsMode.DANE_ONLY:
        detail = f"{host} has no TLSA records that can be used, and DANE is required"
        return Unfit(policy, TlsFailure.DANE_REQUIRED, detail)
    if sts is not None and not is_named:
        return Unfit(policy, TlsFailure.VALIDATION_FAILURE, _unnamed(sts, host))
    if sts is not None or demand.is_requiretls or mode is TlsMode.REQUIRED:
        return TlsPlan(TlsMode.REQUIRED, policy)
    if tlsa.state is TlsaState.UNUSABLE:
        return TlsPlan(TlsMode.ENCRYPT, policy)
    if demand.sts is not None and not is_named:
        return TlsPlan(mode, policy, amiss=(TlsFailure.VALIDATION_FAILURE, _unnamed(demand.sts, host)))
    return TlsPlan(mode, policy, try_first=TlsMode.REQUIRED if demand.sts is not None else None)


def _unnamed(sts: TlsPolicy, host: str) -> str:
    return f"the MTA-STS policy of {sts.domain} does not name {host}"


def _policy(route: Route, tlsa: TlsaFound) -> TlsPolicy:
    if tlsa.state is not TlsaState.NONE:
        return TlsPolicy(route.domain, TlsPolicyType.TLSA, tuple(str(one) for one in tlsa.records))
    return route.demand.sts or TlsPolicy(route.domain)
