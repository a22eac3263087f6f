"""``relay init``: a first configuration, ready to run."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated

import typer

from relay.base.errors import RelayError
from relay.daemon import first


def init(
    folder: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("/etc/relay"),
    hostname: Annotated[
        str, typer.Option(help="Our name, as it stands in DNS.", show_default="the machine's")
    ] = "",
    listen: Annotated[
        str, typer.Option(help="Address to listen on.", show_default="all, of IPv4 and of IPv6")
    ] = "",
    user: Annotated[
        str,
        typer.Option(help="The user the relay will run as; what is made belongs to it.", show_default="us"),
    ] = "",
    high_ports: Annotated[
        bool, typer.Option("--high-ports", help="2587 and 2465 in place of 587 and 465; needs no root.")
    ] = False,
) -> None:
    """Write a first configuration: relay.toml, keys, a certificate that signs itself, an empty directory.

    For /etc/relay, what changes is kept in /var/lib/relay (directory, key) and /var/spool/relay (mail).
    """
    is_system = folder.absolute() == Path("/etc/relay")
    plus = 2000 if high_ports else 0
    hosts = (listen,) if listen else first.all_addresses()
    choices = first.Choices(
        hostname=hostname or socket.getfqdn(),
        starttls=tuple(f"{host}:{587 + plus}" for host in hosts),
        wrapper=tuple(f"{host}:{465 + plus}" for host in hosts),
        state=Path("/var/lib/relay") if is_system else None,
        spool=Path("/var/spool/relay") if is_system else None,
        user=user,
    )
    try:
        file = first.make(folder, choices)
    except (RelayError, OSError) as error:
        typer.echo(f"relay: {error}", err=True)
        raise typer.Exit(1) from None
    option = "" if file == Path("/etc/relay/relay.toml") else f"--config {file} "
    typer.echo(f"""wrote {file}

next:
  relay {option}account create NAME --contact postmaster@your.domain
  relay {option}credential create NAME            prints the SMTP user name and password, once
  relay {option}identity add NAME your.domain     prints the records to publish for it
  relay {option}identity zone --bind              prints those to publish for {choices.hostname}
  relay {option}run                               looks for them in the DNS and follows what it finds
  relay {option}identity check your.domain        says what is found, missing or wrong
  relay {option}identity verify your.domain       or takes your word for it""")
