"""How a relay that runs says it is."""

from relay.daemon.supervisor import overview
from tests.fakes.prepared import ACCOUNT, message, wait_until
from tests.fakes.running import RunningRelay


def test_a_status_tells_of_now_and_of_lately(running: RunningRelay) -> None:
    before = running.ask("status")
    running.send(message("seen"))
    after = running.ask("status")
    assert after["lately"]["minute"]["accepted"] - before["lately"]["minute"]["accepted"] == 1
    assert after["lately"]["hour"]["accepted"] >= 1
    assert 0 < after["lately"]["hour"]["seconds"] < 3600
    assert (after["draining"], after["restarts"]) == (False, {"0": 0, "1": 0})
    assert running.process is not None
    assert after["pid"] == running.process.pid
    assert after["stopped"] == {"paused": [], "paused_count": 0, "suspended": [], "suspended_count": 0}


def test_top_tells_of_sites_and_accounts(running: RunningRelay) -> None:
    running.send(message("waits"))

    def down() -> list[str]:
        sites = running.ask("top", limit=5)["sites"]
        return [one["why"] for one in sites if one["state"] in ("down", "probing")]

    assert "connect" in wait_until(down, "the next hop that is down is seen")[0]
    answer = running.ask("top", limit=1)
    assert [one["account"] for one in answer["accounts"]] == [ACCOUNT]
    assert len(answer["sites"]) == 1
    assert set(answer["readings"]) == {"0", "1"}
    assert set(overview.REQUESTS) == {"status", "top"}
