"""The answers of all workers about what they do now, joined into one. Pure.

A site is worked on by several workers: its connections and what waits are added up, of its state the worst
counts. An account's rate is the sum of what the workers see. Each worker names its own first few, so a site
that is small in each of them may be missing from the first few of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Look = Mapping[str, Any]

_BADNESS = ("open", "paced", "pausing", "probing", "down")
_ADDED_UP = ("connections", "waiting")


def badness(state: str) -> int:
    """The higher, the less a site takes."""
    return _BADNESS.index(state) if state in _BADNESS else 0


def join_sites(looks: Iterable[Look], limit: int) -> list[dict[str, Any]]:
    """The sites of all workers by what there is to do: those that are down, then where most waits or runs."""
    sites: dict[str, dict[str, Any]] = {}
    for look in looks:
        for one in look["sites"]:
            known = sites.get(one["site"])
            if known is None:
                sites[one["site"]] = dict(one)
                continue
            worse = one if badness(one["state"]) > badness(known["state"]) else known
            sums = {name: known[name] + one[name] for name in _ADDED_UP}
            sites[one["site"]] = {**worse, **sums, "rate_per_s": _sum(known["rate_per_s"], one["rate_per_s"])}
    return sorted(sites.values(), key=_first)[:limit]


def _first(site: Mapping[str, Any]) -> tuple[int, int, int, str]:
    is_shut = badness(site["state"]) >= badness("probing")
    return -is_shut, -site["waiting"], -site["connections"], site["site"]


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None and other is None else (one or 0.0) + (other or 0.0)


def join_accounts(looks: Iterable[Look], limit: int) -> list[dict[str, Any]]:
    """The accounts of all workers, those that hand in the most now first."""
    accounts: dict[str, dict[str, Any]] = {}
    for look in looks:
        for one in look["accounts"]:
            known = accounts.setdefault(one["account"], {**one, "accepted": 0, "per_s": 0.0})
            known["accepted"] += one["accepted"]
            known["per_s"] += one["per_s"]
    order = sorted(accounts.values(), key=lambda one: (-one["per_s"], -one["accepted"], one["account"]))
    return order[:limit]


def stopped(looks: Sequence[Look]) -> dict[str, Any]:
    """What an administrator has stopped, as the first worker knows it: all have the same directory."""
    names = ("paused", "paused_count", "suspended", "suspended_count")
    return {name: looks[0][name] for name in names} if looks else {}
