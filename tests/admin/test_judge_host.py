"""The host and the way back, as tables."""

import pytest

from relay.admin.finding import Facts, Level, MailFrom, Reverse
from relay.admin.judge_host import judge_host, judge_mx
from tests.admin.examined import ADDRESS, GONE, HOST, OWN, TEMPORARY, WELL, addresses, but, mx, texts, worst

BACKWARDS = "8.8.8.8.in-addr.arpa. IN PTR relay.example.net. (at your provider)"


def test_all_is_well() -> None:
    assert [one.level for one in (*judge_host(WELL), *judge_mx(WELL))] == [Level.OK] * 3


@pytest.mark.parametrize(
    ("facts", "level", "about", "seen", "publish"),
    [
        (
            but(reverse=(Reverse(ADDRESS, GONE),)),
            Level.PROBLEM,
            "reverse DNS",
            "8.8.8.8 has no name",
            BACKWARDS,
        ),
        (
            but(reverse=(Reverse(ADDRESS, texts("pool.isp.example"), {"pool.isp.example": GONE}),)),
            Level.PROBLEM,
            "reverse DNS",
            "8.8.8.8 is pool.isp.example, but that does not lead back to it",
            BACKWARDS,
        ),
        (but(reverse=(Reverse(ADDRESS, TEMPORARY),)), Level.PROBLEM, "reverse DNS", "did not answer", ""),
        (
            but(reverse=(Reverse("10.0.0.5", GONE),), helo_addresses=addresses("10.0.0.5")),
            Level.WARNING,
            "reverse DNS",
            "10.0.0.5 is not an address of the Internet",
            "relay doctor --ip",
        ),
        (
            but(helo_addresses=GONE),
            Level.PROBLEM,
            "EHLO name",
            "relay.example.net has no address",
            "relay.example.net. IN A 8.8.8.8",
        ),
        (
            but(helo_addresses=addresses("9.9.9.9")),
            Level.WARNING,
            "EHLO name",
            "does not lead to 8.8.8.8",
            "relay.example.net. IN A 8.8.8.8",
        ),
        (but(helo_addresses=TEMPORARY), Level.PROBLEM, "EHLO name", "did not answer", ""),
    ],
)
def test_the_host(facts: Facts, level: Level, about: str, seen: str, publish: str) -> None:
    finding = worst(list(judge_host(facts)))
    assert (finding.level, finding.about) == (level, about)
    assert seen in finding.seen
    assert publish in finding.publish


WANTED = f"{OWN}. IN MX 10 {HOST}."
SENDERS = {"mail_from": "example.org", "mail_from_kind": MailFrom.SENDER}


@pytest.mark.parametrize(
    ("facts", "level", "seen", "publish"),
    [
        (but(mx=GONE), Level.PROBLEM, "its MX is missing", WANTED),
        (but(mx=mx("mail.example.org")), Level.PROBLEM, "its MX is mail.example.org", WANTED),
        (but(mx=mx(HOST, "mail.example.org")), Level.WARNING, "has other MX beside", WANTED),
        (but(mx=mx("")), Level.PROBLEM, "null MX", WANTED),
        (but(mx=TEMPORARY), Level.PROBLEM, "did not answer", ""),
        (but(mx=mx("mail.example.org"), **SENDERS), Level.OK, "go to mail.example.org", ""),
        (
            but(mx=GONE, mail_from_addresses=addresses("192.0.2.1"), **SENDERS),
            Level.OK,
            "its own address",
            "",
        ),
        (but(mx=GONE, **SENDERS), Level.PROBLEM, "neither MX nor address", "example.org. IN MX"),
        (
            but(unused="the MAIL FROM domain bounce.example.org is pending; it"),
            Level.WARNING,
            "bounce.example.org is pending; it is not used",
            "relay identity mail-from example.org show",
        ),
    ],
)
def test_the_way_back(facts: Facts, level: Level, seen: str, publish: str) -> None:
    finding = worst(list(judge_mx(facts)))
    assert finding.level is level
    assert seen in finding.seen
    assert publish in finding.publish
