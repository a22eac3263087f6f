"""The command ``relay``: where it starts.

``send``, the workers and the notifier start without loading what only the other subcommands need
(``commands.app``): a program that sends one message should not wait for the loading of a database library.
"""

from __future__ import annotations

import gc
import sys

# Loading makes hundreds of thousands of objects that stay: at CPython's default of (700, 10, 10) the
# collector went through them again and again, which was a tenth of the start of each process.
_COLLECT = (20_000, 50, 100)


def main() -> None:
    """Run the command line."""
    gc.set_threshold(*_COLLECT)
    words = sys.argv[1:]
    if words[:1] == ["worker"]:
        from relay.daemon.worker import worker

        sys.exit(worker.main())
    if words[:1] == ["notifier"]:
        from relay.daemon.notifier import notifier

        sys.exit(notifier.main())
    if words[:1] == ["send"]:
        from relay.daemon.commands import send

        sys.exit(send.main(words[1:]))
    from relay.daemon.commands.app import app

    app()
