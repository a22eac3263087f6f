"""Whether systemd's watchdog is to be fed: a decision, pure.

The supervisor's event loop asks, so that one that hangs asks no more. It feeds as long as every worker that
runs touches the board, or is being mended: one that has been silent for [workers] heartbeat gets SIGABRT,
then SIGKILL, and its successor the time to start. The watchdog bites where that did not help: a process that
even SIGKILL does not end, or a supervisor that lost sight of one.

A worker that is not there, because it died and waits for its next start, hinders nothing: it is tried again
for ever, and to end those that work would mend nothing. Neither does the notifier, on which no mail depends.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from relay.daemon.supervisor.child import FIRST_BEAT_S, GRACE_S

MEND_S = GRACE_S + 10.0  # for both signals, a watch once a second, and a machine that is busy


@dataclass(frozen=True, slots=True)
class Pulse:
    """One worker, by the monotonic clock: when its process was started (None: there is none), and when its
    event loop touched the board last (0: not yet in this life)."""

    number: int
    started_at: float | None
    last_beat: float = 0.0


def silent_s(pulse: Pulse, now: float) -> float:
    """For how long nothing has been heard of it."""
    return 0.0 if pulse.started_at is None else now - max(pulse.started_at, pulse.last_beat)


def beyond_mending(pulses: Iterable[Pulse], now: float, heartbeat_s: float) -> list[int]:
    """The workers whose silence the supervisor should have ended by now: feed only if there are none."""
    found = []
    for pulse in pulses:
        limit_s = heartbeat_s if pulse.last_beat else max(heartbeat_s, FIRST_BEAT_S)
        if silent_s(pulse, now) > limit_s + MEND_S:
            found.append(pulse.number)
    return found
