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


def named(name: str, address: str = ADDRESS) -> Facts:
    """All is well, and the address has this name."""
    reverse = Reverse(address, texts(name), {name: addresses(address)})
    return but(reverse=(reverse,), helo_addresses=addresses(address))


@pytest.mark.parametrize(
    ("name", "address", "is_generic"),
    [
        ("mail.example.org", "8.8.8.8", False),
        ("mx-out-3.eu-central-1.example.org", "8.8.4.8", False),
        ("a8-8.smtp-out.example.org", "54.240.8.8", False),  # half the address is how a provider counts
        ("8-8-4-4.isp.example", "8.8.4.4", True),
        ("host4.4.8.8.isp.example", "8.8.4.4", True),
        ("ip008008004004.isp.example", "8.8.4.4", True),
        ("ip-004004008008.isp.example", "8.8.4.4", True),
        ("p5.dip0.isp.example", "8.8.4.4", True),
        ("dyn-12.isp.example", "8.8.4.4", True),
        ("customer7.adsl.isp.example", "8.8.4.4", True),
        ("mail.dsl.example", "8.8.4.4", False),  # the domain may be called as it likes
        ("mail.example.org", "2001:4860:4860::8888", False),
        ("h20014860486000000000000000008888.v6.isp.example", "2001:4860:4860::8888", True),
    ],
)
def test_a_name_that_a_provider_gives_to_lines(name: str, address: str, is_generic: bool) -> None:
    findings = [one for one in judge_host(named(name, address)) if one.about == "reverse DNS"]
    assert [one.level for one in findings] == [Level.WARNING if is_generic else Level.OK]
    assert ("PTR relay.example.net." in findings[0].publish) is is_generic


def test_an_address_with_two_names() -> None:
    both = Reverse(ADDRESS, texts(HOST, "www.example.net"), {HOST: addresses(ADDRESS)})
    finding = worst(list(judge_host(but(reverse=(both,)))))
    assert (finding.level, finding.publish[:10]) == (Level.WARNING, "keep only:")


def test_ipv6_without_a_name_is_refused_outright() -> None:
    found = but(reverse=(Reverse("2001:4860:4860::8888", GONE),))
    finding = next(judge_host(found))
    assert finding.level is Level.PROBLEM
    assert "refuse mail over IPv6" in finding.seen
    assert finding.publish.startswith("8.8.8.8.0.0.0.0.")
    assert "ip6.arpa. IN PTR" in finding.publish


@pytest.mark.parametrize(
    ("helo", "seen"),
    [
        ("192.0.2.1", "is an address"),
        ("[192.0.2.1]", "is an address"),
        ("[IPv6:2001:db8::1]", "is an address"),
        ("mail", "is not a full name"),
        ("localhost", "is not a full name"),
        ("localhost.localdomain", "only here"),
        ("mail.corp.internal", "only here"),
    ],
)
def test_a_name_that_no_receiver_wants_in_ehlo(helo: str, seen: str) -> None:
    finding = worst(list(judge_host(but(helo=helo))))
    assert (finding.level, finding.about) == (Level.PROBLEM, "EHLO name")
    assert seen in finding.seen
    assert "hostname" in finding.publish


def test_each_source_is_judged_by_its_own_name() -> None:
    """Two addresses with names of their own in EHLO; the relay's own name says nobody."""
    first = Reverse(
        "8.8.4.4", texts("a.example.net"), {"a.example.net": addresses("8.8.4.4")}, "a.example.net"
    )
    second = Reverse("9.9.9.9", GONE, {}, "b.example.net", addresses("1.1.1.1"))
    found = list(judge_host(but(reverse=(first, second), helo_addresses=GONE)))
    assert [(one.level, one.about) for one in found] == [
        (Level.OK, "reverse DNS"),
        (Level.PROBLEM, "reverse DNS"),
        (Level.PROBLEM, "EHLO name"),
        (Level.WARNING, "EHLO name"),
    ]
    assert "PTR b.example.net." in found[1].publish
    assert "a.example.net has no address" in found[2].seen
    assert found[3].publish == "b.example.net. IN A 9.9.9.9"


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
