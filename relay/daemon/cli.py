"""The command ``relay``.

``--config FILE`` (or RELAY_CONFIG) names the configuration for every subcommand. Errors are one line on
standard error that names the fix; exit status 0 for done, 1 for not done, 2 for a wrong call, 78 for a
configuration that cannot be used; ``send`` has the statuses of sysexits.

``send`` and the workers start without loading what only the other subcommands need.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

EX_CONFIG = 78


def main() -> None:
    """Run the command line."""
    words = sys.argv[1:]
    if words[:1] == ["worker"]:
        from relay.daemon import worker

        sys.exit(worker.main())
    if words[:1] == ["send"]:
        from relay.daemon.commands import send

        sys.exit(send.main(words[1:]))
    _app()


def _app() -> None:
    import typer

    from relay.daemon.commands import (
        account,
        credential,
        demo,
        events,
        identity,
        init,
        queue,
        running,
        send,
    )

    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        help="A standalone mail relay: accepts, promises on disk, signs, delivers, and tells.",
    )

    @app.callback()
    def options(
        config: Annotated[
            Path | None,
            typer.Option(
                "--config", "-c", envvar="RELAY_CONFIG", help="The configuration file.", show_default=False
            ),
        ] = None,
    ) -> None:
        if config is not None:
            os.environ["RELAY_CONFIG"] = str(config.absolute())

    app.command("run")(running.run)
    app.command("reload")(running.reload)
    app.command("status")(running.status)
    app.command("init")(init.init)
    app.command("demo")(demo.demo)
    app.add_typer(running.config_app, name="config")
    app.add_typer(account.app, name="account")
    app.add_typer(credential.app, name="credential")
    app.add_typer(identity.app, name="identity")
    app.add_typer(queue.app, name="queue")
    app.add_typer(events.app, name="events")
    app.command("send", add_help_option=False, context_settings={"ignore_unknown_options": True})(
        send.described
    )
    app()
