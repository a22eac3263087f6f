"""Certificates, as a table of what is in the file and what is said of it."""

from dataclasses import replace

import pytest

from relay.admin.finding import Level
from relay.admin.host_facts import CertificateSeen
from relay.admin.judge_certificate import DAY_S, judge_certificate, judge_expiry

NOW = 1_800_000_000.0
FILE = "/etc/relay/tls.crt"
GOOD = CertificateSeen(
    "[tls] certificate", FILE, ("relay.example.net", "*.mail.example"), NOW - DAY_S, NOW + 60 * DAY_S
)


@pytest.mark.parametrize(
    ("days", "level", "said"),
    [(60, Level.OK, "is good for 60 d"), (22, Level.OK, "22 d"), (20, Level.WARNING, "good for 20 d"),
     (4, Level.WARNING, "4 d"), (2.5, Level.PROBLEM, "2 d 12 h"), (0, Level.PROBLEM, "expired"),
     (-2, Level.PROBLEM, "expired 2 d ago")],
)  # fmt: skip
def test_how_long_it_is_good(days: float, level: Level, said: str) -> None:
    found = judge_expiry(replace(GOOD, ends_at=NOW + days * DAY_S), NOW)
    assert found.level is level
    assert said in found.seen
    assert FILE in found.seen
    assert ("`relay reload`" in found.publish) == (level is not Level.OK)


def test_one_that_begins_later_is_a_matter_of_the_clock() -> None:
    found = judge_expiry(replace(GOOD, begins_at=NOW + 7200), NOW)
    assert (found.level, "in 2 h" in found.seen) == (Level.PROBLEM, True)


@pytest.mark.parametrize(
    ("hostname", "is_said"),
    [("relay.example.net", False), ("RELAY.example.net.", False), ("a.mail.example", False), ("", False),
     ("mail.example", True), ("b.a.mail.example", True), ("other.example", True)],
)  # fmt: skip
def test_its_names(hostname: str, is_said: bool) -> None:
    found = list(judge_certificate(GOOD, NOW, hostname))
    assert [one.level for one in found] == [Level.OK] + [Level.WARNING] * is_said
    assert not is_said or hostname in found[1].publish


def test_a_chain_with_a_gap_and_one_that_signs_itself() -> None:
    gap = list(judge_certificate(replace(GOOD, gap="the issuer CN=R3 is missing"), NOW))
    assert (gap[1].level, "CN=R3" in gap[1].seen, FILE in gap[1].publish) == (Level.PROBLEM, True, True)
    own = list(judge_certificate(replace(GOOD, is_self_signed=True), NOW))
    assert own[1].level is Level.NOTE


def test_a_key_that_this_user_may_not_read_is_no_problem() -> None:
    found = list(judge_certificate(replace(GOOD, is_key_seen=False), NOW))
    assert [one.level for one in found] == [Level.OK, Level.UNKNOWN]


def test_a_pair_that_cannot_be_used_is_all_there_is_to_say() -> None:
    (found,) = judge_certificate(replace(GOOD, fault=f"{FILE} is not the certificate of the key"), NOW, "x")
    assert (found.level, found.seen) == (Level.PROBLEM, f"{FILE} is not the certificate of the key")
