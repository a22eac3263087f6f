"""Sums, rates, domains and points, as they are shown."""

from pathlib import Path

import pytest

from relay.admin import sending
from relay.base.counts import OTHER, Counts, Place
from relay.directory.records import Account
from relay.spool.statistics import Statistics
from relay.spool.statistics_views import reading
from relay.verdict.reputation import Health, Standing, Status, Thresholds
from relay.verdict.standing_text import written

QUARTER = 1_800_000_000
LIMITS = Thresholds(minimum_volume=100)
SHOP = Account(7, "shop")


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    statistics = Statistics(tmp_path)
    here = Place(7, QUARTER, "shop.example", "a.example")
    statistics.add(
        {
            here: Counts(sent=400, delivered=370, hard=30, soft=1, mails=400, bounced=30),
            here._replace(domain=OTHER): Counts(sent=600, delivered=600, mails=600),
            here._replace(domain=""): Counts(rejects=2),
            here._replace(start=QUARTER + 900): Counts(complaints=2, complained=2),
            here._replace(account_id=0): Counts(sent=9),
            here._replace(account_id=99): Counts(sent=9),
        },
        {1: 1},
    )
    healing = Health(Status.ALMOST_HEALED, Status.UNDER_REVIEW, 5.0)
    statistics.put_standing(7, written(Standing(bounce=healing)))
    statistics.close()
    return tmp_path


def test_points_are_those_of_get_send_statistics(spool: Path) -> None:
    with reading(spool) as views:
        assert sending.points(views, 7, 0.0) == [
            {
                "Timestamp": "2027-01-15T08:00:00Z",
                "DeliveryAttempts": 1000,
                "Bounces": 30,
                "Complaints": 0,
                "Rejects": 2,
            },
            {
                "Timestamp": "2027-01-15T08:15:00Z",
                "DeliveryAttempts": 0,
                "Bounces": 0,
                "Complaints": 2,
                "Rejects": 0,
            },
        ]


def test_an_account_stands_as_it_was_put_down(spool: Path) -> None:
    with reading(spool) as views:
        assert sending.reputation(views, 7, LIMITS) == {
            "status": "Almost healed",
            "mails": 1000,
            "since": "2027-01-15T08:00:00Z",
            "bounce_rate": {"rate": 0.03, "count": 30, "status": "Almost healed"},
            "complaint_rate": {"rate": 0.002, "count": 2, "status": "Healthy"},
        }
        unknown = sending.reputation(views, 8, LIMITS)
    assert (unknown["status"], unknown["mails"], unknown["since"]) == ("Healthy", 0, "")


def test_a_domain_stands_as_its_mail_says(spool: Path) -> None:
    with reading(spool) as views:
        found = sending.reputation(views, 7, LIMITS, domain="a.example")
    assert found["status"] == ""
    assert found["bounce_rate"] == {"rate": 0.075, "count": 30, "status": "Under review"}
    assert found["complaint_rate"] == {"rate": 0.005, "count": 2, "status": "Pending sending pause"}


def test_domains_and_accounts(spool: Path) -> None:
    with reading(spool) as views:
        first, last = sending.domains(views, 7, 0.0, LIMITS)
        assert (first["domain"], first["sent"], first["bounced"], first["bounce_rate"]) == (
            "a.example",
            400,
            30,
            0.075,
        )
        assert (last["domain"], last["bounce_rate"]) == (OTHER, 0.0)
        assert "bounce_rate" not in sending.domains(views, None, 0.0, LIMITS)[0]
        (row,) = sending.accounts(views, 0.0, LIMITS, {7: SHOP})
        assert row == {
            "account": "shop",
            "sent": 1000,
            "delivered": 970,
            "bounced": 30,
            "soft_bounced": 1,
            "complaints": 2,
            "rejects": 2,
            "suppressed": 0,
            "bounce_rate": 0.03,
            "complaint_rate": 0.002,
            "status": "Almost healed",
        }
        assert sending.accounts(views, 0.0, LIMITS, {7: SHOP}, identity="none.example") == []
