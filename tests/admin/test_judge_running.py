"""What is said of a relay that runs, as a table of its answers."""

from typing import Any

import pytest

from relay.admin.finding import Level
from relay.admin.judge_running import judge_running

NOW = 1_800_000_000.0
READING: dict[str, Any] = {
    "spool_failing": False, "spool_full": False, "directory_stale": False, "suppression_loaded": True,
    "corrupt": 0, "uncertain_found": 0, "client_sessions": 10, "sites": 8, "sites_down": 0,
         "sites_probing": 0,
}  # fmt: skip
NOTIFIER = {"ready": True, "behind": {"statistics": 12}, "topics_dropped": 0, "statuses": {"shop": 0}}
WELL: dict[str, Any] = {
    "ready": {"0": True, "1": True}, "readings": {"0": READING, "1": READING}, "notifier": NOTIFIER,
    "version": "1.0", "started_at": NOW - 7200, "draining": False, "restarts": {"0": 0, "1": 0},
    "last_reload": None, "sites": [], "stopped": {},
}  # fmt: skip


def judged(**changed: Any) -> list[tuple[Level, str, str, str]]:
    answer = {**WELL, **changed}
    found = judge_running(answer, NOW, spool="/s", installed="1.0", connections=100, service="relay")
    return [(one.level, one.about, one.seen, one.publish) for one in found]


def reading(**changed: Any) -> dict[str, Any]:
    return {"readings": {"0": {**READING, **changed}, "1": READING}}


def test_where_all_is_well_there_is_nothing_to_say() -> None:
    assert judged() == []
    assert list(judge_running({}, NOW, spool="/s", installed="1.0")) == []  # an answer that tells nothing


DOWN = {"site": "mx.a", "state": "down", "why": "connect: refused", "retry_in_s": 30.0}


@pytest.mark.parametrize(
    ("changed", "level", "said", "fix"),
    [
        ({"draining": True}, Level.PROBLEM, "it drains", "start it again"),
        ({"ready": {"0": True, "1": False}}, Level.PROBLEM, "worker 1 of 2 is not ready",
         "journalctl -u relay"),
        ({"readings": {"0": READING}}, Level.WARNING, "worker 1 does not answer", "ask again"),
        ({"restarts": {"0": 1, "1": 0}}, Level.NOTE, "anew 1 times", "worker died"),
        ({"restarts": {"0": 2, "1": 2}}, Level.WARNING, "anew 4 times", "worker died"),
        (reading(spool_failing=True), Level.PROBLEM, "refuses to be written", "dmesg"),
        (reading(spool_full=True), Level.PROBLEM, "the disk reserve of /s is reached",
         "[spool] disk_reserve"),
        (reading(corrupt=2), Level.WARNING, "2 damaged", "corrupt/ in /s"),
        (reading(uncertain_found=3), Level.NOTE, "of 3 recipients", "relay queue uncertain"),
        (reading(directory_stale=True), Level.PROBLEM, "cannot be read", "[directory] url"),
        (reading(suppression_loaded=False), Level.WARNING, "not in memory", "journalctl"),
        ({"limits": {"account_quota": {"shop": 100, "x": 9}, "account_sent": {"shop": 100, "x": 1}}},
         Level.WARNING, "shop has used up its quota: 100 of 100", "relay account set shop"),
        ({"limits": {"account_quota": {"shop": 100}, "account_sent": {"shop": 81}}}, Level.NOTE,
         "nearly used up its quota: 81 of 100", "relay account quota shop"),
        (reading(client_sessions=85), Level.WARNING, "95 of 100", "[limits] connections"),
        ({"last_reload": {"at": NOW - 60, "ok": False, "why": "x: y\nmore", "by": "root"}}, Level.PROBLEM,
         "the reload 1 min ago was refused, the old configuration is in force: x: y", "relay config check"),
        ({"notifier": {**NOTIFIER, "ready": False}}, Level.PROBLEM, "the notifier does not run",
         "journalctl"),
        ({"notifier": {**NOTIFIER, "behind": {"topics": 10_001}}}, Level.WARNING,
         "topics is 10,001 events", ""),
        ({"notifier": {**NOTIFIER, "consumer_behind": {"crm": 7, "relay/x": 9},
                       "consumer_behind_seconds": {"crm": 90_000.0, "relay/x": 90_000.0, "new": 5.0}}},
         Level.NOTE, "consumer crm has not read 7 events, the oldest for 1 d 1 h", "relay events forget crm"),
        ({"notifier": {**NOTIFIER, "topics_dropped": 1}}, Level.WARNING, "1 topics", "relay topic activate"),
        ({"notifier": {**NOTIFIER, "statuses": {"shop": 2}}}, Level.WARNING, "shop is under review",
         "--account shop"),
        ({"version": "0.9"}, Level.WARNING, "version 0.9 runs, 1.0 is installed", "systemctl restart relay"),
        ({**reading(sites_down=1), "sites": [DOWN]}, Level.NOTE,
         "1 of 16 sites are down: mx.a: connect: refused, again in 30 s", "relay queue sites"),
        ({**reading(sites_down=9), "sites": [DOWN]}, Level.WARNING, "most sites are down: mx.a",
         "--outbound"),
        ({**reading(sites_probing=16), "sites": []}, Level.WARNING, "all sites are down",
         "relay queue sites"),
        ({"stopped": {"paused": [["shop", "bounces"]], "paused_count": 1}}, Level.NOTE,
         "account shop is paused: bounces", "relay account resume shop"),
        ({"stopped": {"suspended": [["domain", "x.example", "", 0.0]], "suspended_count": 1}}, Level.NOTE,
         "deliveries to domain x.example are suspended", "relay queue resume --domain x.example"),
    ],
)  # fmt: skip
def test_each_trouble_is_named_with_what_mends_it(
    changed: dict[str, Any], level: Level, said: str, fix: str
) -> None:
    (found,) = judged(**changed)
    assert found[0] is level
    assert said in found[2]
    assert fix in found[3]


def test_of_many_that_are_stopped_a_few_are_named() -> None:
    paused = [[f"a{n}", ""] for n in range(10)]
    found = judged(stopped={"paused": paused, "paused_count": 500, "suspended": [], "suspended_count": 0})
    assert len(found) == 4
    assert found[-1][2] == "497 more accounts are paused"


def test_a_relay_that_has_just_started_is_given_time() -> None:
    young = {"started_at": NOW - 3, "notifier": {"ready": False}, **reading(suppression_loaded=False)}
    assert judged(**young) == []
