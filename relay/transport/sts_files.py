"""MTA-STS policies on disk: one file a domain, so that they outlive the relay and its workers share them.

Contract: ``save`` replaces a domain's file in one step (a reader sees the old one or the new one), ``load``
gives what was saved last, or None; a file that cannot be read as one is none, and the next fetch replaces it.
Blocking, some tens of microseconds each. At most ``limit`` files: past it nothing new is kept on disk until
``sweep`` has removed what has expired.

After a crash a policy may be as it was before the last fetch, since nothing here is forced to the disk: its
record's id then leads to a fetch. Not here: what is fetched, and when (``mta_sts``).
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from relay.codec.mta_sts import StsPolicy, parse_policy

log = logging.getLogger(__name__)

_MAX_NAME = 200
_LEFT_S = 3600.0


@dataclass(frozen=True, slots=True)
class Kept:
    """A policy, whose it is, and when it was fetched (wall clock)."""

    domain: str
    policy: StsPolicy
    fetched_at: float

    @property
    def expires_at(self) -> float:
        """From when it says nothing any more."""
        return self.fetched_at + self.policy.max_age_s


class PolicyFiles:
    """The files of one folder."""

    __slots__ = ("_count", "_folder", "_limit")

    def __init__(self, folder: Path, limit: int = 50_000) -> None:
        self._folder = folder
        self._limit = limit
        self._count = 0  # as of the last sweep, and those that this worker added since

    def load(self, domain: str) -> Kept | None:
        """What is kept of a domain (lower case, A-labels), expired or not."""
        return _read(self._path(domain))

    def save(self, kept: Kept) -> None:
        """Keep a policy in place of the one before. What the disk refuses is logged, and not kept."""
        path = self._path(kept.domain)
        text = json.dumps(
            {
                "domain": kept.domain,
                "id": kept.policy.id,
                "fetched_at": kept.fetched_at,
                "policy": "\n".join(kept.policy.lines),
            }
        )
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            is_new = not path.exists()
            if is_new and self._count >= self._limit:
                log.warning("MTA-STS policy not kept on disk: too many", extra={"domain": kept.domain})
                return
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(path)
            self._count += is_new
        except OSError as fault:
            log.warning("MTA-STS policy not kept on disk", extra={"domain": kept.domain, "why": str(fault)})

    def sweep(self, now: float) -> Iterator[Kept]:
        """All that hold at ``now``; those that do not, and what is no policy, are removed."""
        self._count = 0
        for left in self._folder.glob("*.json.*"):  # of a process that died while it wrote
            with suppress(OSError):
                if left.stat().st_mtime < now - _LEFT_S:
                    left.unlink()
        for path in sorted(self._folder.glob("*.json")):
            kept = _read(path)
            if kept is not None and kept.expires_at > now:
                self._count += 1
                yield kept
            else:
                path.unlink(missing_ok=True)

    def _path(self, domain: str) -> Path:
        name = domain if len(domain) <= _MAX_NAME else sha256(domain.encode()).hexdigest()
        return self._folder / f"{name}.json"


def _read(path: Path) -> Kept | None:
    try:
        fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        policy = parse_policy(fields["policy"].encode(), str(fields["id"]))
        return Kept(str(fields["domain"]), policy, float(fields["fetched_at"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
        log.warning("an MTA-STS policy on disk is unreadable", extra={"file": str(path), "why": str(fault)})
        return None
