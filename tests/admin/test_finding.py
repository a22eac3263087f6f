"""The words of the doctor."""

from relay.admin.finding import Level, unknown
from tests.admin.examined import TEMPORARY


def test_no_answer_is_a_problem_that_is_named() -> None:
    finding = unknown("MX", TEMPORARY)
    assert (finding.level, finding.about) == (Level.PROBLEM, "MX")
    assert "SERVFAIL" in finding.seen
    assert finding.publish
