"""DMARC: the record as a table, and who speaks for From in each mode."""

import pytest

from relay.admin.finding import Facts, Level, MailFrom
from relay.admin.judge_dmarc import judge_dmarc
from tests.admin.examined import DOMAIN, GONE, RECORD, TEMPORARY, WELL, but, key, texts, verdict

REJECT = "v=DMARC1; p=reject; rua=mailto:d@example.org"


def test_all_is_well() -> None:
    record, alignment = judge_dmarc(WELL)
    assert (record.level, record.seen) == (Level.OK, "_dmarc.example.org says reject, relaxed")
    assert alignment.level is Level.OK
    assert "DKIM (d=example.org) and SPF (bounce.example.org) both speak" in alignment.seen


@pytest.mark.parametrize(
    ("facts", "level", "seen", "publish"),
    [
        (
            but(dmarc=GONE),
            Level.WARNING,
            "example.org has no policy",
            '_dmarc.example.org. IN TXT "v=DMARC1; p=none; rua=mailto:postmaster@example.org"',
        ),
        (but(dmarc=texts("v=spf1 -all")), Level.WARNING, "has no policy", "_dmarc.example.org. IN TXT"),
        (but(dmarc=texts(REJECT, REJECT)), Level.PROBLEM, "has 2 policies, so none counts", "keep one"),
        (but(dmarc=texts("v=DMARC1; p=all")), Level.PROBLEM, "p=all is none of", '"v=DMARC1; p=none"'),
        (but(dmarc=texts("v=DMARC1; p=none")), Level.OK, "says none, relaxed, no reports", "add rua="),
        (but(dmarc=texts(f"{REJECT}; pct=20; adkim=s")), Level.OK, "reject for 20 %, strict for DKIM", ""),
        (but(dmarc=TEMPORARY), Level.PROBLEM, "the DNS did not answer", "ask again"),
        (
            but(
                domain="mail.example.org", dmarc=GONE, dmarc_above=texts("v=DMARC1; p=none; sp=reject; rua=x")
            ),
            Level.OK,
            "_dmarc.example.org says reject",
            "",
        ),
        (
            but(domain="mail.example.org", dmarc=texts("v=DMARC1; p=none; rua=x"), dmarc_above=texts(REJECT)),
            Level.OK,
            "_dmarc.mail.example.org says none",
            "",
        ),
        (
            but(domain="mail.example.org", dmarc=GONE, dmarc_above=TEMPORARY),
            Level.PROBLEM,
            "did not answer",
            "",
        ),
    ],
)
def test_the_record(facts: Facts, level: Level, seen: str, publish: str) -> None:
    finding = next(judge_dmarc(facts))
    assert (finding.level, finding.about) == (level, "DMARC")
    assert seen in finding.seen
    assert publish in finding.publish


SENDER = {"mail_from_kind": MailFrom.RELAY, "mail_from": "bounces.relay.example"}
NO_DKIM = {"keys": (key(),)}


@pytest.mark.parametrize(
    ("facts", "level", "seen", "publish"),
    [
        (
            but(**SENDER),
            Level.WARNING,
            "SPF (bounces.relay.example) does not",
            "relay identity mail-from example.org set bounce.example.org",
        ),
        (but(spf=(verdict("fail"),)), Level.OK, "DKIM (d=example.org) speaks for example.org; SPF", ""),
        (but(**NO_DKIM), Level.WARNING, "only SPF (bounce.example.org)", "mend DKIM"),
        (but(**SENDER, **NO_DKIM), Level.PROBLEM, "neither DKIM nor SPF", "mend DKIM first"),
        (but(**SENDER, **NO_DKIM), Level.PROBLEM, "fails DMARC, so it is refused", ""),
        (
            but(dmarc=texts("v=DMARC1; p=none; aspf=s"), **NO_DKIM),  # a subdomain does not do for strict
            Level.PROBLEM,
            "its mail fails DMARC",
            "",
        ),
        (
            but(dmarc=texts("v=DMARC1; p=quarantine; aspf=s"), mail_from=DOMAIN, **NO_DKIM),
            Level.WARNING,
            "only SPF (example.org)",
            "",
        ),
        (
            but(
                domain="mail.example.org",
                dmarc=texts("v=DMARC1; p=quarantine; adkim=s; aspf=s"),
                keys=(key(RECORD, domain=DOMAIN),),
            ),
            Level.PROBLEM,
            "so it goes to spam",
            "",
        ),
        (
            but(
                keys=(key(RECORD, domain="service.example", is_service=True),)
            ),  # verifies, speaks for others
            Level.WARNING,
            "only SPF",
            "",
        ),
    ],
)
def test_who_speaks_for_from(facts: Facts, level: Level, seen: str, publish: str) -> None:
    _, finding = judge_dmarc(facts)
    assert (finding.level, finding.about) == (level, "alignment")
    assert seen in finding.seen
    assert publish in finding.publish
