"""When systemd's watchdog is fed, case by case."""

import pytest

from relay.daemon.supervisor.child import FIRST_BEAT_S, GRACE_S
from relay.daemon.supervisor.watchdog import MEND_S, Pulse, beyond_mending, silent_s

HEARTBEAT_S = 30.0
NOW = 1000.0
LONGEST_S = HEARTBEAT_S + MEND_S


@pytest.mark.parametrize(
    ("pulse", "is_stuck"),
    [
        (Pulse(0, 1.0, NOW), False),  # alive
        (Pulse(0, 1.0, NOW - HEARTBEAT_S - 1), False),  # silent: the supervisor is about to kill it
        (Pulse(0, 1.0, NOW - LONGEST_S), False),  # it has been killed, and must be gone any moment
        (Pulse(0, 1.0, NOW - LONGEST_S - 0.1), True),  # and is still there
        (Pulse(0, None, 0.0), False),  # it died, and waits for its next start
        (Pulse(0, None, NOW - 500), False),
        (Pulse(0, NOW - 1, 0.0), False),  # it starts
        (Pulse(0, NOW - FIRST_BEAT_S - MEND_S, 0.0), False),  # modules load, for long
        (Pulse(0, NOW - FIRST_BEAT_S - MEND_S - 0.1, 0.0), True),  # it never came to its loop
        (Pulse(0, NOW + 1, 0.0), False),
    ],
)
def test_whom_the_supervisor_could_not_mend(pulse: Pulse, is_stuck: bool) -> None:
    alive = Pulse(1, 1.0, NOW - 0.5)
    assert beyond_mending([alive, pulse], NOW, HEARTBEAT_S) == ([0] if is_stuck else [])


def test_a_worker_may_take_as_long_as_the_heartbeat_to_come_to_its_loop() -> None:
    pulse = Pulse(0, NOW - FIRST_BEAT_S - MEND_S - 0.1)
    assert beyond_mending([pulse], NOW, heartbeat_s=120.0) == []


def test_the_supervisor_has_time_for_both_signals() -> None:
    assert MEND_S > GRACE_S + 2.0  # SIGABRT, its grace, SIGKILL, each at one of the watches of a second


def test_silence_begins_with_the_life_or_the_last_beat() -> None:
    assert silent_s(Pulse(0, 5.0, 8.0), 10.0) == 2.0
    assert silent_s(Pulse(0, 9.0, 8.0), 10.0) == 1.0
    assert silent_s(Pulse(0, None, 8.0), 10.0) == 0.0
