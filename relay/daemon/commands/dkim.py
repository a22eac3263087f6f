"""``relay identity`` and DKIM: keys in turn, on and off, keys of the owner's own, the service domain's zone.

``rotate`` asks the DNS itself and needs no relay that runs: it says at once whether the keys could be turned,
and if not, which record is missing. A relay that runs follows within a second. Turns by age are made by the
running relay ([signing] rotate_every).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from relay.base.clock import SystemClock
from relay.base.errors import DirectoryError
from relay.daemon.commands.directory import opened
from relay.daemon.commands.rows import moment, print_rows
from relay.daemon.duties.dkim_watch import look
from relay.daemon.settings.config import Config, load
from relay.daemon.translate import dkim_pace, endpoint_text
from relay.daemon.worker.publication import dkim_records
from relay.directory.dkim_keys import Dkim
from relay.directory.dkim_life import Sight
from relay.directory.dkim_records import service_zone
from relay.directory.dkim_rotation import turn
from relay.directory.keys import ED25519, RSA
from relay.directory.published import Record, zone_line
from relay.directory.records import KeyState, RecordState
from relay.directory.store import Directory
from relay.transport.resolve import Resolver

ZONE_TTL_S = 3600  # a selector's next key is used two days after it was made: caches have forgotten by then

Domain = Annotated[str, typer.Argument(metavar="DOMAIN", help="example.org")]
Account = Annotated[str | None, typer.Option(help="Its account, where several hold the same name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AsZone = Annotated[bool, typer.Option("--bind", help="As lines of a zone file.")]
OnWord = Annotated[
    bool, typer.Option("--verified", help="Sign with the new keys at once: their records are there.")
]


class Switch(StrEnum):
    """On or off."""

    ON = "on"
    OFF = "off"


def rotate(name: Domain, account: Account = None) -> None:
    """Let the next DKIM key of a domain sign, if its record is in the DNS; the old one stays published."""
    with _with_config() as (config, directory):
        before = directory.dkim.of(name, account)
        domain = before.identity.name
        if before.standing.state is not RecordState.VERIFIED:
            raise DirectoryError(
                f"DKIM of {domain} is {before.standing.state.value or 'not set up'}: only keys that sign can "
                f"be turned; see `relay identity check {domain}`"
            )
        sights = {number: sight for number, (sight, _) in asyncio.run(_look(config, before)).items()}
        now = SystemClock().now()
        pace = dkim_pace(config)
        done = turn(before.keys, sights, now, pace, is_asked=True)
        if not done.promote:
            raise DirectoryError(f"the keys of {domain} stay as they are: {done.remark}")
        if not directory.dkim.apply(before, before.standing, done, before.next_check_at):
            raise DirectoryError(f"the keys of {domain} have just been changed: try again")
        names = {key.id: key.selector for key in before.keys}
        for number in done.promote:
            typer.echo(f"{names[number]} signs from now on")
        for number in done.retire:
            typer.echo(
                f"{names[number]} is retired; keep its record until {moment(now + pace.retired_for_s)}"
            )
        if done.remark:
            typer.echo(f"relay: {done.remark}", err=True)


def switch(
    state: Annotated[Switch, typer.Argument(help="on or off")],
    name: Annotated[str, typer.Argument(help="example.org or name@example.org")],
    account: Account = None,
) -> None:
    """Switch DKIM on or off for an identity; an address has its own switch. On also begins again."""
    with opened() as directory:
        held = directory.identities.set_dkim(name, state is Switch.ON, account)
        typer.echo(f"DKIM is {state.value} for {held.identity.name}")
        if state is Switch.ON and held.identity.dkim_state is RecordState.PENDING:
            typer.echo(f"Mail is signed when its records are found: relay identity records {name}", err=True)


def import_key(
    name: Domain,
    selector: Annotated[str, typer.Option(help="The selector under which you publish the key.")],
    file: Annotated[Path, typer.Option(help="The private key: PEM, RSA or Ed25519, without a passphrase.")],
    account: Account = None,
    is_verified: OnWord = False,
) -> None:
    """Sign with a key of your own. The keys before it sign until its record is found."""
    with opened() as directory:
        try:
            pem = file.read_bytes()
        except OSError as error:
            raise DirectoryError(f"{file}: {error.strerror}") from error
        dkim = directory.dkim.import_key(name, selector, pem, account=account, is_verified=is_verified)
        _print_replacement(dkim, dkim_records(directory, load(None), name, account))


def easy_dkim(
    name: Domain,
    account: Account = None,
    bits: Annotated[int, typer.Option("--bits", help="Size of the RSA keys.")] = 2048,
    ed25519: Annotated[bool, typer.Option("--ed25519", help="Sign with an Ed25519 key as well.")] = False,
    is_verified: OnWord = False,
) -> None:
    """Make new DKIM keys for a domain: back from a key of its own, or of another size or algorithm."""
    with opened() as directory:
        algorithms = (RSA, ED25519) if ed25519 else (RSA,)
        dkim = directory.dkim.make_keys(
            name, algorithms=algorithms, bits=bits, account=account, is_verified=is_verified
        )
        _print_replacement(dkim, dkim_records(directory, load(None), name, account))


def list_keys(
    name: Domain,
    account: Account = None,
    is_asking: Annotated[bool, typer.Option("--check", help="Ask the DNS what it has of each.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the DKIM keys of a domain, and what each does."""
    with _with_config() as (config, directory):
        dkim = directory.dkim.of(name, account)
        seen = asyncio.run(_look(config, dkim)) if is_asking else {}
        rows = [
            {
                "selector": key.selector,
                "algorithm": key.algorithm,
                "state": "leaving" if key.is_leaving and key.state is KeyState.ACTIVE else key.state.value,
                "origin": key.origin.value,
                "since": moment(key.changed_at),
                **({"dns": seen[key.id][1] or "as it should be"} if is_asking else {}),
            }
            for key in dkim.keys
        ]
        print_rows(
            rows, as_json=as_json, nothing=f"no keys; make some with `relay identity easy-dkim {name}`"
        )


