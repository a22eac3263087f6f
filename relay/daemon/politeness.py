"""How much of the processor a process leaves to others: its nice value, and that of its session.

Contract: ``set_nice`` asks the kernel; a refusal is none of the caller's concern. Where the kernel shares the
processor out by session (autogroups), a nice value counts only within the session, and that of the session
outside; whoever owns a process may set the latter to anything from 0 on, back and forth. The value of the
process itself anybody may raise, but only root lower, or who has RLIMIT_NICE (LimitNICE= of a unit): that is
the one that counts within a control group, as of systemd (sched(7), setpriority(2)).

``Politeness`` gives way to others, but not for ever: a process that hardly runs for minutes, since the
machine has other work all the time, becomes less nice by and by, until it has its share; and nicer again when
it does run. ``starved_for`` and ``nice_for`` decide.

Cost: one small file of /proc is read once a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os

log = logging.getLogger(__name__)

# A thirtieth of what others get of a busy core; each step is three times as much as the one before. What the
# news of a relay at full speed needs is little: with 10, the latency of accepting mail suffers; with 19, they
# stand still. A peak of a minute changes nothing.
NICE = 15
_STEPS = ((60.0, NICE), (180.0, 10), (600.0, 5))
_MOST_S = 900.0
_LOOK_S = 1.0


def starved_for(before_s: float, elapsed_s: float, waited_s: float) -> float:
    """For how long it has hardly run: it waited for a processor most of the time. Time in which it ran pays
    for as much in which it did not."""
    change_s = elapsed_s if waited_s > elapsed_s / 2 else -elapsed_s
    return min(max(before_s + change_s, 0.0), _MOST_S)


def nice_for(starved_s: float) -> int:
    """The nice value of one that has hardly run for so long."""
    return next((nice for until_s, nice in _STEPS if starved_s < until_s), 0)


def set_nice(nice: int, pid: int | None = None) -> None:
    """Set it for a process and its session; our own if ``pid`` is None."""
    with contextlib.suppress(OSError):  # it is gone; or is to be less nice, for which one needs a permission
        os.setpriority(os.PRIO_PROCESS, pid or 0, nice)
    # there are no autogroups; it is gone; or it has been changed in this tenth of a second
    with contextlib.suppress(OSError), open(f"/proc/{pid or 'self'}/autogroup", "w") as stream:
        stream.write(str(nice))


class Politeness:
    """Of the process that makes it. State: for how long it has hardly run."""

    def __init__(self) -> None:
        self.nice = NICE
        self._starved_s = 0.0
        self._waited_s = 0.0

    def begin(self) -> None:
        """Be nice."""
        set_nice(self.nice)
        self._waited_s = waited_s()

    def end(self) -> None:
        """Give way no more: what is to end soon has to run."""
        set_nice(0)

    async def keep(self) -> None:
        """Look once a second, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(_LOOK_S)
            self.look(loop.time() - before, waited_s())

    def look(self, elapsed_s: float, waited_s: float) -> None:
        """So much time has gone by; ``waited_s``: how long it has waited for a processor, in its life."""
        self._starved_s = starved_for(self._starved_s, elapsed_s, waited_s - self._waited_s)
        self._waited_s = waited_s
        nice = nice_for(self._starved_s)
        if nice != self.nice:
            log.info("gives way to others otherwise", extra={"nice": nice, "before": self.nice})
            self.nice = nice
            set_nice(nice)


def waited_s() -> float:
    """How long the main thread has waited for a processor, in its life; 0 where the kernel does not say."""
    try:
        with open("/proc/self/schedstat") as stream:
            return int(stream.read().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0
