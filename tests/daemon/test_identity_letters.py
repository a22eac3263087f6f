"""Letters say what happened, until when, and what to do."""

from dataclasses import replace

import pytest

from relay.daemon.duties.identity_letters import letter, link_letter
from relay.directory.records import IdentityKind, IdentityState, RecordState
from relay.directory.verification import Settings, Standing, Told

NOW = 1_800_000_000.0  # 2027-01-15 08:00 UTC
DOMAIN = Standing(
    1,
    1,
    "example.org",
    IdentityKind.DOMAIN,
    IdentityState.WARNED,
    "secrettoken",
    RecordState.NONE,
    None,
    NOW - 72 * 3600,
    0.0,
)
ADDRESS = replace(DOMAIN, name="a@example.org", kind=IdentityKind.ADDRESS)
RECORD = '  _relay.example.org.  TXT  "secrettoken"'


@pytest.mark.parametrize(
    ("told", "standing", "subject", "says"),
    [
        (Told.VERIFIED, DOMAIN, "example.org is verified", ["example.org and its subdomains"]),
        (Told.VERIFIED, ADDRESS, "a@example.org is verified", ["name+label@"]),
        (Told.FAILED, ADDRESS, "a@example.org was not verified", ["verify --again a@example.org"]),
        (
            Told.FAILED,
            DOMAIN,
            "example.org could not be verified",
            ["within 72 hours", RECORD, "relay identity check example.org", "verify --again example.org"],
        ),
        (
            Told.WARNED,
            DOMAIN,
            "example.org: the verification will be revoked",
            ["2027-01-18 08:00 UTC", RECORD, "may still send"],
        ),
        (Told.CANCELLED, DOMAIN, "example.org: the verification stays", ["The warning is void"]),
        (
            Told.REVOKED,
            DOMAIN,
            "example.org: the verification is revoked",
            ["since 2027-01-12 08:00 UTC", RECORD, "verify --again example.org"],
        ),
    ],
)
def test_each_step_has_its_letter(told: Told, standing: Standing, subject: str, says: list[str]) -> None:
    title, text = letter(told, standing, Settings(), "_relay", NOW)
    assert title == subject
    for one in says:
        assert one in text if one == RECORD else one in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 76


def test_every_step_is_covered() -> None:
    titles = {letter(told, DOMAIN, Settings(), "_relay", NOW)[0] for told in Told}
    assert len(titles) == len(Told)


def test_the_link_stays_whole() -> None:
    link = "https://relay.example/verify/" + "x-" * 80
    subject, text = link_letter("a@example.org", "shop", link, NOW + 86400)
    assert subject == "Confirm a@example.org as a sender address"
    assert link in text.splitlines()
    assert "2027-01-16 08:00 UTC" in " ".join(text.split())
    assert "The account shop " in text
