"""The DNS records of DKIM keys: what to publish, and whether what is published is right.

Keys that the relay made are published by the owner of the domain as CNAMEs ``<token>._domainkey.<domain>`` to
``<token>.dkim.<service domain>``, whose TXT records are in the zone of the service domain; so the relay can
change keys and the owner has nothing to do. Without a service domain, or if the owner prefers, the TXT is
published in the owner's own zone. A question for TXT follows CNAMEs, so receivers see no difference. A key
that the owner brought is always a TXT of the owner's.

Pure: words in, words out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from relay.directory.published import Record
from relay.directory.records import KeyOrigin, KeyState

_USES = {
    KeyState.ACTIVE: "signs now",
    KeyState.STANDBY: "in reserve",
    KeyState.RETIRED: "signed until lately",
}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The public half of a key of an identity."""

    id: int
    domain: str
    selector: str
    algorithm: str
    state: KeyState
    origin: KeyOrigin
    text: str  # the TXT record, as one string

    @property
    def name(self) -> str:
        """Where receivers look for it, without the final dot."""
        return f"{self.selector}._domainkey.{self.domain}"

    def target(self, service_domain: str) -> str:
        """The name in the service domain's zone that a CNAME leads to."""
        return f"{self.selector}.dkim.{service_domain}"


def to_publish(
    keys: Iterable[PublicKey], service_domain: str = "", *, is_direct: bool = False
) -> list[Record]:
    """The records for the zones of the owners; ``is_direct``: TXT though there is a service domain."""
    return [
        Record(key.name, "CNAME", key.target(service_domain), _why(key))
        if service_domain and not is_direct and key.origin is KeyOrigin.RELAY
        else Record(key.name, "TXT", key.text, _why(key))
        for key in keys
    ]


def service_zone(keys: Iterable[PublicKey], service_domain: str) -> list[Record]:
    """The records for the zone of the service domain, by name."""
    made = [
        Record(key.target(service_domain), "TXT", key.text, key.domain)
        for key in keys
        if key.origin is KeyOrigin.RELAY
    ]
    return sorted(made, key=lambda record: record.name)


def _why(key: PublicKey) -> str:
    return f"DKIM key for {key.algorithm}, {_USES[key.state]}"


def fault(texts: Sequence[str], expected: str) -> str:
    """What is wrong with the TXT records at a key's name, for people; "" if they publish the key.

    A second record there makes the result of a verification undefined (RFC 6376 3.6.2.2).
    """
    if len(texts) != 1:
        return "there is no TXT record" if not texts else f"there are {len(texts)} TXT records; keep one"
    tags, wanted = _tags(texts[0]), _tags(expected)
    if tags is None or wanted is None:
        return "the TXT record is no list of tags (v=DKIM1; k=...; p=...); copy it as it was given"
    if tags.get("v", "DKIM1") != "DKIM1":
        return f"the record says v={tags['v']}; it must be v=DKIM1"
    if "p" not in tags:
        return "the record has no p=, the public key"
    if tags.get("k", "rsa") != wanted.get("k", "rsa"):
        return f"the record says k={tags.get('k', 'rsa')}; it must be k={wanted.get('k', 'rsa')}"
    if tags["p"] != wanted["p"]:
        if not tags["p"]:
            return "the record has an empty p=, which revokes the key"
        if wanted["p"].startswith(tags["p"]):
            return "the key in p= is cut off; split the value into strings of at most 255 characters"
        return "the record holds another key"
    if "h" in tags and "sha256" not in tags["h"].split(":"):
        return f"the record allows only the hashes {tags['h']}; leave h= out"
    if "s" in tags and not {"*", "email"} & set(tags["s"].split(":")):
        return f"the record is for other services than mail (s={tags['s']}); leave s= out"
    return ""


def _tags(text: str) -> dict[str, str] | None:
    """A tag list (RFC 6376 3.2), white space in values removed; None if it is none."""
    tags: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        name = name.strip()
        if not equals and not name:
            continue
        if not equals or not name or name in tags:
            return None
        tags[name] = "".join(value.split())
    return tags
