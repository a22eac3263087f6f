"""``relay identity check``: what the DNS says of a domain's records now, and what to change."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import Annotated

import typer

from relay.base.clock import SystemClock
from relay.daemon.commands.directory import opened
from relay.daemon.commands.rows import Row, print_row, print_rows
from relay.daemon.settings.config import Config, load
from relay.daemon.translate import endpoint_text
from relay.daemon.worker.publication import records_of
from relay.directory.diagnosis import Ask, Diagnosis, Seen, Verdict, diagnose, questions
from relay.directory.published import Record
from relay.transport.answers import Answer, Status
from relay.transport.resolve import Resolver

_AT_ONCE = 8


def check(
    name: Annotated[str, typer.Argument(metavar="DOMAIN", help="example.org")],
    account: Annotated[
        str | None, typer.Option(help="Its account, where several hold the same name.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask the DNS for a domain's records now, and say what is missing or wrong. Exit status 1 if any is."""
    with opened() as directory:
        config = load(None)
        records = records_of(directory, config, name, account)
        standing = directory.life.standing(name, account)
        found = asyncio.run(look(records, standing.name, config))
        is_waiting = directory.life.hurry(name, account)
        rows = [_row(one) for one in found]
        if as_json:
            print_row({"name": standing.name, "state": standing.state.value, "records": rows}, as_json=True)
        else:
            typer.echo(f"{standing.name} is {standing.state.value}\n")
            print_rows(rows, as_json=False, nothing="no records to look for")
            if is_waiting:
                typer.echo("\nThe running relay looks at the proof again now.")
        if any(one.verdict is not Verdict.FOUND for one in found):
            raise typer.Exit(1)


async def look(records: Iterable[Record], domain: str, config: Config) -> list[Diagnosis]:
    """The diagnosis of each record, by the DNS as it is now."""
    delivery = config.delivery
    resolver = Resolver(SystemClock(), endpoint_text(delivery.resolver), delivery.resolver_timeout)
    records = list(records)
    asks = list(dict.fromkeys(ask for record in records for ask in questions(record, domain)))
    slots = asyncio.Semaphore(_AT_ONCE)

    async def answered(ask: Ask) -> Seen:
        async with slots:
            return await _ask(resolver, ask)

    async with AsyncExitStack() as stack:
        await resolver.start(stack)
        seen = dict(zip(asks, await asyncio.gather(*map(answered, asks)), strict=True))
    return [diagnose(record, domain, seen) for record in records]


async def _ask(resolver: Resolver, ask: Ask) -> Seen:
    name, kind = ask
    if kind == "MX":
        answer: Answer = await resolver.mx(name, is_fresh=True)
    elif kind == "CNAME":
        answer = await resolver.cname(name, is_fresh=True)
    else:
        answer = await resolver.txt(name, is_fresh=True)
    values = tuple(f"{mx.preference} {mx.host}" for mx in answer.mx) if kind == "MX" else answer.texts
    return Seen(values, answer.status is not Status.TEMPORARY, answer.status is not Status.NO_DOMAIN)


def _row(one: Diagnosis) -> Row:
    record = one.record
    return {"name": record.name, "type": record.type, "state": one.verdict.value, "what_to_do": one.advice}
