"""``relay topic``: where an account's notifications go. ``create`` and ``rotate`` print the secret, once."""

from __future__ import annotations

from importlib import resources
from typing import Annotated

import typer

from relay.base.arn import topic_arn
from relay.base.errors import SpoolError
from relay.daemon.commands.directory import opened
from relay.daemon.commands.rows import Row, moment, print_row, print_rows
from relay.daemon.commands.running import asked, loaded
from relay.daemon.notifier import outbox
from relay.daemon.settings.config import load
from relay.daemon.supervisor import control
from relay.directory.notifications import OPTIONS
from relay.directory.notifying import Topic, TopicEnvelope
from relay.directory.topics import Dropped, NewSecret

app = typer.Typer(no_args_is_help=True, help="Topics: web addresses that hear what became of mail.")

Name = Annotated[str, typer.Argument(help="The topic's name.")]
Account = Annotated[str | None, typer.Option(help="Its account, where several have a topic of this name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def create(
    account: Annotated[str, typer.Argument(help="The account that it belongs to.")],
    name: Name,
    url: Annotated[str, typer.Option(help="Where to post: https, or http to this machine.")],
    is_sns: Annotated[bool, typer.Option("--sns", help="Wrap what is posted as SNS does.")] = False,
    as_json: AsJson = False,
) -> None:
    """Create a topic and print the secret that signs what is posted: the only time that it is shown."""
    with opened() as directory:
        envelope = TopicEnvelope.SNS if is_sns else TopicEnvelope.RAW
        _print_secret(directory.topics.create(account, name, url, envelope), as_json)
        if not as_json:
            typer.echo(f"Tell it of bounces, say: relay identity notify IDENTITY --bounce {name}", err=True)


@app.command("list")
def list_topics(
    account: Annotated[str | None, typer.Argument(help="Only those of this account.")] = None,
    as_json: AsJson = False,
) -> None:
    """List topics, without their secrets."""
    with opened() as directory:
        rows = [_row(held.topic, held.account, as_json) for held in directory.topics.list(account)]
        print_rows(rows, as_json=as_json, nothing="no topics; see `relay topic create --help`")


@app.command()
def show(name: Name, account: Account = None, as_json: AsJson = False) -> None:
    """Show a topic, and which identities tell it of what."""
    with opened() as directory:
        held = directory.topics.show(name, account)
        words = {kind.value: option for kind, option in OPTIONS.items()}
        told: dict[str, list[str]] = {}
        for identity, kind in directory.topics.users(held.topic.id):
            told.setdefault(identity, []).append(words.get(kind, kind))
        told_by: object = told
        if not as_json:
            told_by = ", ".join(f"{identity} ({', '.join(kinds)})" for identity, kinds in told.items())
        row = {**_row(held.topic, held.account, as_json), "told_by": told_by, **_outbox(held.topic.id)}
        print_row(row, as_json=as_json)


@app.command("test")
def post_test(name: Name, account: Account = None) -> None:
    """Have the running relay post a notification that tells of nothing; status 1 if it is not taken."""
    with opened() as directory:
        topic = directory.topics.show(name, account).topic
    posted = asked(control.ask(loaded().spool.path, "topic test", topic=topic.id))
    typer.echo(f"{topic.url}: {posted['said']}", err=not posted["is_taken"])
    if not posted["is_taken"]:
        raise typer.Exit(1)


@app.command("set")
def set_topic(
    name: Name,
    url: Annotated[str | None, typer.Option(help="Where to post from now on.")] = None,
    is_sns: Annotated[
        bool | None, typer.Option("--sns/--raw", help="Wrap what is posted as SNS does, or not.")
    ] = None,
    account: Account = None,
    as_json: AsJson = False,
) -> None:
    """Change where a topic's notifications go; its secret stays."""
    if url is None and is_sns is None:
        raise typer.BadParameter("give --url, --sns or --raw")
    envelope = None if is_sns is None else TopicEnvelope.SNS if is_sns else TopicEnvelope.RAW
    with opened() as directory:
        held = directory.topics.set(name, url=url, envelope=envelope, account=account)
        print_row(_row(held.topic, held.account, as_json), as_json=as_json)


@app.command()
def rotate(name: Name, account: Account = None, as_json: AsJson = False) -> None:
    """Make another secret and print it; from the next second on it alone signs what is posted."""
    with opened() as directory:
        _print_secret(directory.topics.rotate(name, account), as_json)


@app.command()
def activate(name: Name, account: Account = None) -> None:
    """Post to a dropped topic again, first what it had not taken. What happened since is in the event log
    alone; forwarding by mail stays on until it is switched off again."""
    with opened() as directory:
        held = directory.topics.activate(name, account)
        typer.echo(f"{held.topic.name} is active")


@app.command()
def delete(name: Name, account: Account = None) -> None:
    """Delete a topic, with what identities were set to tell it."""
    with opened() as directory:
        dropped = directory.topics.delete(name, account)
        typer.echo(f"{name} is deleted{_forwarded(dropped)}")


@app.command()
def schema() -> None:
    """Print the JSON schema of what is posted, for those who read it."""
    file = resources.files("relay.codec").joinpath("schemas/notification.json")
    typer.echo(file.read_text(encoding="utf-8"), nl=False)


def _outbox(topic_id: int) -> Row:
    """What waits for a topic, as the notifier has it on disk."""
    try:
        waiting = outbox.look(loaded().spool.path).get(topic_id, outbox.NOTHING)
    except SpoolError as error:  # of another user, say
        return {"waiting": f"unknown: {error}"}
    return {
        "waiting": waiting.pending,
        "put_aside": waiting.aside,
        "oldest": moment(waiting.oldest) if waiting.oldest else "",
        "failing_since": moment(waiting.failing_since) if waiting.failing_since else "",
        "said": waiting.said,
    }


def _forwarded(dropped: Dropped) -> str:
    if not dropped.forwarded:
        return ""
    return f"; bounces and complaints of {', '.join(dropped.forwarded)} are mailed again"


def _print_secret(new: NewSecret, as_json: bool) -> None:
    row = {**_row(new.topic, new.account, as_json), "secret": new.secret}
    print_row(row, as_json=as_json)
    if not as_json:
        typer.echo("Keep the secret now: it is not shown again.", err=True)


def _row(topic: Topic, account: str, as_json: bool) -> Row:
    row: dict[str, object] = {
        "name": topic.name,
        "account": account,
        "url": topic.url,
        "envelope": topic.envelope.value,
        "state": topic.state.value,
        "reason": topic.reason,
        "created": moment(topic.created_at),
    }
    if as_json:
        row["arn"] = topic_arn(load(None).directory.region, topic.account_id, topic.name)
    return row
