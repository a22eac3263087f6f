"""What happens when: chores, moods and deaths over a run of any length. Pure, and the same for the same seed.

Growth shows in long lives only, so deaths are early where they would hide it: the notifier is killed, then
the supervisor (in runs that are not short), then all is restarted, when a quarter of the time has passed.
After that supervisor, notifier and worker 0 live to the end; the other workers are killed throughout.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

MOODS = ("hang", "throttle", "bounce", "reset", "wild", "calm")
SHORT_S = 120.0
RESTART = 0.25
_WORKER_EACH_S = 150.0


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """``what`` begins ``at_s`` seconds after the start; those of a time in the past at once."""

    at_s: float
    what: str
    how: str = ""


def plan(seconds: float, seed: int, chores: tuple[str, ...]) -> list[Step]:
    """All steps of a run, in order."""
    chance = random.Random(seed)
    steps = [Step(seconds * RESTART, "restart")]
    if seconds >= SHORT_S:
        steps.append(Step(seconds * 0.17, "kill supervisor"))
        steps.append(Step(seconds * 0.05, "kill notifier"))
    steps.append(Step(seconds * 0.12, "kill notifier"))
    workers = max(1, round(seconds / _WORKER_EACH_S))
    steps += [Step(seconds * (0.1 + 0.8 * at / workers), "kill worker") for at in range(workers)]
    for what, share in (("mood", 20), ("narrow", 15), ("topic", 12)):
        every_s = min(max(seconds / share, 2.0), 20.0)
        for at in range(1, int(seconds / every_s)):
            how = chance.choice(MOODS) if what == "mood" else ""
            steps.append(Step(at * every_s + chance.uniform(0.0, 1.0), what, how))
    every_s = min(max(seconds / 30, 2.0), 10.0)
    order = list(chores)
    for at in range(1, int(seconds / every_s)):
        if at % len(order) == 1:
            chance.shuffle(order)
        steps.append(Step(at * every_s, "chore", order[at % len(order)]))
    return sorted(steps)
