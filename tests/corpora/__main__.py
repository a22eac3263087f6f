"""``python -m tests.corpora``: the figures on the corpus of bounces as a table, with what is wrong.

``--mutations N`` reads so many damaged mails besides (``mutated``). Exit status 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import random
import sys

from relay.codec.report import read
from tests.corpora.bounces import BARS, FOLDER, mails, measure, misses, never_hard, variants
from tests.corpora.mutated import trouble

_FIGURES = ("kind", "recipients", "statuses", "both", "hard", "not wrongly hard", "replies")


def main() -> int:
    """Print the table, what is wrong, and which bars are missed."""
    options = argparse.ArgumentParser(description="How well bounces are read.")
    options.add_argument("--mutations", type=int, default=2_000, help="read so many damaged mails besides")
    options.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    given = options.parse_args()
    if not FOLDER.is_dir():
        print(f"no corpus in {FOLDER}", file=sys.stderr)
        return 1
    found = measure()
    print(f"{'':<18} {'mails':>5} {'of':>4}  " + "  ".join(f"{figure:>10}" for figure in _FIGURES))
    for name, figures in sorted(found.items()):
        cells = [f"{figures.percent(f):8.1f} %" if f in figures.right else f"{'-':>10}" for f in _FIGURES]
        print(f"{name:<18} {figures.mails:>5} {figures.of:>4}  " + "  ".join(cells))
    print("\nbars: " + "; ".join(f"{name}, {figure}: {least:.0f} %" for name, figure, least in BARS))
    for name, figures in sorted(found.items()):
        for line in figures.wrong:
            print(f"  {name}: {line}")
    unequal = [name for name, content in mails().items() if len({read(one) for one in variants(content)}) > 1]
    wrong = misses(found)
    wrong += [f"{name} takes an address out of service" for name in never_hard()]
    wrong += [f"{name} reads differently with other line ends" for name in unequal]
    wrong += trouble(range(given.seed, given.seed + given.mutations))
    print(f"\n{given.mutations} damaged mails from seed {given.seed}")
    print("\n".join([f"MISSED  {line}" for line in wrong]) or "all bars are reached")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
