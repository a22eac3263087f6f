"""The examination of the host: looks at everything at once, within a bound, and lets the judges speak.

Contract: ``examine`` never raises for what it finds or cannot find; a look that takes longer than ``BOUND_S``
is told as unknown. Nothing is changed, but for a file in the spool's folder that measures the disk and has no
name. No mail is sent. Findings come with the worst first.

It runs as whoever calls it: another user than root or the relay's may not see everything, and is told so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import relay
from relay.admin import doctor
from relay.admin.finding import Finding, Level
from relay.admin.host_facts import Speed
from relay.admin.judge_certificate import judge_certificate
from relay.admin.judge_disk import judge_kind, judge_room
from relay.admin.judge_machine import judge_bounds, judge_clock, judge_file, judge_resolver, judge_speed
from relay.admin.judge_ports import judge_outbound, judge_port
from relay.admin.judge_running import judge_running
from relay.base.clock import SystemClock
from relay.base.endpoint import format_endpoint, parse_endpoint
from relay.base.errors import ConfigError, DirectoryError
from relay.daemon.checkup import certificate_files, machine, port_dialogues, service_unit, spool_disk
from relay.daemon.settings.config import Config
from relay.daemon.sockets import BACKLOG
from relay.daemon.supervisor import files
from relay.daemon.translate import endpoint_text
from relay.daemon.worker.patients import leaving_from
from relay.directory.records import IdentityState
from relay.directory.store import Directory
from relay.spool.disk_speed import measure
from relay.transport.answers import Status
from relay.transport.resolve import Resolver

BOUND_S = 10.0
_SMTP = 25
_NAMED = 5
_DENIED = ("permission denied", "unable to open")
_ORDER = (Level.PROBLEM, Level.WARNING, Level.UNKNOWN, Level.NOTE, Level.OK)


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be looked at. ``answer``: what the running relay says of itself, None if none does."""

    config: Config
    answer: Mapping[str, Any] | None
    addresses: Sequence[str] = ()  # that mail leaves from, as the administrator knows them; none: our own
    outbound: Sequence[str] = ()  # hosts to reach
    differs: Sequence[str] = ()  # settings in which the running relay differs from the file


async def examine(question: Question, bound_s: float = BOUND_S) -> list[Finding]:
    """All findings, the worst first."""
    config = question.config
    looks: dict[str, Callable[[], Awaitable[list[Finding]]]] = {
        "config": lambda: asyncio.to_thread(_config, config),
        "relay": lambda: asyncio.to_thread(_running, question),
        "ports": lambda: _ports(question),
        "TLS": lambda: asyncio.to_thread(_tls, config),
        "resolver": lambda: _names(question),
        "disk": lambda: asyncio.to_thread(_disk, config),
        "disk speed": lambda: asyncio.to_thread(_speed, config),
        "machine": lambda: asyncio.to_thread(_machine, question),
        "modes": lambda: asyncio.to_thread(_modes, config),
        "directory": lambda: asyncio.to_thread(_directory, config),
        "outbound": lambda: _outbound(question),
    }
    found = await asyncio.gather(*[_bounded(name, look, bound_s) for name, look in looks.items()])
    findings = [one for some in found for one in some]
    if not machine.may_see(config.spool.path):
        findings = [as_seen_by_strangers(one) for one in findings]
    return sorted(findings, key=lambda one: _ORDER.index(one.level))


def as_seen_by_strangers(one: Finding) -> Finding:
    """What only root and the relay's user may read is no problem where another user cannot."""
    is_denied = any(words in one.seen.lower() for words in _DENIED)
    if one.level is Level.PROBLEM and one.about in ("config", "directory", "TLS") and is_denied:
        return Finding(Level.UNKNOWN, one.about, one.seen, "ask as root or the relay's user")
    return one


async def _bounded(name: str, look: Callable[[], Awaitable[list[Finding]]], bound_s: float) -> list[Finding]:
    """A look that takes too long, or that meets a bug of ours, is one unknown thing."""
    try:
        async with asyncio.timeout(bound_s):
            return await look()
    except TimeoutError:
        return [Finding(Level.UNKNOWN, name, f"was not over within {bound_s:g} s", "ask again")]
    except Exception as error:
        return [Finding(Level.UNKNOWN, name, f"could not be looked at: {type(error).__name__}: {error}")]


def _config(config: Config) -> list[Finding]:
    """What `relay config check` would say."""
    found = [
        Finding(Level.WARNING, "config", remark, f"see {config.path}") for remark in files.remarks(config)
    ]
    try:
        files.check(config)
    except ConfigError as error:
        fix = "mend it; see `relay config check`"
        found += [Finding(Level.PROBLEM, "config", line, fix) for line in str(error).splitlines()]
    else:
        found.append(Finding(Level.OK, "config", f"{config.path} can be used"))
    return found


def _running(question: Question) -> list[Finding]:
    """What the relay says of itself."""
    config, answer = question.config, question.answer
    if answer is None:
        seen = f"no relay answers on {config.spool.path}"
        return [Finding(Level.PROBLEM, "relay", seen, "`relay status` says why")]
    unit = service_unit.look()
    different = [
        Finding(
            Level.NOTE,
            "config",
            f"the running relay follows another value of {', '.join(question.differs[:_NAMED])}",
            "`relay config diff` shows them; then `relay reload`, or a restart where that is needed",
        )
    ] * bool(question.differs)
    found = different + list(
        judge_running(
            answer,
            SystemClock().now(),
            spool=str(config.spool.path),
            installed=relay.__version__,
            connections=config.limits.connections,
            service=unit.name if unit is not None else "",
        )
    )
    return found or [
        Finding(Level.OK, "relay", f"version {answer.get('version')} runs, and complains of nothing")
    ]


