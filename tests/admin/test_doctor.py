"""A whole examination, against a DNS server on loopback: all well, and each thing taken away in turn."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from relay.admin.doctor import Patient, PublicKey, examine
from relay.admin.finding import Level, MailFrom
from relay.transport.resolve import Resolver
from tests.admin.examined import RECORD
from tests.fakes.clock import ManualClock
from tests.fakes.dns import FakeDns

HOST, ADDRESS, OWN = "relay.example.net", "8.8.8.8", "bounce.example.org"
PATIENT = Patient(
    domain="mail.example.org",
    helo=HOST,
    host=HOST,
    mail_from=OWN,
    mail_from_kind=MailFrom.OWN,
    addresses=(ADDRESS,),
    keys=(PublicKey("s1._domainkey.example.org", "example.org", RECORD, "publish it"),),
)


def zone() -> dict[str, object]:
    half = len(RECORD) // 2
    return {
        OWN: {"TXT": [f'"v=spf1 a:{HOST} ~all"'], "MX": [f"10 {HOST}."]},
        "s1._domainkey.example.org": {"CNAME": ["s1.dkim.example.net."]},
        "s1.dkim.example.net": {"TXT": [f'"{RECORD[:half]}" "{RECORD[half:]}"']},
        "_dmarc.example.org": {"TXT": ['"v=DMARC1; p=quarantine; rua=mailto:d@example.org"']},
        HOST: {"A": [ADDRESS]},
        "8.8.8.8.in-addr.arpa": {"PTR": [f"{HOST}."]},
    }


@pytest.fixture
async def dns() -> AsyncIterator[FakeDns]:
    async with FakeDns(zone()) as started:
        yield started


async def findings(dns: FakeDns, patient: Patient = PATIENT) -> list[tuple[Level, str]]:
    async with AsyncExitStack() as stack:
        resolver = Resolver(ManualClock(), dns.address, 2.0)
        await resolver.start(stack)
        return [(one.level, one.about) for one in await examine(resolver, patient)]


async def test_all_is_well(dns: FakeDns) -> None:
    found = await findings(dns)
    assert {level for level, _ in found} == {Level.OK}
    assert [about for _, about in found] == [
        "SPF",
        "DKIM",
        "DMARC",
        "alignment",
        "MX",
        "reverse DNS",
        "EHLO name",
    ]


@pytest.mark.parametrize(
    ("gone", "bad"),
    [
        (OWN, {"SPF", "MX"}),
        ("s1.dkim.example.net", {"DKIM"}),
        ("8.8.8.8.in-addr.arpa", {"reverse DNS"}),
        (HOST, {"SPF", "reverse DNS", "EHLO name"}),
    ],
)
async def test_what_is_taken_away_is_missed(dns: FakeDns, gone: str, bad: set[str]) -> None:
    del dns.zone[gone]
    found = await findings(dns)
    assert {about for level, about in found if level is Level.PROBLEM} == bad


async def test_the_policy_above_counts_and_its_absence_too(dns: FakeDns) -> None:
    del dns.zone["_dmarc.example.org"]
    assert (Level.WARNING, "DMARC") in await findings(dns)
    dns.zone["_dmarc.example.org"] = "SERVFAIL"
    assert (Level.PROBLEM, "DMARC") in await findings(dns)


async def test_a_dead_dns_is_all_problems_and_no_traceback(dns: FakeDns) -> None:
    for name in list(dns.zone):
        dns.zone[name] = "SERVFAIL"
    found = await findings(dns)
    assert {about for level, about in found if level is Level.PROBLEM} >= {"SPF", "DKIM", "MX", "EHLO name"}


async def test_an_identity_that_may_not_send_and_addresses_that_nobody_knows(dns: FakeDns) -> None:
    found = await findings(dns, replace(PATIENT, addresses=(), unverified="pending"))
    assert found[0] == (Level.PROBLEM, "identity")
    assert found[-1] == (Level.PROBLEM, "SPF")


async def test_mail_through_a_smarthost_is_another_matter(dns: FakeDns) -> None:
    found = await findings(dns, replace(PATIENT, smarthost="smarthost.example:587"))
    assert found[-1] == (Level.WARNING, "route")


async def test_a_source_with_a_name_of_its_own_is_judged_by_it(dns: FakeDns) -> None:
    found = await findings(dns, replace(PATIENT, helo_of={PATIENT.addresses[0]: "gone.example.net"}))
    assert (Level.PROBLEM, "EHLO name") in found


async def test_nobody_hears_what_comes_back(dns: FakeDns) -> None:
    unheard = replace(PATIENT, has_inbound=False, is_postmaster_read=False)
    assert (Level.WARNING, "return path") in await findings(dns, unheard)
    assert "return path" not in [
        about for _, about in await findings(dns, replace(unheard, mail_from_kind=MailFrom.SENDER))
    ]
    unread = await findings(dns, replace(PATIENT, is_postmaster_read=False))
    assert unread[-1] == (Level.WARNING, "postmaster")
