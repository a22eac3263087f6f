"""The questions to the DNS about a mail server's TLSA records, in the order of RFC 7672 2.2.

Contract: ``find_tlsa`` never raises for what the network does. TLSA records are asked for only where the
host's addresses came with DNSSEC's proof: name servers without DNSSEC are known to fail for record types that
they do not know, and nothing could be gained from them (2.2.2). A host that is an alias is looked for under
the name that it leads to first, then under its own; where only its own name is signed, under that alone.

An answer that did not come, or that is bogus (SERVFAIL), is UNKNOWN: the host is not used, since an attacker
can make both. Answers without proof are none.

Not here: whether the resolver is to be believed (``resolve``), what follows (``tls_decision``).
"""

from __future__ import annotations

from typing import Protocol

from relay.base.route import Host
from relay.transport.answers import Answer, Status
from relay.transport.tls_decision import NO_TLSA, TlsaFound, TlsaState


class SecureNames(Protocol):
    """What is asked of the DNS (``resolve.Resolver``)."""

    async def tlsa(self, name: str) -> Answer:
        """TLSA records."""
        ...

    async def cname(self, name: str) -> Answer:
        """The target of an alias."""
        ...


async def find_tlsa(names: SecureNames, host: Host, addresses: Answer) -> TlsaFound:
    """What is known of a host whose ``addresses`` were found."""
    aliased = addresses.canonical not in ("", host.name)
    if addresses.is_secure:
        bases = [addresses.canonical, host.name] if aliased else [host.name]
    elif aliased and (alias := await names.cname(host.name)).is_secure:
        bases = [host.name]
    elif aliased and alias.status is Status.TEMPORARY:
        return TlsaFound(TlsaState.UNKNOWN, detail=alias.detail)
    else:
        return NO_TLSA
    for base in bases:
        answer = await names.tlsa(f"_{host.port}._tcp.{base}")
        if answer.status is Status.TEMPORARY:
            return TlsaFound(TlsaState.UNKNOWN, detail=answer.detail)
        if answer.status is Status.FOUND and answer.is_secure:
            usable = tuple(one for one in answer.tlsa if one.is_usable)
            if usable:
                return TlsaFound(TlsaState.USABLE, usable, base)
            return TlsaFound(TlsaState.UNUSABLE, name=base, detail="no TLSA record that can be used")
    return NO_TLSA
