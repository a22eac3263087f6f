"""One word for all of it, and the order of what is said."""

from dataclasses import replace
from typing import Any

import pytest

from relay.admin.finding import Finding, Level
from relay.admin.host_facts import CertificateSeen, DiskSeen
from relay.admin.judge_stopped import Stopped
from relay.admin.status import Condition, Facts, condition, judge
from relay.spool.waiting import Counted
from tests.admin.test_judge_running import NOW, READING, WELL, reading

DAY_S = 86400.0
FULL = {**READING, "spool_full": True}
CERTIFICATE = CertificateSeen("[tls] certificate", "/t.crt", (), NOW - DAY_S, NOW + 60 * DAY_S)
FACTS = Facts(
    NOW, "relay.example.net", "/s", "1.0", 256_000_000, 1000, "relay", WELL, None, [CERTIFICATE],
    DiskSeen("/s", 10**11, 10**12),
)  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        (FACTS, "healthy"),
        (replace(FACTS, answer={**WELL, **reading(uncertain_found=1)}), "healthy"),  # a note makes nobody ill
        (replace(FACTS, answer={**WELL, **reading(spool_full=True)}), "degraded"),
        (replace(FACTS, answer={**WELL, "readings": dict.fromkeys("01", FULL)}), "down"),
        (replace(FACTS, answer={**WELL, "draining": True}), "down"),
        (replace(FACTS, answer={**WELL, "ready": {"0": False, "1": False}, "readings": {}}), "down"),
        (replace(FACTS, answer=None, stopped=Stopped("/s")), "down"),
        (replace(FACTS, certificates=[replace(CERTIFICATE, ends_at=NOW - 1)]), "degraded"),
        (replace(FACTS, certificates=[replace(CERTIFICATE, ends_at=NOW + 20 * DAY_S)]), "degraded"),
        (replace(FACTS, certificates=[replace(CERTIFICATE, fault="/t.crt: gone")]), "degraded"),
        (replace(FACTS, disk=DiskSeen("/s", 10**8, 10**12)), "degraded"),
        (replace(FACTS, disk=DiskSeen("/s", fault="Permission denied")), "healthy"),  # not known is no fault
        (replace(FACTS, waiting=Counted((("held", 7, NOW),), (), False)), "healthy"),
    ],
)  # fmt: skip
def test_condition(facts: Facts, word: str) -> None:
    found = condition(facts, judge(facts))
    assert found == word
    assert found.exit_status == ["healthy", "degraded", "down"].index(word)


def test_the_most_urgent_comes_first_and_what_is_well_is_not_said() -> None:
    answer: dict[str, Any] = {**WELL, **reading(uncertain_found=1), "version": "0.9"}
    facts = replace(
        FACTS,
        answer=answer,
        certificates=[replace(CERTIFICATE, ends_at=NOW - 1)],
        more=[Finding(Level.OK, "x", "fine"), Finding(Level.UNKNOWN, "x", "who knows")],
    )
    levels = [one.level for one in judge(facts)]
    assert levels == [Level.PROBLEM, Level.WARNING, Level.UNKNOWN, Level.NOTE]


def test_a_full_disk_is_said_once() -> None:
    facts = replace(FACTS, answer={**WELL, **reading(spool_full=True)}, disk=DiskSeen("/s", 5, 10**12))
    assert [one.about for one in judge(facts)] == ["spool"]


@pytest.mark.parametrize(
    ("last", "is_said"),
    [
        (None, True),
        ({"at": NOW - 50, "ok": True, "why": "", "by": "root"}, False),
        ({"at": NOW - 200, "ok": True, "why": "", "by": "root"}, True),
        ({"at": NOW - 50, "ok": False, "why": "x", "by": "root"}, False),  # that itself is said
    ],
)
def test_a_certificate_that_was_renewed_and_not_reloaded(last: dict[str, Any] | None, is_said: bool) -> None:
    renewed = replace(CERTIFICATE, changed_at=NOW - 100)
    answer = {**WELL, "started_at": NOW - DAY_S, "last_reload": last}
    found = judge(replace(FACTS, answer=answer, certificates=[renewed]))
    said = [one.publish for one in found if one.about == "TLS"]
    assert said == (["relay reload"] if is_said else [])
    assert not judge(replace(FACTS, answer=None, certificates=[renewed]))


def test_what_is_held_is_remembered() -> None:
    (found,) = judge(replace(FACTS, waiting=Counted((("fresh", 1, 0.0), ("held", 1200, NOW)), (), False)))
    assert (found.level, found.seen) == (Level.NOTE, "1,200 recipients are held until they are released")


def test_every_condition_has_a_status() -> None:
    assert [one.exit_status for one in Condition] == [0, 1, 2]
