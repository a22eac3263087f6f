"""``relay message ID``: the whole life of one message, as a timeline.

Who handed it in and how, what it asked for, what became of each recipient, every event in its order, the mail
that told the sender, why the rest still waits, and whether a topic has yet to take what is to be told. Works
on a stopped relay, too; what a running one knows beyond the disk (where in the queue, which limit binds) is
asked of it.
"""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from relay.base.clock import SystemClock
from relay.base.errors import RelayError
from relay.daemon.commands import filters
from relay.daemon.commands.directory import directory_of
from relay.daemon.commands.explain import found_of, printable
from relay.daemon.commands.rows import moment, print_row, print_rows
from relay.daemon.commands.running import AsJson, loaded, spool_of
from relay.daemon.settings.config import Config


def message(
    name: Annotated[str, typer.Argument(metavar="ID", help="Its id, our Message-ID, or our return path.")],
    as_json: AsJson = False,
) -> None:
    """Show the life of a message: from whom it came, what became of each recipient, and why it waits."""
    from relay.daemon import message_life  # loads a part of the relay: only where it is needed

    settings = loaded()
    with filters.told():
        message_id = message_life.id_in(name)
        path = spool_of(settings)
        found = message_life.gather(path, message_id)
        if found is None:
            keep_for_s, now = settings.events.keep_for, SystemClock().now()
            why = message_life.why_unknown(path, message_id, keep_for_s, now)
            raise ValueError(f"{message_id}: unknown; {why}")
        _name(settings, found)
        asked = _explain(settings, message_id, found)
        if as_json:
            typer.echo(json.dumps({**found, "asked": asked or "the relay"}, indent=2))
            return
        if asked:
            typer.echo(f"as the disk tells; {asked}", err=True)
        _print(found)


def _name(settings: Config, found: dict[str, Any]) -> None:
    """The names of the account, and of its topics; without them, the numbers do."""
    found["account"], found["topics"] = "", []
    with suppress(RelayError):
        directory = directory_of(settings)
        try:
            names = {one.id: one.name for one in directory.accounts.list()}
            found["account"] = names.get(found["account_id"], "")
            topics = {one.topic.id: one.topic.name for one in directory.topics.list(found["account"] or None)}
            found["topics"] = list(topics.values()) if found["account"] else []
            for one in found["notifications_waiting"]:
                one["topic"] = topics.get(one["topic_id"], "")
        finally:
            directory.close()


def _explain(settings: Config, message_id: str, found: dict[str, Any]) -> str:
    """Why the rest waits is added to those who wait; returns why only the disk was asked."""
    if not any("attempts" in one for one in found["recipients"]):
        return ""
    told, why = found_of(settings, message_id)
    if told is None:  # the last one has just left
        return why
    by_recipient = {one["recipient"]: one for one in told["recipients"]}
    for one in found["recipients"]:
        extra = by_recipient.get(one["recipient"], {})
        names = ("where", "limit", "why", "next_at", "advice", "suppressed", "transcript", "transcript_at")
        one |= {name: extra[name] for name in names if name in extra}
    return why


def _print(found: dict[str, Any]) -> None:
    client = found["client"]
    head: dict[str, object] = {
        "id": found["id"],
        "account": found["account"] or found["account_id"] or "the relay's own mail",
        "from": found["sender"] or "<>",
        "identity": found.get("identity", ""),
        "client": ", ".join(str(one) for one in client.values()) or "this machine",
        "received": f"{found['bytes_received']} bytes" if "bytes_received" in found else "",
        "to leave": f"{found['bytes']} bytes" if "bytes" in found else "",
        "return path": found.get("return_path", ""),
        **found.get("control", {}),
        "signed by": ", ".join(found.get("signed_by", ())),
        "given up": moment(found["gives_up_at"]) if "gives_up_at" in found else "",
        "note": found.get("note", ""),
    }
    print_row({name: value for name, value in head.items() if value != ""}, as_json=False)
    typer.echo()
    rows = [
        {
            "recipient": one["recipient"],
            "state": one["state"],
            "since": moment(one["at"]) if one["at"] else "",
            "attempts": one.get("attempts", ""),
            "next_attempt": moment(one["next_at"]) if one.get("next_at") else "",
            "said": one["said"],
        }
        for one in found["recipients"]
    ]
    print_rows(rows, as_json=False, nothing="no recipients are known")
    typer.echo()
    for one in found["timeline"]:
        typer.echo(_line(one))
    for one in found["uncertain"]:
        typer.echo(
            f"{_when(one['at'])}  uncertain      {printable(one['recipient'])}: {one['why']}: may come twice"
        )
    _print_waiting(found)
    _print_news(found)


def _when(at: float) -> str:
    when = datetime.fromtimestamp(at, UTC)
    return f"{when:%Y-%m-%d %H:%M:%S}.{when.microsecond // 1000:03d}"


def _line(one: dict[str, Any]) -> str:
    kind = one["kind"]
    if "report" in one:  # of a mail that told the sender
        return f"{_when(one['at'])}    report {kind:<10} {one['said']}"
    if kind == "Send":
        kind = "Accepted"
    follows = one["detail"].get("bounce") or one["detail"].get("notice")
    told = f"; told in {follows}" if isinstance(follows, str) and len(follows) > 20 else ""
    return f"{_when(one['at'])}  {kind:<13}  {one['said']}{told}".rstrip()


def _print_waiting(found: dict[str, Any]) -> None:
    for one in found["recipients"]:
        if "why" not in one:
            continue
        typer.echo()
        next_at = one.get("next_at")
        row = {
            "waits": printable(one["recipient"]),
            "where": one["where"],
            "why": printable(one["why"]),
            "next": moment(next_at) if next_at is not None else "not before that changes",
            "to_change_it": one["advice"],
        }
        print_row({name: value for name, value in row.items() if value}, as_json=False)
        if one["attempts"] > 1:
            typer.echo(f"{one['attempts']} attempts; of those before the last, the relay's log alone tells")
        if one.get("transcript"):
            typer.echo(f"last attempt, {moment(one['transcript_at'])}:")
            for line in one["transcript"].split("\n"):
                typer.echo(f"  {printable(line)}")


def _print_news(found: dict[str, Any]) -> None:
    for one in found["notifications_waiting"]:
        topic = one.get("topic") or f"number {one['topic_id']}"
        state = f"tried again {moment(one['due_at'])}" if one["due_at"] else "tried next"
        said = f": {printable(one['said'])}" if one["said"] else ""
        tried = f"{one['attempts']} tries, {'put aside' if one['is_aside'] else state}{said}"
        typer.echo(f"\nnot taken by topic {topic} since {moment(one['since'])}; {tried}")
    if found["topics"] and not found["notifications_waiting"] and not found["events_not_looked_at"]:
        names = ", ".join(found["topics"])
        typer.echo(
            f"\nnothing waits for the topics of its account ({names}): what was for them, they have taken"
        )
    if found["events_not_looked_at"]:
        typer.echo(f"\n{found['events_not_looked_at']} of its events were not made notifications of yet")
