"""Facts for the judges: a domain with which all is well, to be changed where a test wants trouble."""

from dataclasses import replace
from typing import Any

from relay.admin.finding import Facts, Finding, KeySeen, Level, MailFrom, Reverse
from relay.admin.spf import SpfVerdict
from relay.directory import keys
from relay.transport.answers import Answer, Mx, Status

DOMAIN, OWN, HOST, ADDRESS = "example.org", "bounce.example.org", "relay.example.net", "8.8.8.8"
KEY = keys.load(keys.generate(keys.RSA), DOMAIN, "s1", keys.RSA)
RECORD = keys.public_record(KEY)
TEMPORARY = Answer(Status.TEMPORARY, detail="SERVFAIL")
GONE = Answer(Status.NO_DOMAIN)


def texts(*values: str) -> Answer:
    return Answer(Status.FOUND, texts=values)


def addresses(*values: str) -> Answer:
    return Answer(Status.FOUND, addresses=values)


def mx(*hosts: str) -> Answer:
    return Answer(Status.FOUND, mx=tuple(Mx(10, host) for host in hosts))


def verdict(result: str, lookups: int = 1, why: str = "a:relay.example.net") -> SpfVerdict:
    return SpfVerdict(ADDRESS, result, lookups, why)


def key(*records: str, domain: str = DOMAIN, is_service: bool = False) -> KeySeen:
    answer = texts(*records) if records else GONE
    return KeySeen(f"s1._domainkey.{domain}", domain, RECORD, answer, "publish it", is_service)


WELL = Facts(
    domain=DOMAIN,
    organisation=DOMAIN,
    helo=HOST,
    host=HOST,
    mail_from=OWN,
    mail_from_kind=MailFrom.OWN,
    spf=(verdict("pass"),),
    spf_stranger=verdict("softfail", why="~all"),
    spf_texts=texts("v=spf1 a:relay.example.net ~all"),
    mx=mx(HOST),
    keys=(key(RECORD),),
    dmarc=texts("v=DMARC1; p=reject; rua=mailto:d@example.org"),
    reverse=(Reverse(ADDRESS, texts(HOST), {HOST: addresses(ADDRESS)}),),
    helo_addresses=addresses(ADDRESS),
)


def but(**changes: Any) -> Facts:
    return replace(WELL, **changes)


def worst(findings: list[Finding]) -> Finding:
    """The first of the worst."""
    order = (Level.PROBLEM, Level.WARNING, Level.OK)
    return min(findings, key=lambda one: order.index(one.level))
