"""``relay status``: one screen for whoever was woken up. What is wrong, what mends it, and the figures.

Exit status 0 healthy, 1 degraded, 2 down; 77 and 78 say that nobody can tell: this user may not ask, or the
configuration cannot be used. It works without a running relay, and then says why there is none. ``--json``
has all that was gathered, ``condition`` and ``findings`` first; the rest is what the running relay answered.

It waits a few seconds at most: a queue too long to be counted in two is told as far as it was counted.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

import relay
from relay.admin import status as judging
from relay.admin.finding import Finding, Level
from relay.admin.host_facts import LastLife, Unit
from relay.admin.judge_stopped import Stopped
from relay.admin.status_screen import WIDTH, screen
from relay.base.clock import SystemClock
from relay.base.errors import ConfigError, RelayError, SpoolError
from relay.daemon.checkup import certificate_files, machine, service_unit, spool_disk
from relay.daemon.exits import EX_CONFIG, EX_NOPERM
from relay.daemon.settings import config
from relay.daemon.settings.config import Config
from relay.daemon.supervisor import control, last_life
from relay.spool.waiting import Counted, waiting

_ASK_S = 10.0
_MOST = 5


def status(
    everything: Annotated[bool, typer.Option("--all", help="Show every finding.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show how the relay is: what is wrong and what mends it, then the figures.

    Ends with status 0 if it is healthy, 1 if something needs a look, 2 if it takes no mail.
    """
    try:
        facts = gather(config.load())
    except ConfigError as error:
        facts = _with_a_wrong_file(error)
    findings = judging.judge(facts)
    condition = judging.condition(facts, findings)
    if as_json:
        typer.echo(json.dumps(_members(facts, findings, condition), indent=2))
    else:
        width = max(WIDTH, min(shutil.get_terminal_size((WIDTH, 24)).columns, 120))
        for line in screen(facts, findings, condition, width, len(findings) if everything else _MOST):
            typer.echo(line)
    raise typer.Exit(condition.exit_status)


def gather(settings: Config) -> judging.Facts:
    """All there is to know, from the running relay or without it. Ends with status 77 if it may not ask."""
    path, unit = settings.spool.path, service_unit.look()
    answer = _answer(path)
    return judging.Facts(
        SystemClock().now(),
        settings.relay.hostname,
        str(path),
        relay.__version__,
        settings.spool.disk_reserve,
        settings.limits.connections,
        unit.name if unit is not None else "",
        answer,
        _stopped(settings, unit) if answer is None else None,
        certificate_files.certificates(settings),
        spool_disk.look(path),
        _waiting(path, answer),
    )


def _answer(path: Path) -> dict[str, Any] | None:
    """What the running relay says; None if none answers in time."""
    try:
        return dict(asyncio.run(control.ask(path, "status", _ASK_S)))
    except control.NotAllowed as error:
        typer.echo(f"relay: {error}", err=True)
        raise typer.Exit(EX_NOPERM) from None
    except RelayError:
        return None


def _with_a_wrong_file(error: ConfigError) -> judging.Facts:
    """A relay may run well on a file that was broken since; ends with status 78 if there is none."""
    path = _spool_in_a_wrong_file()
    answer = _answer(path) if path is not None else None
    if answer is None:
        typer.echo(f"relay: {error}", err=True)
        raise typer.Exit(EX_CONFIG) from None
    wrong = [
        Finding(
            Level.PROBLEM, "config", f"a restart would fail: {line}", "mend it, then `relay config check`"
        )
        for line in str(error).splitlines()
    ]
    unit, now = service_unit.look(), SystemClock().now()
    name = unit.name if unit is not None else ""
    facts = judging.Facts(now, "this host", str(path), relay.__version__, service=name, answer=answer)
    return replace(facts, waiting=_waiting(Path(facts.spool), answer), more=wrong)


