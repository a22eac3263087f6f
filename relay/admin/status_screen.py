"""One screen of how the relay is: what is wrong and what mends it, then the figures. Pure.

Contract: lines of at most ``width`` characters, but for commands and paths, which are never cut since they
are there to be copied; ``most`` findings, the rest counted. What is not known has no line.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from relay.admin.finding import Finding, Level
from relay.admin.span import ago, amount, span
from relay.admin.status import Condition, Facts

WIDTH = 80
_LABEL = 11
_COUNTED = ("accepted", "delivered", "deferred", "failed")


def screen(
    facts: Facts, findings: Sequence[Finding], condition: Condition, width: int = WIDTH, most: int = 5
) -> list[str]:
    """All lines."""
    shown = list(_head(facts, findings, condition))
    for one in findings[:most]:
        shown += _finding(one, width)
    if len(findings) > most:
        shown.append(f"... and {len(findings) - most} more: relay status --all")
    figures = [*_rates(facts), *_waiting(facts, width), *_state(facts)]
    return [_plain(line) for line in ([*shown, "", *figures] if figures else shown)]


def _head(facts: Facts, findings: Sequence[Finding], condition: Condition) -> Iterator[str]:
    word = condition.value if condition is Condition.HEALTHY else condition.value.upper()
    answer = facts.answer or {}
    wrong = sum(one.level in (Level.PROBLEM, Level.WARNING) for one in findings)
    count = f", {wrong} to look at" if wrong else ""
    yield f"relay {answer.get('version', facts.installed)} on {facts.hostname}: {word}{count}"
    if facts.answer is None:
        return
    ready = answer.get("ready", {})
    since, notifier = float(answer.get("started_at", 0.0)), answer.get("notifier", {})
    parts = [
        f"up {span(facts.now - since)} since {_moment(since)}" if since else "",
        f"{sum(map(bool, ready.values()))} of {len(ready)} workers",
        "notifier" if notifier.get("ready") else "no notifier",
        f"pid {answer['pid']}" if "pid" in answer else "",
    ]
    yield ", ".join(filter(None, parts))


def _finding(finding: Finding, width: int) -> list[str]:
    label = f"{finding.level.value:<8} {finding.about:<{_LABEL}} "
    lines = textwrap.wrap(
        f"{label}{finding.seen}",
        width,
        subsequent_indent=" " * len(label),
        break_long_words=False,
        break_on_hyphens=False,
    )
    fixes = finding.publish.splitlines()
    return lines + [f"{' ' * (len(label) - 3)}-> {line}" for line in fixes]


def _rates(facts: Facts) -> Iterator[str]:
    answer = facts.answer
    if answer is None:
        return
    yield "".join([f"{'':<{_LABEL}}", *[f"{name:>13}" for name in _COUNTED]])
    for name, counts in answer.get("lately", {}).items():
        yield _row(f"last {name}", counts) + _covered(name, float(counts["seconds"]))
    readings = answer.get("readings", {}).values()
    if readings:
        totals = {name: sum(int(one.get(name, 0)) for one in readings) for name in _COUNTED}
        yield _row("in all", totals)


def _row(label: str, counts: Mapping[str, Any]) -> str:
    return "".join([f"{label:<{_LABEL}}", *[f"{counts.get(name, 0):>13,}" for name in _COUNTED]])


def _covered(name: str, seconds: float) -> str:
    """Said where it is much less than the name says."""
    whole = {"minute": 60.0, "hour": 3600.0}.get(name, 0.0)
    return f"  ({span(seconds)})" if seconds < 0.9 * whole else ""


def _waiting(facts: Facts, width: int) -> Iterator[str]:
    waiting = facts.waiting
    if waiting is None:
        return
    total = sum(count for _, count, _ in waiting.states)
    states = [f"{name} {count:,}" for name, count, _ in waiting.states if count]
    oldest = min((at for _, count, at in waiting.states if count and at), default=0.0)
    age = f"; the oldest for {span(facts.now - oldest)}" if oldest else ""
    cut = " at least (too many to count at once)" if waiting.is_cut else ""
    when = f" (counted {ago(facts.now - waiting.counted_at)})" if waiting.counted_at else ""
    said = (f"{', '.join(states)}{cut}{age}" if total else "nothing") + when
    yield f"{'waiting':<{_LABEL}} {said}"
    for domain, count, reply in waiting.domains:
        start = f"{'':<{_LABEL}} {count:>9,}  {domain}"
        room = max(width - len(start) - 2, 10)
        yield f"{start}  {textwrap.shorten(reply, room, placeholder='...')}".rstrip()


def _state(facts: Facts) -> Iterator[str]:
    answer = facts.answer or {}
    readings = list(answer.get("readings", {}).values())

    def total(name: str) -> int:
        return int(sum(one.get(name, 0) for one in readings))

    if readings:
        shut = total("sites_down") + total("sites_probing")
        bound = f" of {facts.connections:,}" if facts.connections else ""
        yield (
            f"{'open':<{_LABEL}} {total('client_sessions'):,}{bound} clients, "
            f"{total('connections'):,} to receivers; {total('sites'):,} sites, {shut:,} down"
        )
    if facts.disk is not None and not facts.disk.fault:
        disk = facts.disk
        yield (
            f"{'disk':<{_LABEL}} {amount(disk.free)} free of {amount(disk.total)}, "
            f"reserve {amount(facts.reserve)}"
        )
    for one in facts.certificates:
        if not one.fault and one.ends_at > facts.now:
            until = _moment(one.ends_at).partition("T")[0]
            yield f"{'certificate':<{_LABEL}} good until {until}, {span(one.ends_at - facts.now)}"
    if readings:
        behind = max(answer.get("notifier", {}).get("behind", {}).values(), default=0)
        known = max((int(one.get("suppression_entries", 0)) for one in readings), default=0)
        yield f"{'events':<{_LABEL}} {behind:,} not looked at yet; {known:,} addresses on suppression lists"


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%MZ")


def _plain(text: str) -> str:
    """Strangers' text without control characters."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)
