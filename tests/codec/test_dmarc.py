"""DMARC records, as tables."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.codec.dmarc import Policy, is_aligned, is_policy, parse_policy


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("v=DMARC1; p=none", Policy("none", "none", False, False, 100, "")),
        ("v=DMARC1;p=reject;", Policy("reject", "reject", False, False, 100, "")),
        (
            "v=DMARC1; p=quarantine; sp=reject; adkim=s; aspf=s; pct=50; rua=mailto:d@example.org; fo=1",
            Policy("quarantine", "reject", True, True, 50, "mailto:d@example.org"),
        ),
        ("v = DMARC1 ; p = Reject", Policy("reject", "reject", False, False, 100, "")),
    ],
)
def test_read(text: str, policy: Policy) -> None:
    assert is_policy(text)
    assert parse_policy(text) == policy


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("v=DMARC1", "no p="),
        ("v=DMARC1; p=all", "p=all is none of none, quarantine, reject"),
        ("v=DMARC1; p=none; sp=some", "sp=some is none of"),
        ("v=DMARC1; p=none; pct=120", "pct=120 is not a number from 0 to 100"),
        ("v=DMARC1; p=none; aspf=relaxed", "aspf=relaxed is neither r nor s"),
        ("v=DMARC1; p=none p=reject; x", "'x' is not tag=value"),
    ],
)
def test_not_read(text: str, said: str) -> None:
    assert is_policy(text)
    with pytest.raises(ValueError, match=said):
        parse_policy(text)


@pytest.mark.parametrize("text", ["v=spf1 -all", "v=DMARC10; p=none", "p=none; v=DMARC1", "v=dmarc1; p=none"])
def test_others_are_no_policies(text: str) -> None:
    assert not is_policy(text)


def test_the_policy_of_subdomains() -> None:
    policy = parse_policy("v=DMARC1; p=none; sp=reject")
    assert (policy.for_domain(False), policy.for_domain(True)) == ("none", "reject")


@pytest.mark.parametrize(
    ("domain", "organisation", "relaxed", "strict"),
    [
        ("example.org", "example.org", True, True),
        ("bounce.example.org", "example.org", True, False),
        ("example.net", "example.net", False, False),
        ("org", "", False, False),
    ],
)
def test_alignment(domain: str, organisation: str, relaxed: bool, strict: bool) -> None:
    for is_strict, expected in ((False, relaxed), (True, strict)):
        assert (
            is_aligned(
                domain,
                "example.org",
                is_strict=is_strict,
                organisation=organisation,
                author_organisation="example.org",
            )
            is expected
        )


@given(st.text())
def test_anything_may_come(text: str) -> None:
    with suppress(ValueError):
        parse_policy(f"v=DMARC1; {text}")