def zone(as_zone: AsZone = False, as_json: AsJson = False) -> None:
    """Print what belongs into the zone of the service domain: the TXT record of every token."""
    with _with_config() as (config, directory):
        service_domain = config.signing.service_domain
        if not service_domain:
            raise DirectoryError(
                "[signing] service_domain is empty: owners publish the keys themselves; "
                "see `relay identity records DOMAIN`"
            )
        made = service_zone(directory.dkim.published(), service_domain)
        if as_zone and not as_json:
            typer.echo(f"$TTL {ZONE_TTL_S}")
            for record in made:
                typer.echo(zone_line(record))
        else:
            rows = [{"name": r.name, "type": r.type, "value": r.value, "domain": r.why} for r in made]
            print_rows(rows, as_json=as_json, nothing="no keys; add a domain with `relay identity add`")


@contextmanager
def _with_config() -> Iterator[tuple[Config, Directory]]:
    with opened() as directory:
        yield load(None), directory


async def _look(config: Config, dkim: Dkim) -> dict[int, tuple[Sight, str]]:
    delivery = config.delivery
    async with AsyncExitStack() as stack:
        resolver = Resolver(SystemClock(), endpoint_text(delivery.resolver), delivery.resolver_timeout)
        await resolver.start(stack)
        return await look(resolver, dkim.public)


def _print_replacement(dkim: Dkim, made: Sequence[Record]) -> None:
    """What to publish of the keys that are to sign; leaving ones are published already."""
    new = {public.name for key, public in zip(dkim.keys, dkim.public, strict=True) if not key.is_leaving}
    typer.echo("Publish in DNS:\n")
    for record in made:
        if record.name in new:
            typer.echo(zone_line(record))
    if any(key.is_leaving and key.state is KeyState.ACTIVE for key in dkim.keys):
        typer.echo("\nThe keys before sign until these records are found; leave their records in place.")
    elif dkim.standing.state is RecordState.PENDING:
        typer.echo("\nMail is signed when these records are found.")
