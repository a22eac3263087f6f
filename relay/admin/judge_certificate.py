"""Whether a certificate serves: it can be loaded, its names, its chain, and how long it is good. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from relay.admin.finding import Finding, Level
from relay.admin.host_facts import CertificateSeen
from relay.admin.span import ago, span

DAY_S = 86400.0
WARN_S = 21 * DAY_S
PROBLEM_S = 3 * DAY_S


def judge_certificate(seen: CertificateSeen, now: float, hostname: str = "") -> Iterator[Finding]:
    """What is to say of one file; ``hostname`` "" : its names do not matter."""
    if seen.fault:
        yield Finding(
            Level.PROBLEM, "TLS", seen.fault, "mend the files that [tls] names, then `relay reload`"
        )
        return
    yield judge_expiry(seen, now)
    if not seen.is_key_seen:
        said = f"whether the key fits {seen.file} is not known: this user may not read it"
        yield Finding(Level.UNKNOWN, "TLS", said, "ask as root or the relay's user")
    if hostname and not any(_covers(name, hostname) for name in seen.names):
        names = ", ".join(seen.names[:5]) or "no name"
        yield Finding(
            Level.WARNING,
            "TLS",
            f"{seen.file} is for {names}, not for {hostname}: clients that check names refuse it",
            f"get one for {hostname}, or set [relay] hostname to the name that clients connect to",
        )
    if seen.gap:
        yield Finding(
            Level.PROBLEM,
            "TLS",
            f"{seen.file} is no complete chain: {seen.gap}",
            f"put the issuer's certificates behind the first one in {seen.file} (the full chain), "
            "then `relay reload`",
        )
    elif seen.is_self_signed:
        yield Finding(
            Level.NOTE,
            "TLS",
            f"{seen.file} is signed by itself: only clients that were given it can trust it",
            "where clients check, get one from an authority that they know",
        )


def judge_expiry(seen: CertificateSeen, now: float) -> Finding:
    """How long it is still good."""
    left_s = seen.ends_at - now
    fix = f"renew it: put the new pair in place ({seen.setting}: {seen.file}), then `relay reload`"
    if seen.begins_at > now:
        said = f"{seen.file} is valid only in {span(seen.begins_at - now)}: is the clock right?"
        return Finding(Level.PROBLEM, "TLS", said, "set the clock, or use the former certificate until then")
    if left_s <= 0:
        said = f"{seen.file} expired {ago(-left_s)}: clients that check it send nothing"
        return Finding(Level.PROBLEM, "TLS", said, fix)
    level = Level.PROBLEM if left_s < PROBLEM_S else Level.WARNING if left_s < WARN_S else Level.OK
    said = f"{seen.file} is good for {span(left_s)}"
    return Finding(level, "TLS", said, "" if level is Level.OK else fix)


def _covers(name: str, hostname: str) -> bool:
    """A wildcard stands for one label (RFC 6125 6.4.3)."""
    name, hostname = name.lower().rstrip("."), hostname.lower().rstrip(".")
    if name.startswith("*."):
        return hostname.partition(".")[2] == name[2:]
    return name == hostname
