"""Why no relay answers, as a table of what is known."""

import pytest

from relay.admin.host_facts import LastLife, Unit
from relay.admin.judge_stopped import Stopped, judge_stopped

NOW = 1_800_000_000.0
START = NOW - 7200
UNIT = Unit("relay", "failed", "exit-code", 78)


def life(ended: float = 0.0, status: int = 0, why: str = "") -> LastLife:
    return LastLife(START, ended, status, why, "1.0")


@pytest.mark.parametrize(
    ("stopped", "said", "fix"),
    [
        (Stopped("/s"), "it has not run with this configuration", "start it: `relay run`"),
        (Stopped("/s", is_hidden=True), "why, this user may not see", "start it: `relay run`"),
        (Stopped("/s", life()), "it was killed, or crashed (it was started 2 h ago", "relay run"),
        (Stopped("/s", life(), booted_at=NOW - 60),
         "the machine went down under it (it was started 2 h ago, the machine 1 min ago)", "relay run"),
        (Stopped("/s", life(NOW - 60, 0, "it was told to end")), "it ended 1 min ago: it was told to", "run"),
        (Stopped("/s", life(NOW - 60, 78, "no such file")),
         "with status 78: the configuration could not be used: no such file", "relay run"),
        (Stopped("/s", life(NOW - 60, 75, "port taken")), "status 75: something was in the way: port", "run"),
        (Stopped("/s", life(NOW - 60, 1, "KeyError")), "with status 1: it failed: KeyError", "relay run"),
        (Stopped("/s", life(), Unit("relay", "failed", "oom-kill", 9)), "memory ran out",
         "start it: `systemctl start relay`; its log: journalctl -u relay -n 50"),
        (Stopped("/s", life(), Unit("relay", "failed", "watchdog", 6)), "watchdog", "systemctl start relay"),
        (Stopped("/s", None, UNIT), "exit status 78", "systemctl start relay"),
        (Stopped("/s", life(), holder=17), "pid 17) holds /s and does not answer", "wait"),
    ],
)  # fmt: skip
def test_why_and_what_now(stopped: Stopped, said: str, fix: str) -> None:
    (found,) = judge_stopped(stopped, NOW)
    assert said in found.seen
    assert fix in found.publish


def test_what_keeps_it_from_starting_comes_with_it() -> None:
    stopped = Stopped("/s", life(), wrong="r.toml: [tls] certificate: gone\nr.toml: [delivery] ca_file: gone")
    first, *rest = judge_stopped(stopped, NOW)
    assert "mend what follows, then `relay run`" in first.publish
    assert [one.seen for one in rest] == stopped.wrong.splitlines()
