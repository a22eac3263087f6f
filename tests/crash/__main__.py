"""``python -m tests.crash --rounds 100``: the proof of ``rounds``, with its result as JSON on the last line.

Exit status 1 when something that had its 250 did not arrive, when a message arrived twice that is not listed
as uncertain, or when anything else went wrong; the folder with ledgers, spool and log is then kept.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.crash.rounds import run


def main() -> int:
    """Run, print, say by the exit status whether the promise held."""
    options = argparse.ArgumentParser(description="Kill a relay under load, again and again.")
    options.add_argument("--rounds", type=int, default=100)
    options.add_argument("--connections", type=int, default=8)
    options.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options.add_argument("--folder", type=Path, help="where to work; kept")
    given = options.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="relay-crash-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"seed {given.seed}, folder {folder}", flush=True)
    result = asyncio.run(run(folder, given.rounds, given.seed, given.connections))
    if result.is_good and given.folder is None:
        shutil.rmtree(folder)
    print(json.dumps({**asdict(result), "good": result.is_good, "seed": given.seed}))
    return 0 if result.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
