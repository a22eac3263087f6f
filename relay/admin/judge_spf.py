"""SPF, as receivers judge it: may the addresses that mail leaves from use the MAIL FROM domain? Pure.

Contract: one finding for each address, and one for each weakness of the record itself. Where an address is
not allowed, the record to publish is the one that is there with the least that is missing put in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from relay.admin.finding import Facts, Finding, Level, MailFrom, unknown
from relay.admin.spf import MAX_LOOKUPS, SpfVerdict
from relay.directory.keys import zone_record
from relay.transport.answers import Status

_NEAR_LIMIT = 8
_SPF = re.compile(r"v=spf1( |$)", re.IGNORECASE)  # RFC 7208 4.5
_EVERYBODY = re.compile(r"\+?all", re.IGNORECASE)
_PTR = re.compile(r"[+?~-]?ptr([:/].*)?", re.IGNORECASE)


def spf_records(facts: Facts) -> list[str]:
    """The SPF records of the MAIL FROM domain."""
    return [text for text in facts.spf_texts.texts if _SPF.match(text)]


def judge_spf(facts: Facts) -> Iterator[Finding]:
    """What is to say of SPF."""
    if facts.spf_texts.status is Status.TEMPORARY:
        yield unknown("SPF", facts.spf_texts)
        return
    records = spf_records(facts)
    if len(records) > 1:
        yield Finding(
            Level.PROBLEM,
            "SPF",
            f"{facts.mail_from} has {len(records)} SPF records, so none counts: " + " | ".join(records),
            "keep one: " + zone_record(facts.mail_from, _merged(records)),
        )
        return
    for verdict in facts.spf:
        yield _of_address(facts, verdict, records[0] if records else "")
    if not records:
        return
    terms = records[0].split()[1:]
    stranger = facts.spf_stranger
    if stranger is not None and stranger.verdict == "pass":
        closed = " ".join("~all" if _EVERYBODY.fullmatch(t) else t for t in records[0].split())
        mend = zone_record(facts.mail_from, closed) if closed != records[0] else f"mend {stranger.why}"
        seen = f"{facts.mail_from} lets anybody send as it, by {stranger.why} in {records[0]}"
        yield Finding(Level.PROBLEM, "SPF", seen, mend)
    if any(_PTR.fullmatch(term) for term in terms):
        seen = f"{facts.mail_from} uses ptr, which many receivers ignore (RFC 7208 5.5)"
        yield Finding(Level.WARNING, "SPF", seen, "name addresses (ip4:, ip6:) or hosts (a:) in its place")


def _of_address(facts: Facts, verdict: SpfVerdict, record: str) -> Finding:
    domain, address = facts.mail_from, verdict.address
    used = f"{verdict.lookups} of {MAX_LOOKUPS} lookups"
    if verdict.verdict == "pass":
        seen = f"{domain} allows {address} ({verdict.why}; {used})"
        if verdict.lookups > _NEAR_LIMIT:
            hint = "drop includes that are not needed: beyond the limit nothing passes"
            return Finding(Level.WARNING, "SPF", seen, hint)
        return Finding(Level.OK, "SPF", seen)
    if verdict.verdict == "temperror":
        hint = "see the name servers of the domains that the record names"
        return Finding(Level.PROBLEM, "SPF", f"{domain} cannot be judged: {verdict.why}", hint)
    if verdict.lookups > MAX_LOOKUPS:
        seen = f"{domain} needs {verdict.lookups} lookups and {MAX_LOOKUPS} are allowed, so nothing passes"
        hint = "drop includes that are not needed, or name addresses (ip4:, ip6:) in their place"
        return Finding(Level.PROBLEM, "SPF", seen, hint)
    if verdict.verdict == "permerror":
        return Finding(
            Level.PROBLEM, "SPF", f"{domain} has a broken record: {verdict.why}", "correct the record"
        )
    wanted = zone_record(domain, _allowing(record, facts))
    if not record:
        return Finding(Level.PROBLEM, "SPF", f"{domain} has no SPF record", wanted)
    seen = f"{domain} does not allow {address}: {verdict.verdict} by {verdict.why or 'default'} in {record}"
    return Finding(Level.PROBLEM, "SPF", seen, wanted)


def _allowing(record: str, facts: Facts) -> str:
    """The record with the host put in, or the addresses where the host has others."""
    known = set(facts.helo_addresses.addresses)
    missing = [one.address for one in facts.spf if one.verdict != "pass"]
    if facts.mail_from_kind is MailFrom.OWN or all(address in known for address in missing):
        new = [f"a:{facts.host}"]
    else:
        new = [f"ip6:{address}" if ":" in address else f"ip4:{address}" for address in missing]
    terms = record.split()[1:] if record else ["~all"]
    return " ".join(["v=spf1", *[one for one in new if one not in terms], *terms])


def _merged(records: list[str]) -> str:
    """Several records as one: all their terms, each once, ``all`` at the end."""
    terms = list(dict.fromkeys(term for record in records for term in record.split()[1:]))
    last = [term for term in terms if term.lower().lstrip("+?~-") == "all"]
    return " ".join(["v=spf1", *[term for term in terms if term not in last], *last[:1]])
