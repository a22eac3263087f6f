"""A frame of ``relay top`` as a screen: throughput with its last minute, queue, workers, sites, accounts.

Contract: ``render`` fits the frame (``relay.admin.pulse``) into so many columns and lines; tables are cut
below, never in the middle of a row. Text of strangers is printed without control characters and markup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from relay.admin.pulse import COUNTED, sparkline
from relay.admin.span import amount, span

ORDERS = ("busy", "waiting", "state")
_STYLES = {"down": "red", "probing": "yellow", "pausing": "yellow", "paced": "cyan"}
_HEAD_LINES = 11  # all but the rows of workers, sites and accounts
_LEAST_ROWS = 3
_LONG = ("site", "why", "account")

Frame = Mapping[str, Any]


def render(
    frame: Frame, *, width: int = 80, height: int = 24, order: str = "busy", is_plain: bool = False
) -> RenderableType:
    """All of it. ``order`` is one of ORDERS; ``is_plain``: the terminal has no bars."""
    room = height - _HEAD_LINES - len(frame["workers"])
    sites = max(_LEAST_ROWS, room - min(len(frame["accounts"]), max(_LEAST_ROWS, room // 3)))
    accounts = max(_LEAST_ROWS, room - min(len(frame["sites"]), sites))
    parts: list[RenderableType] = [_head(frame), _throughput(frame, width, is_plain), _queue(frame)]
    parts.append(_workers(frame))
    parts.append(_sites(sorted_sites(frame["sites"], order)[:sites], width))
    parts.append(_accounts(frame["accounts"][:accounts]))
    return Group(*parts)


def sorted_sites(sites: Sequence[Frame], order: str) -> list[Frame]:
    """As the viewer wants them; in the relay's own order those that are down come first."""
    if order == "waiting":
        return sorted(sites, key=lambda one: (-one["waiting"], one["site"]))
    if order == "busy":
        return sorted(sites, key=lambda one: (-one["connections"], -one["waiting"], one["site"]))
    return list(sites)


def _head(frame: Frame) -> Text:
    ready = sum(bool(one["ready"]) for one in frame["workers"])
    state = "  DRAINS" if frame["draining"] else ""
    notifier = "" if frame["notifier"] else "  no notifier"
    return Text(
        f"relay {frame['version']}  up {span(frame['up_s'])}  {ready} of {len(frame['workers'])} workers"
        f"{notifier}{state}",
        "bold",
    )


def _throughput(frame: Frame, width: int, is_plain: bool) -> Table:
    table = _table(("", "left"), ("a second", "right"), ("the last minute", "left"))
    bars = max(10, min(60, width - 24))
    for name in COUNTED:
        rate = frame["per_s"][name] if frame["per_s"] is not None else None
        table.add_row(name, _rate(rate), sparkline(frame["lately"][name], bars, is_plain=is_plain))
    return table


def _queue(frame: Frame) -> Text:
    states = ", ".join(f"{name} {count:,}" for name, count in frame["queue"].items() if count)
    oldest = f", the oldest for {span(frame['oldest_s'])}" if frame["oldest_s"] else ""
    return Text(
        f"queue: {states or 'empty'}{oldest}\n"
        f"{frame['clients']:,} clients, {frame['connections']:,} connections to receivers, "
        f"{frame['in_flight']:,} in flight, {frame['events_behind']:,} events behind"
    )


def _workers(frame: Frame) -> Table:
    table = _table(
        ("worker", "left"), ("cpu", "right"), ("memory", "right"), ("loop late", "right"), ("in", "right"),
        ("out", "right"),
    )  # fmt: skip
    for one in frame["workers"]:
        rates = one["per_s"] or {}
        table.add_row(
            f"{one['worker']}{'' if one['ready'] else ' not ready'}",
            "" if one["cpu"] is None else f"{100 * one['cpu']:.0f} %",
            amount(one["resident_bytes"]) if one["resident_bytes"] else "",
            "" if one["lag_s"] is None else f"{1000 * one['lag_s']:.1f} ms",
            _rate(rates.get("accepted")),
            _rate(rates.get("delivered")),
        )
    return table


def _sites(sites: Sequence[Frame], width: int) -> Table:
    table = _table(
        ("site", "left"), ("conn", "right"), ("waiting", "right"), ("pace", "right"), ("state", "left"),
        ("why", "left"),
    )  # fmt: skip
    table.columns[0].max_width = max(20, width // 3)
    for one in sites:
        again = f" {one['retry_in_s']:.0f} s" if one["retry_in_s"] else ""
        table.add_row(
            _plain(one["site"]),
            f"{one['connections']:,}",
            f"{one['waiting']:,}",
            _rate(one["rate_per_s"]),
            Text(f"{one['state']}{again}", _STYLES.get(one["state"], "")),
            _plain(one["why"]),
        )
    if not sites:
        table.add_row(Text("none at work"), "", "", "", "", "")
    return table


def _accounts(accounts: Sequence[Frame]) -> Table:
    table = _table(("account", "left"), ("in", "right"), ("accepted", "right"), ("state", "left"))
    for one in accounts:
        state = "" if one["state"] == "active" else one["state"]
        table.add_row(_plain(one["account"]), _rate(one["per_s"]), f"{one['accepted']:,}", state)
    return table


def _table(*columns: tuple[str, str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name, justify in columns:
        # only what is long gives way: half of a number would be another number
        is_number = name not in _LONG
        table.add_column(name, justify="right" if justify == "right" else "left", no_wrap=is_number)
    return table


def _plain(text: str) -> Text:
    """Not as markup."""
    text = "".join(c if c.isprintable() else "?" for c in text)
    return Text(text, overflow="ellipsis", no_wrap=True)


def _rate(per_s: float | None) -> str:
    if per_s is None:
        return ""
    return (
        f"{per_s:,.0f}/s"
        if per_s >= 10 or not per_s
        else f"{per_s:.1f}/s"
        if per_s >= 0.1
        else f"{per_s * 60:.1f}/min"
    )
