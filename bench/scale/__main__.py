"""``python -m bench.scale [PART ...]``: very much of something; the last line is JSON.

Parts, all of them if none is named:

waiting    a million recipients due in ten hours: memory, idle CPU, a look for what is due, the start, and
           fresh mail beside them
sites      ten thousand sites at once
dead       a hundred dead sites beside a live one
password   a one-time password behind two hundred thousand campaign messages to the same site

``--quick`` (or QUICK=1) takes a hundredth of each. Exit status 1 if a bar is missed; at small sizes and on a
machine that does other things the bars of speed say little.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from bench.scale import dead_sites, many_sites, password, waiting

Run = Callable[[Path], Coroutine[Any, Any, dict[str, Any]]]
Judge = Callable[[dict[str, Any]], dict[str, bool]]


def parts(share: float) -> dict[str, tuple[Run, Judge]]:
    """Every part at this share of its size."""

    def of(count: int, least: int = 1) -> int:
        return max(least, int(count * share))

    return {
        "waiting": (
            partial(
                waiting.run, count=of(1_000_000, 1000), fresh=of(30_000, 1000), rest_s=max(1, 20 * share)
            ),
            waiting.is_good,
        ),
        "sites": (partial(many_sites.run, count=of(10_000, 50), per_site=10), many_sites.is_good),
        "dead": (
            partial(dead_sites.run, dead=of(100, 12), backlog=of(500, 20), fresh=of(30_000, 1000)),
            dead_sites.is_good,
        ),
        "password": (
            partial(
                password.run,
                campaign=of(200_000, 20_000),
                passwords=max(2, of(10)),
                patience_s=max(5, 30 * share),
            ),
            password.is_good,
        ),
    }


def main() -> int:
    """Run, print, say by the exit status whether all bars are met."""
    options = argparse.ArgumentParser(description="Very much of something.")
    options.add_argument("parts", nargs="*", help="waiting, sites, dead, password; all if none is named")
    options.add_argument("--share", type=float, default=1.0, help="of the full sizes")
    options.add_argument("--quick", action="store_true", help="a hundredth of the full sizes")
    options.add_argument("--folder", type=Path, help="where to work; kept")
    given = options.parse_args()
    share = 0.01 if given.quick or os.environ.get("QUICK") else given.share
    known = parts(share)
    if unknown := set(given.parts) - known.keys():
        options.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    folder = given.folder or Path(tempfile.mkdtemp(prefix="relay-scale-"))
    figures: dict[str, Any] = {"share": share}
    is_good = True
    for name in given.parts or known:
        run, judge = known[name]
        found = asyncio.run(run(folder / name))
        bars = judge(found)
        is_good &= all(bars.values())
        figures[name] = {**found, "missed": [bar for bar, is_met in bars.items() if not is_met]}
        print(f"{name}: {json.dumps(figures[name], indent=2)}", flush=True)
        if given.folder is None:
            shutil.rmtree(folder / name)
    if given.folder is None:
        shutil.rmtree(folder)
    print(json.dumps({**figures, "good": is_good}))
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
