"""``python -m bench.soak --minutes 10``: everything at once for so long; the last line is JSON.

A relay with several workers takes mail of all sizes from clients of every kind, good and bad; its receivers
hang, throttle, bounce, break off, die and come back; an administrator reloads, renews, steers and looks; its
processes are killed and restarted. Memory, descriptors and threads of every process are sampled all the time.
At the end the queue drains, and then must hold:

- every recipient that was promised has its message, or its sender has a report;
- what came twice is listed by ``relay queue uncertain``; all of it was whole;
- a topic heard of everything once or, with the same id, twice; the statistics have each event once;
- no process grew (see ``bench.soak.report``), and no file is left over.

Exit status 1 otherwise, and the folder with ledgers, log, spool and ``samples.csv`` is kept; it is kept in
any case if ``--folder`` names it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import shutil
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from bench.soak.report import missed, table
from bench.soak.run import Soak


async def _until_told(soak: Soak) -> dict[str, Any]:
    """Run; SIGTERM ends it as Ctrl-C does, and with it all that it has started."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await soak.run(partial(print, file=sys.stderr, flush=True))


def main() -> int:
    """Run, print, say by the exit status whether all was as it must be."""
    options = argparse.ArgumentParser(description="Endurance: everything at once, for a while.")
    options.add_argument("--minutes", type=float, default=10.0)
    options.add_argument("--rate", type=float, default=80.0, help="messages a second over all clients")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options.add_argument("--folder", type=Path, help="where to work; kept")
    given = options.parse_args()
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of what we write to who has gone
    folder = given.folder or Path(tempfile.mkdtemp(prefix="relay-soak-"))
    print(f"seed {given.seed}, folder {folder}", file=sys.stderr, flush=True)
    soak = Soak(folder, given.minutes * 60, given.rate, given.workers, given.seed)
    try:
        found = asyncio.run(_until_told(soak))
    except (asyncio.CancelledError, KeyboardInterrupt):
        print(f"ended before its time; what there is of it is in {folder}", file=sys.stderr)
        return 130
    wrong = missed(found)
    print(table(found["lives"]))
    if not wrong and given.folder is None:
        shutil.rmtree(folder)
    found |= {"seed": given.seed, "missed": wrong, "good": not wrong}
    (folder / "result.json").write_text(json.dumps(found, indent=1)) if folder.exists() else None
    print(json.dumps(found))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
