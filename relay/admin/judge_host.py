"""The sending host and the way back, as receivers judge them: reverse DNS, EHLO name, MX of MAIL FROM. Pure.

Contract: an address needs a name that leads back to it (forward-confirmed), or large receivers refuse its
mail; that name should not look like one that a provider gives to each of its customers' lines, with the
address in it. The EHLO name must be a host name with a domain (RFC 5321 4.1.1.1), and should lead to the
address too, by A for IPv4 and by AAAA for IPv6. The MAIL FROM domain must be able to receive: bounces, and
the doubts of receivers that check it, go there.

Each address that mail leaves from is judged with the name that goes with it in EHLO (``Reverse.helo``).
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from relay.admin.finding import Facts, Finding, Level, MailFrom, Reverse, unknown
from relay.transport.answers import Answer, Status

_LOCAL = ("local", "localdomain", "localhost", "internal", "lan", "home", "invalid", "arpa", "test")
_GENERIC = re.compile(
    r"(?:^|[.-])(?:dyn(?:amic)?(?:ip)?|dhcp|dial-?(?:up|in)|pppoe?|[av]?dsl|cable|pool|dip|cust(?:omer)?|broadband|catv)"
    r"[0-9]*(?=[.-])",
    re.IGNORECASE,
)


def judge_host(facts: Facts) -> Iterator[Finding]:
    """What is to say of the addresses and of the EHLO names."""
    for one in facts.reverse:
        yield _of_address(facts, one)
    names = {facts.helo: facts.helo_addresses} | {
        one.helo: one.helo_addresses for one in facts.reverse if one.helo
    }
    used = {one.helo or facts.helo for one in facts.reverse} or {facts.helo}
    for name, answer in names.items():
        if name in used:
            mine = [one.address for one in facts.reverse if (one.helo or facts.helo) == name]
            yield _of_name(name, answer, mine)


def _of_name(name: str, answer: Answer, mine: Sequence[str]) -> Finding:
    """An EHLO name, and the addresses that say it."""
    about = "EHLO name"
    fault = _no_name(name)
    if fault:
        hint = "[relay] hostname (or helo of the source): the full name of this machine, mail.example.com"
        return Finding(Level.PROBLEM, about, f"{name} {fault}", hint)
    if answer.status is Status.TEMPORARY:
        return unknown(about, answer)
    known = set(answer.addresses)
    strange = [one for one in mine if one not in known]
    lines = [f"{name}. IN {'AAAA' if ':' in address else 'A'} {address}" for address in strange]
    if not known:
        return Finding(Level.PROBLEM, about, f"{name} has no address", "\n".join(lines))
    if strange:
        seen = f"{name} does not lead to {', '.join(strange)}"
        return Finding(Level.WARNING, about, seen, "\n".join(lines))
    return Finding(Level.OK, about, f"{name} leads to {', '.join(sorted(known))}")


def _no_name(name: str) -> str:
    """Why receivers refuse this in EHLO, or ""."""
    try:
        ipaddress.ip_address(name.strip("[]").removeprefix("IPv6:").removeprefix("ipv6:"))
    except ValueError:
        pass
    else:
        return "is an address: many receivers refuse EHLO with one"
    if "." not in name:
        return "is not a full name: it has no domain"
    last = name.rstrip(".").rpartition(".")[2]
    if name.lower().startswith("localhost.") or last.lower() in _LOCAL:
        return "is a name that means something only here"
    return ""


def _looks_generic(name: str, address: str) -> bool:
    """The name of a line, not of a mail server: the address is in it, or it says that it is dynamic."""
    own, _, _ = name.rpartition(".")[0].rpartition(".")  # what stands before the domain
    if _GENERIC.search(f"{own}."):
        return True
    ip = ipaddress.ip_address(address)
    if ip.version == 6:
        return "".join(ip.exploded.split(":"))[-12:] in re.sub(r"[^0-9a-f]", "", name.lower())
    parts = address.split(".")
    numbers = [str(int(one)) for one in re.findall(r"[0-9]+", name) if len(one) <= 3]
    if not Counter(parts) - Counter(numbers):
        return True
    filled = [f"{int(one):03d}" for one in parts]
    return "".join(filled) in name or "".join(reversed(filled)) in name


def _of_address(facts: Facts, one: Reverse) -> Finding:
    about, helo = "reverse DNS", one.helo or facts.helo
    if not ipaddress.ip_address(one.address).is_global:
        hint = "name the address that receivers see: relay doctor --ip ADDRESS, or [delivery] source_address"
        return Finding(Level.WARNING, about, f"{one.address} is not an address of the Internet", hint)
    if one.names.status is Status.TEMPORARY:
        return unknown(about, one.names)
    wanted = f"{ipaddress.ip_address(one.address).reverse_pointer}. IN PTR {helo}."
    if not one.names.texts:
        also = "; without it large receivers refuse mail over IPv6" if ":" in one.address else ""
        seen = f"{one.address} has no name{also}"
        return Finding(Level.PROBLEM, about, seen, f"{wanted} (at your provider)")
    confirmed = [n for n in one.names.texts if n in one.forward and one.address in one.forward[n].addresses]
    names = ", ".join(one.names.texts)
    if not confirmed:
        seen = f"{one.address} is {names}, but that does not lead back to it"
        return Finding(Level.PROBLEM, about, seen, f"{wanted} (at your provider), or an address for {names}")
    if all(_looks_generic(name, one.address) for name in confirmed):
        seen = f"{one.address} is {confirmed[0]}, which looks like the name of a line, not of a mail server"
        return Finding(Level.WARNING, about, seen, f"{wanted} (at your provider)")
    if len(one.names.texts) > 1:
        seen = f"{one.address} has {len(one.names.texts)} names ({names}); some receivers look at one only"
        return Finding(Level.WARNING, about, seen, f"keep only: {wanted}")
    return Finding(Level.OK, about, f"{one.address} is {confirmed[0]}, and that leads back")


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
