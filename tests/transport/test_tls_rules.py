"""Whose word on TLS holds for a domain."""

import pytest

from relay.base.errors import ConfigError
from relay.base.route import TlsMode
from relay.base.tls import USUAL_DEMAND
from relay.transport.tls_rules import TlsRule, TlsRules, asks_sts, demand_of

RULES = TlsRules(
    [
        TlsRule("*", TlsMode.ENCRYPT),
        TlsRule("example.org", TlsMode.REQUIRED),
        TlsRule("*.example.org", TlsMode.DANE_ONLY),
        TlsRule("*.deep.example.org", TlsMode.NONE),
    ]
)


@pytest.mark.parametrize(
    ("domain", "mode"),
    [
        ("example.org", TlsMode.REQUIRED),
        ("a.example.org", TlsMode.DANE_ONLY),
        ("b.a.example.org", TlsMode.DANE_ONLY),
        ("b.deep.example.org", TlsMode.NONE),
        ("deep.example.org", TlsMode.DANE_ONLY),
        ("example.net", TlsMode.ENCRYPT),
    ],
)
def test_the_most_specific_pattern_wins(domain: str, mode: TlsMode) -> None:
    rule = RULES.find(domain)
    assert rule is not None
    assert rule.mode is mode


def test_without_rules_all_is_usual() -> None:
    assert TlsRules().find("example.org") is None
    assert demand_of(None, is_mx_secure=False) == (TlsMode.OPPORTUNISTIC, USUAL_DEMAND)
    assert demand_of(None, is_mx_secure=True)[1].is_mx_secure
    assert asks_sts(None)


@pytest.mark.parametrize("pattern", ["", "*.", "*.*.org", "a*.org", "bücher.example", "a b"])
def test_what_is_no_pattern(pattern: str) -> None:
    with pytest.raises(ConfigError, match="give a domain"):
        TlsRules([TlsRule(pattern)])


def test_twice() -> None:
    with pytest.raises(ConfigError, match="twice"):
        TlsRules([TlsRule("example.org"), TlsRule("Example.org")])


def test_what_the_receiver_publishes_can_be_switched_off() -> None:
    rule = TlsRule("x.example", has_dane=False, has_sts=False)
    assert not demand_of(rule, is_mx_secure=True)[1].has_dane
    assert not asks_sts(rule)
    assert asks_sts(TlsRule("x.example", has_dane=False))
    assert not asks_sts(TlsRule("x.example", TlsMode.REQUIRED))
