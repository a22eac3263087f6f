"""MTA-STS: which domain has which policy, found, kept and renewed (RFC 8461).

    known = policies.cached(domain)           # StsPolicy, None (it has none), or UNKNOWN
    policy = await policies.find(domain)      # StsPolicy or None; waits where nothing is known

Contract. A policy that was fetched holds until its ``max_age`` has passed, whatever becomes of the record and
the web server meanwhile; the TXT record is looked at again when the DNS says so, and another id, or a day's
age, leads to a fetch in the background. A fetch that fails changes nothing; it is tried again after five
minutes (3.3) and noted for the domain's TLS report. A domain of which nothing is known keeps the first
message waiting for record and fetch: for the record as long as the resolver takes, for the fetch ``wait_s``
at most; then it is as if it had none, for this message. The time does not run while the question waits for
its turn: thousands of new domains at once are asked about, not given up. One warning a minute counts them.

Only domains by MX have policies; an address literal, or a name that no web server can have, has none.

After a crash: policies are on disk and shared by the workers (``sts_files``). Bound: ``limit`` domains in
memory, past it the oldest goes; 16 fetches at a time. No message pays for it but the first: the router keeps
the policy with the route, and ``on_change`` tells it when that is another.

Not here: what a policy means for a session (``tls_policy``). Mode ``none`` is returned as the policy it is.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from enum import Enum
from typing import Literal, Protocol, TypeAlias

from relay.base.clock import Clock
from relay.base.tasks import Tasks
from relay.base.tls_session import TlsFailure, TlsPolicy, TlsPolicyType, TlsSession, TlsSessionLog
from relay.codec.mta_sts import StsPolicy, parse_policy, parse_record
from relay.transport.answers import Answer, Status
from relay.transport.sts_fetch import FetchFailure
from relay.transport.sts_files import Kept, PolicyFiles

log = logging.getLogger(__name__)

REFRESH_S = 86_400.0  # a policy is fetched anew after a day, or half its life if that is less
RETRY_S = 300.0
WAIT_S = 20.0
_LOOK_AGAIN_S = 60.0  # records are not asked for more often, whatever their TTL
_STALE_S = 3600.0  # how long "it has none" is believed without another look
_FETCHES = 16
_WARN_AGAIN_S = 60.0
_HOST = re.compile(r"(?=.{1,240}$)[a-z0-9_-]+(?:\.[a-z0-9_-]+)+")


class Unknown(Enum):
    """Nothing is known: ask ``find``."""

    UNKNOWN = "unknown"


UNKNOWN = Unknown.UNKNOWN
Known: TypeAlias = StsPolicy | Literal[Unknown.UNKNOWN] | None


class Records(Protocol):
    """What is asked of the DNS (``resolve.Resolver``)."""

    async def txt(self, name: str) -> Answer:
        """TXT records of a name."""
        ...


class Fetcher(Protocol):
    """What gets policy files (``sts_fetch.PolicyFetcher``)."""

    async def fetch(self, domain: str) -> bytes | FetchFailure:
        """The file of a domain, or why not."""
        ...


@dataclass(slots=True)
class _Entry:
    kept: Kept | None
    look_again_at: float  # monotonic
    stale_at: float  # monotonic; after it a domain without a policy is asked again before it is believed


def must_fetch(kept: Kept | None, record_id: str | None, now: float) -> bool:
    """Whether what a record announces is to be fetched."""
    if record_id is None:
        return False
    if kept is None or kept.policy.id != record_id:
        return True
    return now >= kept.fetched_at + min(REFRESH_S, kept.policy.max_age_s / 2)


class StsPolicies:
    """The policies of all domains, for one worker. Owner of its entries is the event loop's thread."""

    def __init__(
        self,
        records: Records,
        fetcher: Fetcher,
        files: PolicyFiles,
        sessions: TlsSessionLog,
        clock: Clock,
        wait_s: float = WAIT_S,
        limit: int = 50_000,
        on_change: Callable[[str], None] | None = None,
    ) -> None:
        """``sessions`` hears of fetches that fail, ``on_change`` of domains whose policy is another than
        ``cached`` or ``find`` said last."""
        self._records = records
        self._fetcher = fetcher
        self._files = files
        self._sessions = sessions
        self._clock = clock
        self._monotonic = clock.monotonic
        self._wait_s = wait_s
        self._limit = limit
        self._on_change = on_change
        self._entries: dict[str, _Entry] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._fetches = asyncio.Semaphore(_FETCHES)
        self._tasks = Tasks("mta-sts")
        self._late = 0  # since the last warning
        self._warn_at = 0.0  # monotonic
        self.fetched = 0
        self.failed = 0

    async def start(self, stack: AsyncExitStack) -> None:
        """End what is under way when the stack unwinds."""
        await self._tasks.start(stack)

    @property
    def held(self) -> int:
        """Domains in memory that have a policy."""
        return sum(entry.kept is not None for entry in self._entries.values())

    def cached(self, domain: str) -> Known:
        """What is known of a domain (lower case, A-labels) without waiting."""
        entry = self._entries.get(domain)
        if entry is None:
            return UNKNOWN
        now = self._monotonic()
        is_due = entry.look_again_at <= now
        if is_due:
            self._look(domain)
        kept = entry.kept
        if kept is not None and kept.expires_at > self._clock.now():
            return kept.policy
        if is_due and (kept is not None or entry.stale_at <= now):
            return UNKNOWN
        return None

    async def find(self, domain: str) -> StsPolicy | None:
        """The policy of a domain; None if it has none, or none that can be had."""
        known = self.cached(domain)
        if known is not UNKNOWN:
            return known
        if not _HOST.fullmatch(domain):
            return None
        kept = await asyncio.to_thread(self._files.load, domain)
        if kept is not None and kept.expires_at > self._clock.now():
            if self.cached(domain) is UNKNOWN:
                self._keep(domain, kept, 0.0)
            self._look(domain)  # the record may be another by now; what holds is used meanwhile
            return kept.policy
        await self._records.txt(_record_of(domain))  # the look-up finds it in the resolver's cache
        try:
            async with asyncio.timeout(self._wait_s):
                await asyncio.shield(self._look(domain, is_on_disk=kept is not None))
        except TimeoutError:
            self._warn(domain)
        known = self.cached(domain)
        return None if known is UNKNOWN else known

    async def expiry(self, domain: str) -> float:
        """Until when (wall clock) the policy of a domain holds; 0.0 if there is none."""
        kept = await asyncio.to_thread(self._files.load, domain)
        return kept.expires_at if kept is not None else 0.0

    def due(self) -> Sequence[str]:
        """Domains whose policy on disk is to be fetched anew; blocking. What has expired is removed."""
        now = self._clock.now()
        return [kept.domain for kept in self._files.sweep(now) if must_fetch(kept, kept.policy.id, now)]

    async def renew(self, domain: str) -> None:
        """Look at record and policy of a domain now."""
        await asyncio.shield(self._look(domain))

    def forget(self) -> None:
        """Look at everything again; what is on disk holds."""
        self._entries.clear()

    def _warn(self, domain: str) -> None:
        self._late += 1
        now = self._monotonic()
        if now >= self._warn_at:
            said = {"domain": domain, "domains": self._late, "waited_s": self._wait_s}
            log.warning("MTA-STS: policies not fetched in time, mail goes without them", extra=said)
            self._late, self._warn_at = 0, now + _WARN_AGAIN_S

    def _look(self, domain: str, *, is_on_disk: bool = True) -> asyncio.Task[None]:
        """``is_on_disk``: there may be a policy there; to look costs a change of threads."""
        task = self._running.get(domain)
        if task is None:
            task = self._running[domain] = self._tasks.spawn(self._look_up(domain, is_on_disk), domain)
            task.add_done_callback(lambda _: self._running.pop(domain, None))
        return task

    async def _look_up(self, domain: str, is_on_disk: bool) -> None:
        answer = await self._records.txt(_record_of(domain))
        record_id = parse_record(answer.texts) if answer.status is Status.FOUND else None
        kept = None
        if is_on_disk or record_id is not None:  # another worker may have been here
            kept = await asyncio.to_thread(self._files.load, domain)
        if kept is not None and kept.expires_at <= self._clock.now():
            kept = None
        look_again_in_s = max(answer.expires_at - self._monotonic(), _LOOK_AGAIN_S)
        if must_fetch(kept, record_id, self._clock.now()):
            assert record_id is not None
            async with self._fetches:
                fetched = await self._fetch(domain, record_id)
            if fetched is not None:
                kept = fetched
                await asyncio.to_thread(self._files.save, kept)
            else:
                look_again_in_s = RETRY_S
        if kept is not None:
            half = kept.fetched_at + kept.policy.max_age_s / 2 - self._clock.now()
            look_again_in_s = max(min(look_again_in_s, half), _LOOK_AGAIN_S)
        self._keep(domain, kept, look_again_in_s)

    async def _fetch(self, domain: str, record_id: str) -> Kept | None:
        got = await self._fetcher.fetch(domain)
        if isinstance(got, bytes):
            try:
                policy = parse_policy(got, record_id)
            except ValueError as fault:
                got = FetchFailure(TlsFailure.STS_POLICY_INVALID, str(fault))
            else:
                log.info(
                    "MTA-STS policy fetched",
                    extra={"domain": domain, "mode": policy.mode, "id": record_id},
                )
                self.fetched += 1
                return Kept(domain, policy, self._clock.now())
        self.failed += 1
        log.warning("MTA-STS policy not fetched", extra={"domain": domain, "why": got.detail})
        policy_of = TlsPolicy(domain, TlsPolicyType.STS)
        self._sessions.note(TlsSession(policy_of, got.kind, detail=got.detail))
        return None

    def _keep(self, domain: str, kept: Kept | None, look_again_in_s: float) -> None:
        entries = self._entries
        old = entries.pop(domain, None)
        if len(entries) >= self._limit:
            del entries[next(iter(entries))]
        now = self._monotonic()
        entries[domain] = _Entry(kept, now + look_again_in_s, now + look_again_in_s + _STALE_S)
        before = old.kept.policy if old is not None and old.kept is not None else None
        if self._on_change is not None and before != (kept.policy if kept is not None else None):
            self._on_change(domain)


def _record_of(domain: str) -> str:
    return f"_mta-sts.{domain}"
