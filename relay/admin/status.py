"""Whether the relay is healthy, degraded or down, and what an administrator should do first. Pure.

Contract: ``judge`` turns what was gathered into findings, the most urgent first: problems, then warnings,
then what is only worth knowing. ``condition`` makes one word and an exit status of it: down (2) where no mail
is taken, degraded (1) where something is a problem or will be one, healthy (0) else. A fact that could not be
had is no fault.

Not here: receivers' view of the mail and the host in depth (``doctor``), how it is shown (``status_screen``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from relay.admin import health
from relay.admin.finding import Finding, Level
from relay.admin.host_facts import CertificateSeen, DiskSeen
from relay.admin.judge_certificate import judge_expiry
from relay.admin.judge_disk import judge_room
from relay.admin.judge_running import judge_running
from relay.admin.judge_stopped import Stopped, judge_stopped
from relay.spool.waiting import Counted

_ORDER = {
    level: place for place, level in enumerate((Level.PROBLEM, Level.WARNING, Level.UNKNOWN, Level.NOTE))
}


class Condition(StrEnum):
    """One word."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    DOWN = "down"

    @property
    def exit_status(self) -> int:
        """0, 1 or 2."""
        return list(Condition).index(self)


@dataclass(frozen=True, slots=True)
class Facts:
    """What was gathered. ``answer`` is None where no relay answers; then ``stopped`` tells of it."""

    now: float
    hostname: str
    spool: str
    installed: str  # the version of this program
    reserve: int = 0  # [spool] disk_reserve
    connections: int = 0  # [limits] connections
    service: str = ""  # of systemd, where it is one
    answer: Mapping[str, Any] | None = None
    stopped: Stopped | None = None
    certificates: Sequence[CertificateSeen] = ()
    disk: DiskSeen | None = None
    waiting: Counted | None = None
    more: Sequence[Finding] = field(default_factory=tuple)  # of the one who gathered


def judge(facts: Facts) -> list[Finding]:
    """The findings that are to be shown, in their order."""
    found: list[Finding] = []
    if facts.answer is not None:
        found += judge_running(
            facts.answer,
            facts.now,
            spool=facts.spool,
            installed=facts.installed,
            connections=facts.connections,
            service=facts.service,
        )
    elif facts.stopped is not None:
        found += judge_stopped(facts.stopped, facts.now)
    for certificate in facts.certificates:
        if certificate.fault:
            fix = "mend it, then `relay reload`"
            found.append(Finding(Level.PROBLEM, "TLS", certificate.fault, fix))
        else:
            found.append(judge_expiry(certificate, facts.now))
            found += _renewed(certificate, facts.answer)
    is_said = any("disk reserve" in one.seen for one in found)
    if facts.disk is not None and not is_said:
        found += judge_room(facts.disk, facts.reserve)
    found += _held(facts.waiting)
    found += facts.more
    return sorted((one for one in found if one.level in _ORDER), key=lambda one: _ORDER[one.level])


def condition(facts: Facts, findings: Sequence[Finding]) -> Condition:
    """How it is in one word."""
    answer = facts.answer
    if answer is None:
        return Condition.DOWN
    ready, readings = answer.get("ready", {}), answer.get("readings", {})
    if health.judge(ready, readings, is_draining=bool(answer.get("draining"))).status == "failing":
        return Condition.DOWN
    is_well = all(one.level not in (Level.PROBLEM, Level.WARNING) for one in findings)
    return Condition.HEALTHY if is_well else Condition.DEGRADED


def _renewed(certificate: CertificateSeen, answer: Mapping[str, Any] | None) -> list[Finding]:
    """A file that the running relay has not read: clients see the former certificate, until it expires."""
    last = (answer or {}).get("last_reload")
    if answer is None or (last is not None and not last["ok"]):  # that is told, and its fix is the same
        return []
    since = last["at"] if last is not None else answer.get("started_at", certificate.changed_at)
    if certificate.changed_at <= since:
        return []
    said = f"{certificate.file} has changed, and clients are still shown the one before"
    return [Finding(Level.WARNING, "TLS", said, "relay reload")]


def _held(waiting: Counted | None) -> list[Finding]:
    """Mail that leaves only when somebody says so."""
    for name, recipients, _ in waiting.states if waiting is not None else ():
        if name == "held" and recipients:
            said = f"{recipients:,} recipients are held until they are released"
            fix = "relay queue list --state held; relay queue release --all"
            return [Finding(Level.NOTE, "queue", said, fix)]
    return []