def _spool_in_a_wrong_file() -> Path | None:
    """The spool's folder as far as the file can be understood."""
    file = config.config_path().absolute()
    try:
        named = tomllib.loads(file.read_text("utf-8")).get("spool", {}).get("path", "/var/spool/relay")
        return file.parent / str(named)
    except (OSError, ValueError, AttributeError):
        return None


def _stopped(settings: Config, unit: Unit | None) -> Stopped:
    """What there is to be known of a relay that does not answer."""
    from relay.daemon.supervisor import files  # loads all that a relay needs; one that runs is not asked this

    last, wrong = last_life.read(settings.spool.path), ""
    is_hidden = not machine.may_see(settings.spool.path)
    try:
        if not is_hidden:  # else files that only the relay may read would be told as wrong
            files.check(settings)
    except ConfigError as error:
        wrong = str(error)
    return Stopped(
        str(settings.spool.path),
        LastLife(last.started_at, last.ended_at, last.status, last.why, last.version) if last else None,
        unit,
        _booted_at(),
        _holder(settings.spool.path / "lock"),
        wrong,
        is_hidden,
    )


def _holder(file: Path) -> int:
    """The process that holds the spool's lock; 0 if none does, or nobody can say."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        words = os.pread(descriptor, 20, 0).split()
        return int(words[0]) if words and words[0].isdigit() else 1
    except OSError:
        return 0
    finally:
        os.close(descriptor)
    return 0


def _booted_at() -> float:
    """When the machine was booted; 0 if that is not told."""
    try:
        lines = Path("/proc/stat").read_text().splitlines()
    except OSError:
        return 0.0
    return next((float(line.split()[1]) for line in lines if line.startswith("btime ")), 0.0)


def _waiting(path: Path, answer: Mapping[str, Any] | None) -> Counted | None:
    """The queue on disk; where it is too long for that, or not for this user, as the workers last counted."""
    try:
        found = waiting(path) if machine.may_see(path) else None
    except (SpoolError, OSError):
        found = None
    readings = list((answer or {}).get("readings", {}).values())
    if (found is None or found.is_cut) and any("queue_recipients" in one for one in readings):
        return told_by_workers(readings, SystemClock().now(), found)
    return found


def told_by_workers(readings: Sequence[Mapping[str, Any]], now: float, found: Counted | None) -> Counted:
    """The sums of what each worker has counted, with the domains that were ``found``."""
    at = min((float(one["queue_counted_at"]) for one in readings if "queue_counted_at" in one), default=0.0)
    recipients: Counter[str] = Counter()
    ages: dict[str, float] = {}
    for one in readings:
        recipients.update(one.get("queue_recipients", {}))
        for state, age_s in one.get("queue_oldest_seconds", {}).items():
            ages[state] = max(age_s, ages.get(state, 0.0))
    states = tuple(
        (state, n, now - ages[state] if ages.get(state) else 0.0) for state, n in recipients.items()
    )
    return Counted(states, found.domains if found is not None else (), is_cut=False, counted_at=at)


def _members(facts: judging.Facts, findings: list[Finding], condition: judging.Condition) -> dict[str, Any]:
    queue = facts.waiting
    return {
        "condition": condition.value,
        "findings": [
            {"level": one.level.value, "about": one.about, "seen": one.seen, "fix": one.publish}
            for one in findings
        ],
        "ready": {},
        "readings": {},
        "notifier": {},
        **(facts.answer or {"version": facts.installed, "last_reload": None}),
        "disk": asdict(facts.disk) if facts.disk is not None else None,
        "certificates": [asdict(one) for one in facts.certificates],
        "waiting": {
            "states": {name: {"recipients": n, "oldest_at": at} for name, n, at in queue.states},
            "domains": [{"domain": d, "recipients": n, "reply": reply} for d, n, reply in queue.domains],
            "is_cut": queue.is_cut,
        }
        if queue is not None
        else None,
    }
