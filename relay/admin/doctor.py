"""The examination of a domain's mail: asks the DNS all that receivers will ask, and lets the judges speak.

Contract: ``examine`` asks afresh, many questions at once, and never raises for what the DNS says. What is to
be asked about comes as a ``Patient``, made from the directory and the configuration; nothing is changed and
no mail is sent. Findings come in the order in which they matter to a receiver.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from relay.admin import spf
from relay.admin.finding import NO_ANSWER, Facts, Finding, KeySeen, Level, MailFrom, Reverse
from relay.admin.judge_dkim import judge_dkim
from relay.admin.judge_dmarc import judge_dmarc
from relay.admin.judge_host import judge_host, judge_mx
from relay.admin.judge_spf import judge_spf
from relay.directory.suffixes import organisational_domain
from relay.transport.answers import Answer

_STRANGER = "203.0.113.77"  # an address for documentation (RFC 5737): whom a record allows that allows this?
_MOST_NAMES = 10  # of an address; more no receiver looks at (RFC 7208 5.5)


class Names(spf.Names, Protocol):
    """The questions to the DNS."""

    async def ptr(self, address: str) -> Answer:
        """The names of an address."""
        ...

    async def addresses(self, host: str) -> Answer:
        """The addresses of a host."""
        ...


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that signs, or is to: where its record is, and what it should say."""

    name: str
    domain: str
    record: str
    publish: str  # the line of the owner's zone file
    is_service: bool = False
    is_signing: bool = True


@dataclass(frozen=True, slots=True)
class Patient:
    """What is known of an identity's mail without asking anybody."""

    domain: str
    helo: str
    host: str
    mail_from: str
    mail_from_kind: MailFrom
    addresses: Sequence[str]
    helo_of: Mapping[str, str] = field(default_factory=dict)  # by address, where it is not ``helo``
    keys: Sequence[PublicKey] = ()
    is_dkim_on: bool = True
    dkim_state: str = ""  # of records that are not as they should be, so that nothing is signed
    unused: str = ""
    smarthost: str = ""  # where all mail goes, if receivers do not see our own addresses
    unverified: str = ""  # how it stands, if nothing may be sent from it
    has_inbound: bool = True  # a listener of ours takes what comes back
    is_postmaster_read: bool = True  # and mail to postmaster goes on to somebody


async def examine(names: Names, patient: Patient) -> list[Finding]:
    """All findings about the mail of one identity."""
    facts = await _gather(names, patient)
    findings = [
        *judge_spf(facts),
        *judge_dkim(facts),
        *judge_dmarc(facts),
        *judge_mx(facts),
        *judge_host(facts),
    ]
    if not patient.addresses:
        hint = "name them: relay doctor --ip ADDRESS, or [delivery] source_address"
        findings.append(
            Finding(Level.PROBLEM, "SPF", "the addresses that mail leaves from are not known", hint)
        )
    if patient.smarthost:
        seen = f"all mail leaves through {patient.smarthost}: receivers see its address, not ours"
        hint = "ask again with its address: relay doctor --ip ADDRESS"
        findings.append(Finding(Level.WARNING, "route", seen, hint))
    findings += _inbound(patient)
    if patient.unverified:
        hint = f"see `relay identity records {patient.domain}`"
        seen = f"nothing may be sent from {patient.domain}: it is {patient.unverified}"
        findings.insert(0, Finding(Level.PROBLEM, "identity", seen, hint))
    return findings


def _inbound(patient: Patient) -> list[Finding]:
    """Whether somebody hears what is said to us."""
    if not patient.has_inbound:
        if patient.mail_from_kind is MailFrom.SENDER:
            return []
        seen = f"no listener of ours takes the bounces that come later to return paths at {patient.mail_from}"
        hint = 'add a [[listener]] with role = "inbound" to the configuration, and lead the MX to it'
        return [Finding(Level.WARNING, "return path", seen, hint)]
    if not patient.is_postmaster_read:
        seen = "mail to postmaster@ and abuse@ is refused, since nobody would read it (RFC 5321 4.5.1)"
        return [Finding(Level.WARNING, "postmaster", seen, "set [relay] postmaster to a mailbox elsewhere")]
    return []


async def examine_host(
    names: Names, helo: str, addresses: Sequence[str], helo_of: Mapping[str, str]
) -> list[Finding]:
    """All findings about the addresses that mail leaves from and the names that are said there."""
    reverse, helo_addresses = await asyncio.gather(
        asyncio.gather(*[_reverse(names, one, helo_of.get(one, "")) for one in addresses]),
        names.addresses(helo),
    )
    facts = Facts(
        domain=helo,
        organisation="",
        helo=helo,
        host=helo,
        mail_from=helo,
        mail_from_kind=MailFrom.SENDER,
        reverse=tuple(reverse),
        helo_addresses=helo_addresses,
    )
    return list(judge_host(facts))


async def _gather(names: Names, patient: Patient) -> Facts:
    organisation = organisational_domain(patient.domain)
    sender = f"postmaster@{patient.mail_from}"
    is_below = organisation not in ("", patient.domain)
    answers, stranger, verdicts, reverse, keys = await asyncio.gather(
        _answers(names, patient, f"_dmarc.{organisation}" if is_below else ""),
        spf.evaluate(names, _STRANGER, sender, patient.helo),
        asyncio.gather(*[spf.evaluate(names, one, sender, patient.helo) for one in patient.addresses]),
        asyncio.gather(*[_reverse(names, one, patient.helo_of.get(one, "")) for one in patient.addresses]),
        asyncio.gather(*[_key(names, one) for one in patient.keys]),
    )
    texts, mx, implicit, helo, dmarc, above = answers
    return Facts(
        domain=patient.domain,
        organisation=organisation,
        helo=patient.helo,
        host=patient.host,
        mail_from=patient.mail_from,
        mail_from_kind=patient.mail_from_kind,
        unused=patient.unused,
        is_dkim_on=patient.is_dkim_on,
        dkim_state=patient.dkim_state,
        spf=tuple(verdicts),
        spf_stranger=stranger,
        spf_texts=texts,
        mx=mx,
        mail_from_addresses=implicit,
        keys=tuple(keys),
        dmarc=dmarc,
        dmarc_above=above if is_below else None,
        reverse=tuple(reverse),
        helo_addresses=helo,
    )


async def _answers(names: Names, patient: Patient, above: str) -> Sequence[Answer]:
    """The records that are asked for by name; ``above``: the policy of the organisational domain, or ""."""
    return await asyncio.gather(
        names.ask(patient.mail_from, "TXT"),
        names.ask(patient.mail_from, "MX"),
        names.addresses(patient.mail_from),
        names.addresses(patient.helo),
        names.ask(f"_dmarc.{patient.domain}", "TXT"),
        names.ask(above, "TXT") if above else _nothing(),
    )


async def _nothing() -> Answer:
    return NO_ANSWER


async def _reverse(names: Names, address: str, helo: str) -> Reverse:
    found = await names.ptr(address)
    hosts = found.texts[:_MOST_NAMES]
    forward = await asyncio.gather(*map(names.addresses, hosts))
    helo_addresses = await names.addresses(helo) if helo else NO_ANSWER
    return Reverse(address, found, dict(zip(hosts, forward, strict=True)), helo, helo_addresses)


async def _key(names: Names, key: PublicKey) -> KeySeen:
    answer = await names.ask(key.name, "TXT")
    return KeySeen(key.name, key.domain, key.record, answer, key.publish, key.is_service, key.is_signing)
