"""What the DNS said, as words, and how long it may be believed: the cache without the asking.

Contract, pure. An ``Answer`` is FOUND with records, EMPTY (the name exists, this type does not), NO_DOMAIN,
or TEMPORARY (no one knows). ``AnswerCache.get`` returns only what has not expired at ``now``; TTLs are held
between a floor (a TTL of 0 would mean a lookup per message) and a ceiling (a mistake published for a week
must not stay for one). Negative answers are kept by the SOA's minimum within bounds of their own; TEMPORARY
for a few seconds, so that a dead resolver is not asked for each message.

Bound: ``limit`` names; past it the oldest entry goes. Cost: 0.3 microseconds for ``get``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from relay.codec.tlsa import Tlsa


class Status(Enum):
    """Kinds of answers."""

    FOUND = "found"
    EMPTY = "empty"
    NO_DOMAIN = "no such domain"
    TEMPORARY = "temporary"


@dataclass(frozen=True, slots=True)
class Mx:
    """An MX record; ``host`` in lower case without the last dot, empty for the null MX (RFC 7505)."""

    preference: int
    host: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one question. Only one of ``mx``, ``addresses``, ``texts`` and ``tlsa`` is filled;
    ``detail`` is for the log."""

    status: Status
    mx: tuple[Mx, ...] = ()
    addresses: tuple[str, ...] = ()
    tlsa: tuple[Tlsa, ...] = ()
    texts: tuple[str, ...] = ()  # TXT: each record's strings joined; CNAME, PTR: names, without the last dot
    detail: str = ""
    expires_at: float = 0.0  # monotonic seconds
    is_secure: bool = False  # a resolver that we trust has validated it, aliases included (DNSSEC)
    canonical: str = ""  # of a resolver that we trust: the name that held the records, aliases followed


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """How long answers are kept."""

    limit: int = 20_000  # names times types; about 1 KB each
    min_ttl_s: float = 10.0
    max_ttl_s: float = 3600.0
    min_negative_ttl_s: float = 10.0
    max_negative_ttl_s: float = 300.0
    temporary_ttl_s: float = 5.0


def lifetime_s(status: Status, ttl_s: float, settings: CacheSettings) -> float:
    """How long an answer with this TTL is kept."""
    if status is Status.TEMPORARY:
        return settings.temporary_ttl_s
    if status is Status.FOUND:
        return min(max(ttl_s, settings.min_ttl_s), settings.max_ttl_s)
    return min(max(ttl_s, settings.min_negative_ttl_s), settings.max_negative_ttl_s)


class AnswerCache:
    """Answers by (name, record type)."""

    __slots__ = ("_entries", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: dict[tuple[str, str], Answer] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, name: str, kind: str, now: float) -> Answer | None:
        """What is known at ``now`` (monotonic seconds)."""
        answer = self._entries.get((name, kind))
        return answer if answer is not None and answer.expires_at > now else None

    def put(self, name: str, kind: str, answer: Answer) -> None:
        """Keep an answer; its place in the order of age is renewed."""
        entries = self._entries
        entries.pop((name, kind), None)
        if len(entries) >= self._limit:
            del entries[next(iter(entries))]
        entries[name, kind] = answer

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
