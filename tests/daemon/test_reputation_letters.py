"""What the contact reads: rate, threshold, what to do; and the reason of a pause."""

import pytest

from relay.daemon.notifier.reputation_letters import letter, percent, reason_of
from relay.verdict.reputation import Rate, Status, Step, Thresholds, Volume

VOLUME = Volume(10_000, 620, 11, 1000, 1_800_000_000.0)
LIMITS = Thresholds()


def test_under_review() -> None:
    subject, text = letter(Step(Rate.BOUNCE, Status.UNDER_REVIEW, 0.062, 0.05), VOLUME, LIMITS)
    assert subject == "Bounce rate 6.2%: your account is under review"
    assert "620 of 10,000 recipients bounced hard" in text
    assert "back to 2027-01-15 08:00 UTC" in text
    assert "from 5% on an account is under review" in text
    assert "From 10% on the postmaster may pause sending." in text
    assert "resume" not in text


def test_under_review_where_pauses_are_configured() -> None:
    step = Step(Rate.COMPLAINT, Status.UNDER_REVIEW, 0.0011, 0.001)
    subject, text = letter(step, VOLUME, Thresholds(is_pausing=True))
    assert subject == "Complaint rate 0.11%: your account is under review"
    assert "From 0.5% on sending is paused." in text


@pytest.mark.parametrize(
    ("status", "headline", "says"),
    [
        (Status.PENDING, "your account's sending may be paused", "the postmaster may pause sending"),
        (Status.PAUSED, "your account's sending is paused", "until the postmaster of this relay resumes"),
    ],
)
def test_worse(status: Status, headline: str, says: str) -> None:
    subject, text = letter(Step(Rate.BOUNCE, status, 0.12, 0.1), VOLUME, LIMITS)
    assert subject == f"Bounce rate 12%: {headline}"
    assert says in text
    assert all(len(line) <= 100 for line in text.splitlines())


def test_the_reason_of_a_pause_names_rate_threshold_and_the_way_out() -> None:
    step = Step(Rate.BOUNCE, Status.PAUSED, 0.12, 0.1)
    assert reason_of("shop", step, VOLUME) == (
        "bounce rate 12% (620 of 10,000), [reputation] bounce_pause is 10%; "
        "once the cause is gone: relay account resume shop"
    )


@pytest.mark.parametrize(
    ("share", "shown"), [(0.0, "0%"), (0.05, "5%"), (0.0012345, "0.123%"), (1.0, "100%")]
)
def test_shares_for_people(share: float, shown: str) -> None:
    assert percent(share) == shown
