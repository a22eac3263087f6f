"""``relay identity notify``: what an identity tells of its mail, to whom, and whether feedback is mailed."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

import typer

from relay.base.errors import DirectoryError
from relay.base.events import EventKind
from relay.daemon.commands.directory import opened
from relay.daemon.commands.rows import Row, print_row
from relay.directory.notifications import NONE, OPTIONS, Settings
from relay.directory.notifying import TOLD

_KINDS = {option: kind for kind, option in OPTIONS.items()}


class Switch(StrEnum):
    """On or off."""

    ON = "on"
    OFF = "off"


def _to(kind: str) -> typer.models.OptionInfo:
    option = typer.Option(metavar="TOPIC|log|none", help=f"Who hears of {kind}.")
    assert isinstance(option, typer.models.OptionInfo)
    return option


def notify(
    name: Annotated[str, typer.Argument(help="example.org or name@example.org")],
    bounce: Annotated[str | None, _to("bounces")] = None,
    complaint: Annotated[str | None, _to("complaints")] = None,
    delivery: Annotated[str | None, _to("deliveries")] = None,
    send: Annotated[str | None, _to("messages that are accepted")] = None,
    reject: Annotated[str | None, _to("messages with a virus, which are dropped")] = None,
    delay: Annotated[str | None, _to("delays")] = None,
    headers: Annotated[
        str | None,
        typer.Option(metavar="KIND,KIND|none", help="Of which kinds the original header is told."),
    ] = None,
    forwarding: Annotated[
        Switch | None, typer.Option(help="Whether bounces and complaints are mailed to the sender.")
    ] = None,
    account: Annotated[
        str | None, typer.Option(help="Its account, where several hold the same name.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Set what an identity tells of its mail, or without options show it. A domain's settings do not hold for
    addresses of it that are identities themselves."""
    given = {
        EventKind.BOUNCE: bounce,
        EventKind.COMPLAINT: complaint,
        EventKind.DELIVERY: delivery,
        EventKind.SEND: send,
        EventKind.REJECT: reject,
        EventKind.DELIVERY_DELAY: delay,
    }
    topics = {kind: to for kind, to in given.items() if to is not None}
    with opened() as directory:
        if topics or headers is not None or forwarding is not None:
            settings = directory.notifications.set(
                name,
                topics=topics,
                headers=None if headers is None else _kinds(headers),
                is_forwarding=None if forwarding is None else forwarding is Switch.ON,
                account=account,
            )
        else:
            settings = directory.notifications.show(name, account)
        row = {"name": settings.identity, "account": settings.account, **settings_row(settings, as_json)}
        print_row(row, as_json=as_json)


def settings_row(settings: Settings, as_json: bool) -> Row:
    """What an identity tells, a column a kind; in JSON whole, else for people."""
    told: Mapping[str, object] = {OPTIONS[kind]: _cell(settings, kind, as_json) for kind in TOLD}
    return {"forwarding": settings.is_forwarding, **told}


def _cell(settings: Settings, kind: EventKind, as_json: bool) -> object:
    told = settings.told.get(kind)
    if not as_json:
        return NONE if told is None else str(told)
    if told is None:
        return None
    return {"to": told.to, "headers": told.has_headers, "dropped": told.is_dropped}


def _kinds(text: str) -> frozenset[EventKind]:
    if text == NONE:
        return frozenset()
    words = [word.strip() for word in text.split(",")]
    unknown = [word for word in words if word not in _KINDS]
    if unknown:
        raise DirectoryError(
            f"--headers: {unknown[0]!r} is no kind of event: give some of {', '.join(_KINDS)}, or none"
        )
    return frozenset(_KINDS[word] for word in words)
