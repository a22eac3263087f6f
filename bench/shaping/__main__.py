"""``python -m bench.shaping``: every scenario, a table, and a last line of JSON. Seconds of CPU."""

from __future__ import annotations

import json
import time
from dataclasses import asdict

from bench.shaping.scenarios import SCENARIOS, Figures, play


def row(one: Figures) -> str:
    """A line of the table."""
    of_cap = "" if one.of_cap is None else f"{one.of_cap:.0%}"
    return (
        f"{one.name:34}{one.workers:3}{one.taken_per_s:9.2f}{of_cap:>7}{one.slowed:9.2%}{one.first_slowed:8}"
        f"{one.not_connected:8}{one.probes:8}   {' '.join(map(str, one.open_by_tenth))}"
    )


def main() -> None:
    """Play and print."""
    print("up to an hour of virtual time; slowed: answers that asked for less, of all, after settling\n")
    print(
        f"{'receiver':34}{'w':>3}{'taken/s':>9}{'of cap':>7}{'slowed':>9}"
        f"{'before':>8}{'refused':>8}{'probes':>8}"
        "   connections at once, by tenths of the time"
    )
    results = []
    began = time.process_time()
    for scenario in SCENARIOS:
        figures = play(scenario)
        print(row(figures), flush=True)
        results.append({k: v for k, v in asdict(figures).items() if k != "minutes"})
    print(json.dumps({"scenarios": results, "cpu_s": round(time.process_time() - began, 2)}))


if __name__ == "__main__":
    main()
