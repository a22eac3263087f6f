"""What SPF says of mail from an address (RFC 7208), by a library and through our own resolver.

Contract: ``evaluate`` never raises for what the DNS or a record does; trouble is a verdict. ``lookups``
counts the terms that ask the DNS, also beyond the ten after which receivers stop. The only user of
``spftrace``, chosen over pyspf because it asks through a resolver that it is given, says which term decided
and counts on past the limit, and is maintained; both are tested against the suite of RFC 7208.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from spftrace import BaseResolver, Evaluator, Limits

from relay.transport.answers import Answer, Status

MAX_LOOKUPS = 10  # RFC 7208 4.6.4

_RCODES = {Status.FOUND: "NOERROR", Status.EMPTY: "NOERROR", Status.NO_DOMAIN: "NXDOMAIN"}


class Names(Protocol):
    """The questions to the DNS."""

    async def ask(self, name: str, kind: str) -> Answer:
        """Records of one kind."""
        ...


@dataclass(frozen=True, slots=True)
class SpfVerdict:
    """The result for one address."""

    address: str
    verdict: str  # "pass", "fail", "softfail", "neutral", "none", "permerror", "temperror"
    lookups: int
    why: str  # of an error, else the mechanism that decided


async def evaluate(names: Names, address: str, sender: str, helo: str) -> SpfVerdict:
    """What a receiver finds that gets mail from ``address`` with this MAIL FROM."""
    result = await Evaluator(_Transport(names), Limits(audit=True)).evaluate(address, sender, helo)
    why = ""
    for event in result.trace.events:
        if event.kind == "exit":
            why = str(event.data.get("reason") or why)
        elif event.kind == "mech_match" and event.depth == 0:
            why = str(event.data.get("raw") or event.data.get("mechanism") or "")
    return SpfVerdict(address, result.verdict, result.dns_terms_used, why)


class _Transport(BaseResolver):
    """Our resolver, as the library wants it."""

    def __init__(self, names: Names) -> None:
        self._names = names

    async def _lookup(self, name: str, rtype: str) -> tuple[str, list[str]]:
        answer = await self._names.ask(name, rtype)
        if answer.status is Status.TEMPORARY:
            return "SERVFAIL", []
        return _RCODES[answer.status], [*answer.texts, *answer.addresses, *(mx.host for mx in answer.mx)]
