"""The notifier, beside a relay that runs."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from relay.daemon.notifier.notifier import pass_over_closed
from tests.daemon.conftest import StartRelay
from tests.fakes.prepared import wait_until


def test_it_comes_back_when_it_is_killed_and_ends_with_the_relay(start_relay: StartRelay) -> None:
    relay = start_relay(workers=1)

    def ready_other_than(pid: int) -> Callable[[], int]:
        def look() -> int:
            return next((one for one in relay.pids_below("notifier") if one != pid and relay_says_ready()), 0)

        return look

    def relay_says_ready() -> bool:
        return bool(relay.ask("status")["notifier"]["ready"])

    first = wait_until(ready_other_than(0), "the notifier is ready")
    assert "relay_notifier_up 1.0" in relay.http("/metrics")[1]
    os.kill(first, signal.SIGKILL)
    second = wait_until(ready_other_than(first), "another notifier is ready")
    assert "relay_notifier_restarts_total 1.0" in relay.http("/metrics")[1]
    assert second != first
    assert os.getpriority(os.PRIO_PROCESS, second) > os.getpriority(os.PRIO_PROCESS, relay.worker_pids()[0])
    group = Path(f"/proc/{second}/autogroup")
    assert not group.exists() or not group.read_text().rstrip().endswith(" nice 0")
    relay.command("reload")
    assert relay.ask("status")["notifier"]["ready"]
    relay.stop()
    assert not os.path.exists(f"/proc/{second}")


@pytest.mark.parametrize(
    ("error", "count"),
    [(RuntimeError("unable to write; the handler is closed"), 0), (RuntimeError("a bug"), 1), (None, 1)],
)
async def test_only_what_uvloop_says_of_closed_connections_is_passed_over(
    error: Exception | None, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    context = {"message": "Fatal error on SSL protocol"} | ({"exception": error} if error else {})
    pass_over_closed(asyncio.get_running_loop(), context)
    assert len([one for one in caplog.records if one.levelname == "ERROR"]) == count


@pytest.mark.parametrize(
    ("message", "error", "count"),
    [
        ("Future exception was never retrieved", ConnectionResetError(), 0),
        ("Future exception was never retrieved", ValueError(), 1),
        ("Task exception", ConnectionResetError(), 1),
    ],
)
async def test_a_handshake_that_nobody_waits_for_may_break_off(
    message: str, error: Exception, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    pass_over_closed(asyncio.get_running_loop(), {"message": message, "exception": error})
    assert len([one for one in caplog.records if one.levelname == "ERROR"]) == count