async def _ports(question: Question) -> list[Finding]:
    """Each address of each listener, all at once."""
    config = question.config
    if question.answer is None:
        return [Finding(Level.UNKNOWN, "ports", "not tried, as no relay runs", "start it, and ask again")]
    file = next(iter(certificate_files.certificates(config)), None)
    seen = await asyncio.gather(
        *[
            asyncio.to_thread(port_dialogues.look, listener, host, port, config.relay.hostname)
            for listener, host, port in port_dialogues.listeners(config)
            if port
        ]
    )
    return [finding for one in seen for finding in judge_port(one, file)]


def _tls(config: Config) -> list[Finding]:
    now, name = SystemClock().now(), config.relay.hostname
    seen = certificate_files.certificates(config)
    return [finding for one in seen for finding in judge_certificate(one, now, name)]


async def _names(question: Question) -> list[Finding]:
    """The resolver, and the names and addresses of this host as receivers look them up."""
    config, clock = question.config, SystemClock()
    delivery, helo = config.delivery, config.relay.hostname.lower()
    addresses, helo_of = _sources(config)
    async with AsyncExitStack() as stack:
        server = endpoint_text(delivery.resolver)
        timeout_s = min(delivery.resolver_timeout, BOUND_S / 2)
        resolver = Resolver(clock, server, timeout_s)
        await resolver.start(stack)
        start = clock.monotonic()
        answer = await resolver.ask(helo, "A")
        took_s = clock.monotonic() - start
        trouble = (answer.detail or "no answer") if answer.status is Status.TEMPORARY else ""
        found = [judge_resolver(server or "the system's resolver", took_s, trouble)]
        smarthost = next((one.next_hop for one in config.route if one.domain == "*"), None)
        if smarthost is not None and not question.addresses:
            seen = (
                f"all mail leaves through {format_endpoint(*smarthost)}: receivers see its address, not ours"
            )
            fix = "to judge that: relay doctor --ip ADDRESS"
            found.append(Finding(Level.NOTE, "reverse DNS", seen, fix))
        elif not trouble:
            found += await doctor.examine_host(resolver, helo, question.addresses or addresses, helo_of)
        return found


def _sources(config: Config) -> tuple[list[str], dict[str, str]]:
    """All addresses that mail may leave from, and the names in EHLO of those that have one of their own."""
    addresses: dict[str, None] = {}
    names: dict[str, str] = {}
    for source in [one.name for one in config.source] or [""]:
        some, helo_of = leaving_from(config, source)
        addresses |= dict.fromkeys(some)
        names |= helo_of
    return list(addresses), names


def _disk(config: Config) -> list[Finding]:
    disk = spool_disk.look(config.spool.path)
    return [*judge_room(disk, config.spool.disk_reserve), *judge_kind(disk)]


def _speed(config: Config) -> list[Finding]:
    path = config.spool.path
    try:
        return [judge_speed(Speed(str(path), measure(path, SystemClock())))]
    except OSError as error:
        return [judge_speed(Speed(str(path), fault=error.strerror or str(error)))]


def _machine(question: Question) -> list[Finding]:
    config = question.config
    pids = machine.pids_of(int((question.answer or {}).get("pid", 0)))
    bounds = judge_bounds(
        machine.machine(pids),
        clients=config.limits.connections,
        deliveries=config.delivery.connections,
        backlog=BACKLOG,
        workers=config.workers.effective_count,
        budgets=config.spool.fresh_memory + config.limits.receive_memory,
    )
    return [judge_clock(machine.clock()), *bounds]


def _modes(config: Config) -> list[Finding]:
    owner = machine.owner(config)
    found = [f for one in machine.secret_files(config) for f in judge_file(one, owner)]
    return found or [Finding(Level.OK, "modes", "keys, passwords and mail are for the relay's user alone")]


def _directory(config: Config) -> list[Finding]:
    """Whether it can be read, and which identities need a look."""
    section, about = config.directory, "directory"
    try:
        directory = Directory(section.url, section.key_file, section.region)
        try:
            held = list(directory.identities.list(None))
            is_current = directory.is_current()
        finally:
            directory.close()
    except DirectoryError as error:
        return [
            Finding(
                Level.PROBLEM, about, str(error), "see [directory] url; a relay that starts makes the tables"
            )
        ]
    found = []
    if not is_current:
        fix = "the next start brings them up to date"
        found.append(Finding(Level.NOTE, about, "its tables are not those of this version", fix))
    for state, level in _STATES.items():
        names = [one.identity.name for one in held if one.identity.state is state]
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            seen = f"{state.value}: {', '.join(names[:_NAMED])}{more}"
            fix = f"relay identity records {names[0]}; relay doctor {names[0]}"
            found.append(Finding(level, "identities", seen, fix))
    return found or [Finding(Level.OK, about, f"it can be read; {len(held)} identities, none in doubt")]


_STATES = {
    IdentityState.REVOKED: Level.PROBLEM,
    IdentityState.WARNED: Level.WARNING,
    IdentityState.FAILED: Level.WARNING,
    IdentityState.PENDING: Level.NOTE,
}


async def _outbound(question: Question) -> list[Finding]:
    """The hosts that were named; a host without port is tried at 25."""
    hello = question.config.relay.hostname
    seen = await asyncio.gather(
        *[
            asyncio.to_thread(port_dialogues.reach, *parse_endpoint(one, _SMTP), hello)
            for one in question.outbound
        ]
    )
    return [judge_outbound(one) for one in seen]
