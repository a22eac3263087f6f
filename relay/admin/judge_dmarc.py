"""DMARC, as receivers judge it: is there a policy, and does SPF or DKIM speak for the domain of From? Pure.

Contract: a finding about the record, and one about alignment (RFC 7489 3.1). The record of the domain itself
counts, else that of its organisational domain. Without any record alignment is judged as relaxed, which is
what most receivers ask for anyway.
"""

from __future__ import annotations

from collections.abc import Iterator

from relay.admin.finding import Facts, Finding, Level, MailFrom, unknown
from relay.admin.judge_dkim import good_domains
from relay.codec.dmarc import Policy, is_aligned, is_policy, parse_policy
from relay.directory.keys import zone_record
from relay.directory.suffixes import organisational_domain
from relay.transport.answers import Answer, Status

_RELAXED = Policy("none", "none", False, False, 100, "")


def judge_dmarc(facts: Facts) -> Iterator[Finding]:
    """What is to say of DMARC."""
    found, policy, applied = _policy(facts)
    yield found
    strict = policy or _RELAXED
    spf = _is_spf_aligned(facts, strict)
    dkim = [one for one in good_domains(facts) if _speaks(facts, one, strict.is_dkim_strict)]
    about = "alignment"
    if dkim and spf:
        seen = f"DKIM (d={dkim[0]}) and SPF ({facts.mail_from}) both speak for {facts.domain}"
        yield Finding(Level.OK, about, seen)
    elif dkim:
        hint = ""
        if facts.mail_from_kind is not MailFrom.OWN:
            above = facts.organisation or facts.domain
            hint = f"for SPF as well: relay identity mail-from {facts.domain} set bounce.{above}"
        seen = f"DKIM (d={dkim[0]}) speaks for {facts.domain}; SPF ({facts.mail_from}) does not"
        yield Finding(Level.WARNING if hint else Level.OK, about, seen, hint)
    elif spf:
        seen = f"only SPF ({facts.mail_from}) speaks for {facts.domain}: mail that is forwarded fails"
        yield Finding(Level.WARNING, about, seen, "mend DKIM")
    else:
        fate = {"none": "", "quarantine": ", so it goes to spam", "reject": ", so it is refused"}[applied]
        seen = f"neither DKIM nor SPF speaks for {facts.domain}: its mail fails DMARC{fate}"
        yield Finding(Level.PROBLEM, about, seen, "mend DKIM first")


def _policy(facts: Facts) -> tuple[Finding, Policy | None, str]:
    """The finding about the record, the policy, and what it does to mail that is not aligned."""
    places = [(f"_dmarc.{facts.domain}", facts.dmarc, False)]
    if facts.dmarc_above is not None:
        places.append((f"_dmarc.{facts.organisation}", facts.dmarc_above, True))
    for name, answer, is_above in places:
        if answer.status is Status.TEMPORARY:
            return unknown("DMARC", answer), None, "none"
        records = _records(answer)
        if records:
            return _of_record(name, records, is_above)
    name = f"_dmarc.{facts.organisation or facts.domain}"
    wanted = zone_record(
        name, f"v=DMARC1; p=none; rua=mailto:postmaster@{facts.organisation or facts.domain}"
    )
    return (
        Finding(Level.WARNING, "DMARC", f"{facts.domain} has no policy; large receivers ask for one", wanted),
        None,
        "none",
    )


def _of_record(name: str, records: list[str], is_above: bool) -> tuple[Finding, Policy | None, str]:
    if len(records) > 1:
        seen = f"{name} has {len(records)} policies, so none counts"
        return Finding(Level.PROBLEM, "DMARC", seen, "keep one"), None, "none"
    try:
        policy = parse_policy(records[0])
    except ValueError as error:
        seen = f"{name} cannot be read: {error}"
        return Finding(Level.PROBLEM, "DMARC", seen, zone_record(name, "v=DMARC1; p=none")), None, "none"
    applied = policy.for_domain(is_above)
    seen = f"{name} says {applied}" + (f" for {policy.percent} %" if policy.percent < 100 else "")
    modes = [n for n, strict in (("DKIM", policy.is_dkim_strict), ("SPF", policy.is_spf_strict)) if strict]
    seen += f", strict for {' and '.join(modes)}" if modes else ", relaxed"
    if not policy.reports_to:
        hint = "add rua=mailto:... to hear of mail that fails"
        return Finding(Level.OK, "DMARC", f"{seen}, no reports", hint), policy, applied
    return Finding(Level.OK, "DMARC", seen), policy, applied


def _records(answer: Answer) -> list[str]:
    return [text for text in answer.texts if is_policy(text)]


def _is_spf_aligned(facts: Facts, policy: Policy) -> bool:
    passes = bool(facts.spf) and all(one.verdict == "pass" for one in facts.spf)
    return passes and _speaks(facts, facts.mail_from, policy.is_spf_strict)


def _speaks(facts: Facts, domain: str, is_strict: bool) -> bool:
    return is_aligned(
        domain,
        facts.domain,
        is_strict=is_strict,
        organisation=organisational_domain(domain),
        author_organisation=facts.organisation,
    )
