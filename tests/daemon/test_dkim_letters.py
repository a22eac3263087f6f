"""What owners are told: every step has its letter, with what is wrong and what to do."""

import pytest

from relay.daemon.duties.dkim_letters import letter
from relay.directory.dkim_life import Pace, Step


@pytest.mark.parametrize("step", Step)
def test_every_step_has_a_letter_of_lines_that_fit(step: Step) -> None:
    subject, text = letter(step, "example.org", ["a._domainkey.example.org: there is no TXT record"], Pace())
    assert "example.org" in subject
    assert "{" not in subject + text
    if step in (Step.FAILED, Step.WARNED, Step.REVOKED):
        assert "a._domainkey.example.org: there is no TXT record" in text
        assert "relay identity records example.org" in text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(5 * 86400.0, "5 days"), (86400.0, "1 day"), (36000.0, "10 hours"), (3600.0, "1 hour")],
)
def test_durations_are_told_as_people_do(seconds: float, words: str) -> None:
    assert f"gone for {words}." in letter(Step.REVOKED, "e.example", [], Pace(warned_for_s=seconds))[1]
