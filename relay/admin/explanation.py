"""Why a recipient has not got its message yet: what binds, when it is tried next, and what would change it.

A decision, pure: from what is known of a recipient (``Facts``) to words for people (``Explanation``). The
first thing that holds it is named, in the order in which the relay asks: the operator first, then what is
under way, suspension, the lane, and last the calendar.

``limit`` is one word of a fixed list: ``hold``, ``suspension``, ``worker``, ``route``, ``breaker``, ``rate``,
``connections``, ``share``, ``turn``, ``room``, ``backoff``, ``account`` (limits), or ``none``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from relay.base.message import RecipientState


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one recipient. ``lane`` is what its control says of itself, where there is one."""

    message_id: str
    domain: str
    state: RecipientState
    attempts: int
    due_at: float
    reply: str
    now: float
    gives_up_at: float
    is_running: bool = True  # the worker that owns it answered
    suspended: str = ""
    resume: str = ""  # options of ``relay queue resume`` that would end that
    site: str = ""
    place: str = ""  # in memory: "route", "queue", "connection"; "" for on disk
    before: int = 0
    waiting: int = 0
    accounts: int = 0
    lane: Mapping[str, Any] = field(default_factory=dict)
    route_fault: str = ""  # why it has no route


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer, for one recipient."""

    where: str
    limit: str
    why: str
    next_at: float | None  # when it is tried next, as far as anyone knows; None for not before something ends
    advice: str = ""


def explain(facts: Facts) -> Explanation:
    """See the module."""
    one = facts
    if one.state is RecipientState.HELD:
        why = one.reply if not one.attempts and one.reply else "an operator holds it"
        return Explanation("on disk, held", "hold", why, None, f"relay queue release {one.message_id}")
    if one.place == "connection":
        return Explanation("in the hands of a connection", "none", "it is being delivered", one.now)
    if one.suspended:
        where = "in memory" if one.place else "on disk"
        return Explanation(where, "suspension", one.suspended, None, f"relay queue resume {one.resume}")
    if one.place == "route":
        why = "the DNS is asked where the domain's mail goes"
        return Explanation("in memory", "route", why, one.now, f"relay doctor {one.domain}")
    if one.place == "queue":
        return _queued(one)
    return _on_disk(one)


def _queued(one: Facts) -> Explanation:
    where = f"in the queue of its lane, {one.before} messages of its account before it"
    if one.accounts > 1:
        where += f", {one.accounts} accounts take turns"
    found = _lane(one, where)
    if found is not None:
        return found
    if one.before:
        return Explanation(where, "turn", "others of its account leave first", one.now)
    connections = one.lane.get("connections")
    why = f"all {connections} connections are busy" if connections else "it waits for a connection"
    return Explanation(where, "connections", why, one.now, _shaping(one))


def _lane(one: Facts, where: str) -> Explanation | None:
    """Where its lane's control holds it."""
    lane = one.lane
    why = str(lane.get("why") or "")
    retry_in_s, wait_s = float(lane.get("retry_in_s") or 0.0), float(lane.get("wait_s") or 0.0)
    flush = f'relay queue flush --site "{one.site}"' if one.site else f"relay queue flush {one.message_id}"
    if lane.get("state") == "down":
        return Explanation(where, "breaker", f"the site is left alone: {why}", one.now + retry_in_s, flush)
    if lane.get("state") == "probing":
        return Explanation(
            where, "breaker", f"the site was down, one message tries it: {why}", one.now, flush
        )
    if lane.get("state") == "pausing" or wait_s > 0.0:
        rate = lane.get("rate_per_s")
        said = why or "the rate of the lane"
        said = f"{said} ({rate:g}/s)" if rate else said
        return Explanation(where, "rate", said, one.now + wait_s, _shaping(one))
    if lane.get("connections") == 0:
        why = why or "this worker has no share of the site's connections now"
        return Explanation(where, "share", why, one.now)
    return None


def _shaping(one: Facts) -> str:
    rule = one.lane.get("rule")
    return f'rule "{rule}" of shaping.toml bounds the site' if rule else ""


def _on_disk(one: Facts) -> Explanation:
    where = f"on disk, {one.state.value}"
    if one.state is RecipientState.DEFERRED and one.due_at > one.now:
        next_at = min(one.due_at, max(one.gives_up_at, one.now))
        flush = f"relay queue flush {one.message_id}"
        if not one.attempts:
            why = one.reply or "the sending limits of its account let it leave then"
            return Explanation(where, "account", why, next_at, "relay account set NAME --rate N --quota N")
        why = f"attempt {one.attempts} was answered: {one.reply}"
        return Explanation(where, "backoff", why, next_at, flush)
    if not one.is_running:
        why = "the worker that owns it does not run"
        return Explanation(where, "worker", why, None, "relay run, or see the relay's log")
    if one.route_fault:
        return Explanation(where, "route", one.route_fault, one.now, f"relay doctor {one.domain}")
    found = _lane(one, where)
    if found is not None:
        return found
    why = "its account's part of the memory is full; it comes in as others leave"
    if one.state is RecipientState.PARKED and one.reply and not one.attempts:
        why = f"{why} (parked: {one.reply})"
    return Explanation(where, "room", why, one.now)
