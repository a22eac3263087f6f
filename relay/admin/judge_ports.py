"""Whether each listener does what its configuration says: greets, offers TLS, and AUTH only in it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from relay.admin.finding import Finding, Level
from relay.admin.host_facts import CertificateSeen, Outbound, PortSeen
from relay.admin.span import span

_FILE_DIFFERS_S = 60.0


def judge_port(port: PortSeen, file: CertificateSeen | None = None) -> Iterator[Finding]:
    """What is to say of one; ``file`` is the certificate that the configuration names."""
    about = f"port {port.address.rpartition(':')[2]}"
    if port.is_for_proxies:
        seen = f"{port.address} speaks to proxies only (proxy_protocol): not tried"
        yield Finding(Level.UNKNOWN, about, seen, "try it through the proxy")
        return
    if port.fault:
        fix = "is the relay running (`relay status`), and does nothing else listen there (`ss -ltnp`)?"
        yield Finding(Level.PROBLEM, about, f"{port.address}: {port.fault}", fix)
        return
    if port.greeting.startswith("554") and not port.is_trusting:
        seen = f"{port.address} answers, and refuses this host, which is not in its trusted_networks"
        yield Finding(Level.OK, about, seen)
        return
    if not port.greeting.startswith("220"):
        fix = "see [limits] connections and the relay's log" if port.greeting[:3] == "421" else "see the log"
        yield Finding(Level.PROBLEM, about, f"{port.address} greets with {port.greeting!r}", fix)
        return
    wrong = list(_promises(port, about))
    yield from wrong
    if (
        file is not None
        and file.ends_at
        and port.ends_at
        and abs(port.ends_at - file.ends_at) > _FILE_DIFFERS_S
    ):
        seen = f"{port.address} shows another certificate than {file.file} holds"
        yield Finding(Level.WARNING, about, seen, "relay reload")
    if not wrong:
        how = f", {port.tls_version}" if port.tls_version else ", no TLS"
        yield Finding(
            Level.OK, about, f"{port.address} answers{how}{', AUTH' if 'AUTH' in port.after else ''}"
        )


def _promises(port: PortSeen, about: str) -> Iterator[Finding]:
    """What it should offer and does not, and the other way round."""
    needs_auth = port.auth == "required" and port.role == "submission"
    if "AUTH" in port.before and port.tls != "wrapper":
        seen = f"{port.address} offers AUTH before TLS: passwords would go in clear"
        yield Finding(Level.PROBLEM, about, seen, "that is not this relay: what listens there (`ss -ltnp`)?")
    if port.tls == "starttls" and "STARTTLS" not in port.before:
        if port.role == "submission":
            seen = f"{port.address} offers no STARTTLS"
            fix = "set [tls] certificate and private_key; is it this relay that listens there (`ss -ltnp`)?"
            yield Finding(Level.PROBLEM, about, seen, fix)
        return
    if needs_auth and port.tls_version and "AUTH" not in port.after:
        seen = f"{port.address} offers no AUTH in TLS"
        yield Finding(Level.PROBLEM, about, seen, "is it this relay that listens there (`ss -ltnp`)?")


def judge_outbound(seen: Outbound) -> Finding:
    """Whether mail could leave for a host."""
    about = "outbound"
    if seen.fault:
        fix = (
            "is port 25 closed by a firewall or the provider? Ask for it to be opened, or send through a "
            'smarthost: [[route]] domain = "*"'
        )
        return Finding(Level.PROBLEM, about, f"{seen.host} cannot be reached: {seen.fault}", fix)
    if not seen.greeting.startswith("220"):
        fix = "look up what it says; `relay doctor DOMAIN` shows what receivers frown at"
        return Finding(Level.WARNING, about, f"{seen.host} greets with {seen.greeting!r}", fix)
    tls = "with STARTTLS" if seen.has_starttls else "without STARTTLS"
    took = f"{seen.took_s:.2f} s" if seen.took_s < 10 else span(seen.took_s)
    return Finding(Level.OK, about, f"{seen.host} answers in {took}, {tls}")
