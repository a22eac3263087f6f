"""DMARC policy records (RFC 7489 6.3), and alignment.

Contract: ``parse_policy`` reads one record; ``is_policy`` tells which TXT records are any (those that begin
with ``v=DMARC1``; the others are ignored, RFC 7489 6.6.3). Raises ValueError with what is wrong. Unknown tags
are ignored, as receivers do. ``is_aligned`` compares two domains, given their organisational domains.

Pure. It asks no DNS, and does not read reports.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from relay.codec.tag_list import parse_tags

_VERSION = re.compile(r"v\s*=\s*DMARC1\s*(;|$)")
_POLICIES = ("none", "quarantine", "reject")


@dataclass(frozen=True, slots=True)
class Policy:
    """What a domain wants receivers to do with mail that is not aligned."""

    policy: str  # "none", "quarantine" or "reject"
    subdomain_policy: str
    is_dkim_strict: bool
    is_spf_strict: bool
    percent: int
    reports_to: str  # rua

    def for_domain(self, is_subdomain: bool) -> str:
        """The policy that applies: ``is_subdomain`` if the record is that of the organisational domain."""
        return self.subdomain_policy if is_subdomain else self.policy


def is_policy(text: str) -> bool:
    """Whether a TXT record claims to be a DMARC policy."""
    return _VERSION.match(text) is not None


def parse_policy(text: str) -> Policy:
    """The policy of a record."""
    tags = parse_tags(text)
    policy = tags.get("p", "").lower()
    if not policy:
        raise ValueError("it has no p=, the policy")
    if policy not in _POLICIES:
        raise ValueError(f"p={tags['p']} is none of {', '.join(_POLICIES)}")
    subdomain_policy = tags.get("sp", policy).lower()
    if subdomain_policy not in _POLICIES:
        raise ValueError(f"sp={tags['sp']} is none of {', '.join(_POLICIES)}")
    percent = tags.get("pct", "100")
    if not percent.isascii() or not percent.isdigit() or int(percent) > 100:
        raise ValueError(f"pct={percent} is not a number from 0 to 100")
    return Policy(
        policy,
        subdomain_policy,
        is_dkim_strict=_is_strict(tags, "adkim"),
        is_spf_strict=_is_strict(tags, "aspf"),
        percent=int(percent),
        reports_to=tags.get("rua", ""),
    )


def is_aligned(
    domain: str, author: str, *, is_strict: bool, organisation: str, author_organisation: str
) -> bool:
    """Whether a domain that was authenticated speaks for the domain of From (RFC 7489 3.1)."""
    if is_strict:
        return domain == author
    return bool(organisation) and organisation == author_organisation


def _is_strict(tags: dict[str, str], name: str) -> bool:
    value = tags.get(name, "r").lower()
    if value not in ("r", "s"):
        raise ValueError(f"{name}={tags[name]} is neither r nor s")
    return value == "s"
