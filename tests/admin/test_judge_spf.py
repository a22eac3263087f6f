"""SPF as a table: what is there, how bad it is, and the record to publish."""

import pytest

from relay.admin.finding import Facts, Level, MailFrom
from relay.admin.judge_spf import judge_spf
from tests.admin.examined import (
    ADDRESS,
    GONE,
    HOST,
    OWN,
    TEMPORARY,
    WELL,
    addresses,
    but,
    texts,
    verdict,
    worst,
)

A = f"a:{HOST}"


def test_all_is_well() -> None:
    (finding,) = judge_spf(WELL)
    assert finding.level is Level.OK
    assert finding.seen == f"{OWN} allows {ADDRESS} ({A}; 1 of 10 lookups)"


@pytest.mark.parametrize(
    ("facts", "level", "seen", "publish"),
    [
        (
            but(spf=(verdict("none"),), spf_texts=GONE),
            Level.PROBLEM,
            "has no SPF record",
            f'{OWN}. IN TXT "v=spf1 {A} ~all"',
        ),
        (
            but(
                spf=(verdict("fail", why="-all"),),
                spf_texts=texts("v=spf1 mx -all", "google-site-verification=x"),
            ),
            Level.PROBLEM,
            f"does not allow {ADDRESS}: fail by -all in v=spf1 mx -all",
            f'{OWN}. IN TXT "v=spf1 {A} mx -all"',
        ),
        (
            but(
                mail_from_kind=MailFrom.SENDER,
                spf=(verdict("softfail", why="~all"),),
                spf_texts=texts("v=spf1 mx ~all"),
                helo_addresses=addresses("192.0.2.9"),  # the host has other addresses: name this one
            ),
            Level.PROBLEM,
            "softfail by ~all",
            f'"v=spf1 ip4:{ADDRESS} mx ~all"',
        ),
        (
            but(spf=(verdict("neutral", why=""),), spf_texts=texts("v=spf1 mx")),
            Level.PROBLEM,
            "neutral by default",
            f'"v=spf1 {A} mx"',
        ),
        (
            but(spf_texts=texts("v=spf1 mx ~all", "v=spf1 include:x.example -all")),
            Level.PROBLEM,
            "has 2 SPF records, so none counts",
            '"v=spf1 mx include:x.example ~all"',
        ),
        (
            but(spf=(verdict("permerror", 13),)),
            Level.PROBLEM,
            "needs 13 lookups and 10 are allowed",
            "drop includes",
        ),
        (
            but(spf=(verdict("permerror", 1, "unknown mechanism 'ipv4'"),)),
            Level.PROBLEM,
            "broken record: unknown mechanism 'ipv4'",
            "correct the record",
        ),
        (
            but(spf=(verdict("temperror", 1, "TXT lookup failed for x.example"),)),
            Level.PROBLEM,
            "cannot be judged: TXT lookup failed for x.example",
            "name servers",
        ),
        (but(spf=(verdict("pass", 9),)), Level.WARNING, "9 of 10 lookups", "drop includes"),
        (
            but(spf_stranger=verdict("pass", why="+all"), spf_texts=texts(f"v=spf1 {A} +all")),
            Level.PROBLEM,
            "lets anybody send as it, by +all",
            f'"v=spf1 {A} ~all"',
        ),
        (
            but(spf_stranger=verdict("pass", why="include:open.example")),
            Level.PROBLEM,
            "by include:open.example",
            "mend include:open.example",
        ),
        (but(spf_texts=texts(f"v=spf1 {A} ptr ~all")), Level.WARNING, "uses ptr", "ip4:"),
        (but(spf_texts=TEMPORARY), Level.PROBLEM, "the DNS did not answer", "ask again"),
    ],
)
def test_trouble(facts: Facts, level: Level, seen: str, publish: str) -> None:
    finding = worst(list(judge_spf(facts)))
    assert (finding.level, finding.about) == (level, "SPF")
    assert seen in finding.seen
    assert publish in finding.publish
