"""The screen: it fits, and has what an administrator looks for."""

from dataclasses import replace
from typing import Any

from relay.admin.finding import Finding, Level
from relay.admin.judge_stopped import Stopped
from relay.admin.status import Condition, Facts, condition, judge
from relay.admin.status_screen import screen
from relay.spool.waiting import Counted
from tests.admin.test_judge_running import NOW, READING, WELL
from tests.admin.test_status import FACTS

COUNTS = {"accepted": 1_234_567, "delivered": 1_200_000, "deferred": 34_000, "failed": 567}
BUSY: dict[str, Any] = {
    **WELL,
    "readings": {number: {**READING, **COUNTS} for number in "01"},
    "lately": {"minute": {"seconds": 60.0, **COUNTS}, "hour": {"seconds": 600.0, **COUNTS}},
    "pid": 17,
}
QUEUE = Counted(
    (("fresh", 12, NOW - 3), ("deferred", 1204, NOW - 3600), ("held", 0, 0.0), ("parked", 5, NOW - 60)),
    (("gmail.com", 1000, "421 4.7.0 Try again later, " + "x" * 90), ("b\x1b[31m.example", 216, "\x07")),
    False,
)


def shown(facts: Facts) -> list[str]:
    findings = judge(facts)
    return screen(facts, findings, condition(facts, findings))


def test_a_busy_and_healthy_relay_fits_a_screen() -> None:
    lines = shown(replace(FACTS, answer=BUSY, waiting=QUEUE))
    assert lines[0] == "relay 1.0 on relay.example.net: healthy"
    assert lines[1].startswith("up 2 h since ")
    assert "2 of 2 workers, notifier, pid 17" in lines[1]
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    for part in (
        "last minute    1,234,567", "(10 min)", "in all         2,469,134", "the oldest for 1 h",
        "fresh 12, deferred 1,204, parked 5", "1,000  gmail.com  421 4.7.0", "20 of 1,000 clients",
        "100 GB free",
    ):  # fmt: skip
        assert part in text, part
    assert all(line.isprintable() for line in lines)


def test_what_is_wrong_comes_first_with_what_mends_it_and_is_not_endless() -> None:
    more = [Finding(Level.PROBLEM, "a", f"number {n} " + "word " * 30, "do it\nthen that") for n in range(9)]
    facts = replace(FACTS, answer=BUSY, more=more)
    findings = judge(facts)
    lines = screen(facts, findings, Condition.DEGRADED, most=3)
    assert lines[0] == "relay 1.0 on relay.example.net: DEGRADED, 9 to look at"
    assert lines[2].startswith("problem  a           number 0 word")
    assert [line.strip() for line in lines if "->" in line] == ["-> do it", "-> then that"] * 3
    assert "... and 6 more: relay status --all" in lines
    assert len([line for line in screen(facts, findings, Condition.DEGRADED, most=9) if "->" in line]) == 18


def test_one_that_is_down_has_no_figures_of_its_own() -> None:
    lines = shown(replace(FACTS, answer=None, stopped=Stopped("/s"), waiting=QUEUE))
    assert lines[0].endswith("DOWN, 1 to look at")
    assert not any("accepted" in line for line in lines)
    assert any(line.startswith("waiting     fresh 12") for line in lines)


def test_a_queue_that_was_not_counted_to_its_end_says_so() -> None:
    lines = shown(replace(FACTS, waiting=replace(QUEUE, is_cut=True)))
    assert any("at least (too many to count at once)" in line for line in lines)
    counted = replace(QUEUE, counted_at=NOW - 40)
    assert any("(counted 40 s ago)" in line for line in shown(replace(FACTS, waiting=counted)))
    assert "waiting     nothing" in shown(replace(FACTS, waiting=Counted((("fresh", 0, 0.0),), (), False)))
