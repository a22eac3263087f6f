"""The sending host and the way back, as receivers judge them: reverse DNS, EHLO name, MX of MAIL FROM. Pure.

Contract: an address needs a name that leads back to it (forward-confirmed), or large receivers refuse its
mail. The EHLO name should lead to the address too. The MAIL FROM domain must be able to receive: bounces, and
the doubts of receivers that check it, go there.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from relay.admin.finding import Facts, Finding, Level, MailFrom, Reverse, unknown
from relay.transport.answers import Status


def judge_host(facts: Facts) -> Iterator[Finding]:
    """What is to say of the addresses and of the EHLO name."""
    for one in facts.reverse:
        yield _of_address(facts, one)
    if facts.helo_addresses.status is Status.TEMPORARY:
        yield unknown("EHLO name", facts.helo_addresses)
        return
    known = set(facts.helo_addresses.addresses)
    strange = [one.address for one in facts.reverse if one.address not in known]
    if not known:
        seen, level = f"{facts.helo} has no address", Level.PROBLEM
    elif strange:
        seen, level = f"{facts.helo} does not lead to {', '.join(strange)}", Level.WARNING
    else:
        yield Finding(Level.OK, "EHLO name", f"{facts.helo} leads to {', '.join(sorted(known))}")
        return
    lines = [f"{facts.helo}. IN {'AAAA' if ':' in address else 'A'} {address}" for address in strange]
    yield Finding(level, "EHLO name", seen, "\n".join(lines))


def _of_address(facts: Facts, one: Reverse) -> Finding:
    about = "reverse DNS"
    if not ipaddress.ip_address(one.address).is_global:
        hint = "name the address that receivers see: relay doctor --ip ADDRESS, or [delivery] source_address"
        return Finding(Level.WARNING, about, f"{one.address} is not an address of the Internet", hint)
    if one.names.status is Status.TEMPORARY:
        return unknown(about, one.names)
    wanted = f"{ipaddress.ip_address(one.address).reverse_pointer}. IN PTR {facts.helo}."
    if not one.names.texts:
        return Finding(Level.PROBLEM, about, f"{one.address} has no name", f"{wanted} (at your provider)")
    confirmed = [n for n in one.names.texts if n in one.forward and one.address in one.forward[n].addresses]
    if confirmed:
        return Finding(Level.OK, about, f"{one.address} is {confirmed[0]}, and that leads back")
    names = ", ".join(one.names.texts)
    seen = f"{one.address} is {names}, but that does not lead back to it"
    return Finding(Level.PROBLEM, about, seen, f"{wanted} (at your provider), or an address for {names}")


def judge_mx(facts: Facts) -> Iterator[Finding]:
    """What is to say of the way back."""
    if facts.unused:
        hint = f"publish its records: relay identity mail-from {facts.domain} show"
        yield Finding(Level.WARNING, "MAIL FROM", f"{facts.unused} is not used", hint)
    about, domain, mx = "MX", facts.mail_from, facts.mx
    if mx.status is Status.TEMPORARY:
        yield unknown(about, mx)
        return
    hosts = [one.host for one in mx.mx]
    wanted = f"{domain}. IN MX 10 {facts.host}."
    if hosts == [""]:
        seen = f"{domain} takes no mail (null MX): receivers refuse it as MAIL FROM, and no bounce comes back"
        yield Finding(Level.PROBLEM, about, seen, wanted)
    elif facts.mail_from_kind is MailFrom.SENDER:
        if hosts or facts.mail_from_addresses.addresses:
            found = ", ".join(hosts) or "its own address"
            yield Finding(Level.OK, about, f"bounces to {domain} go to {found}")
        else:
            seen = f"{domain} has neither MX nor address: many receivers refuse it as MAIL FROM"
            yield Finding(Level.PROBLEM, about, seen, f"{domain}. IN MX 10 <your mail server>.")
    elif facts.host in hosts:
        if len(hosts) > 1:
            seen = f"{domain} has other MX beside {facts.host}: bounces may go there"
            yield Finding(Level.WARNING, about, seen, f"keep only: {wanted}")
        else:
            yield Finding(Level.OK, about, f"bounces to {domain} come back to {facts.host}")
    else:
        seen = f"bounces to {domain} do not come back: its MX is {', '.join(hosts) or 'missing'}"
        yield Finding(Level.PROBLEM, about, seen, wanted)
