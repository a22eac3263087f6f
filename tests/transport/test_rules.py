"""Which pattern a domain meets, and what is no rule."""

import pytest

from relay.base.errors import ConfigError
from relay.base.route import Host, TlsMode
from relay.transport.rules import RoutingRule, Rules

RULES = Rules(
    [
        RoutingRule("*", "fallback.example:2525"),
        RoutingRule("*.example.org", "192.0.2.1:25"),
        RoutingRule("*.deep.example.org", "[2001:db8::1]:26"),
        RoutingRule("Example.org", "mail.example.org", TlsMode.REQUIRED, "user", "/etc/secret"),
        RoutingRule("[192.0.2.9]", "192.0.2.3:25"),
    ]
)


@pytest.mark.parametrize(
    ("domain", "site"),
    [
        ("example.org", "hop:user@mail.example.org:25"),
        ("a.example.org", "hop:192.0.2.1:25"),
        ("a.b.example.org", "hop:192.0.2.1:25"),
        ("deep.example.org", "hop:192.0.2.1:25"),
        ("a.deep.example.org", "hop:[2001:db8::1]:26"),
        ("notexample.org", "hop:fallback.example:2525"),
        ("[192.0.2.9]", "hop:192.0.2.3:25"),
    ],
)
def test_the_most_specific_pattern_wins(domain, site):
    assert RULES.find(domain).site == site


def test_a_rule_becomes_a_route():
    route = RULES.find("example.org")
    assert route.hosts == (Host("mail.example.org", 25),)
    assert (route.tls, route.username, route.password_file) == (TlsMode.REQUIRED, "user", "/etc/secret")


@pytest.mark.parametrize(
    ("next_hop", "site", "tls"),
    [
        ("mail.example.org:25", "hop:user@mail.example.org:25", TlsMode.REQUIRED),
        ("[2001:db8::1]:26", "hop:[2001:db8::1]:26", TlsMode.OPPORTUNISTIC),
        ("elsewhere.example:2525", "hop:elsewhere.example:2525", TlsMode.OPPORTUNISTIC),
    ],
)
def test_a_next_hop_is_talked_to_as_the_rule_that_names_it_says(next_hop, site, tls):
    route = RULES.hop(next_hop)
    assert (route.site, route.tls) == (site, tls)


def test_no_rules_find_nothing():
    assert Rules().find("example.org") is None
    assert Rules([RoutingRule("*.example.org", "a:25")]).find("example.org") is None


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        ([RoutingRule("a.*", "b:25")], "give a domain"),
        ([RoutingRule("", "b:25")], "give a domain"),
        ([RoutingRule("žofie.cz", "b:25")], "give a domain"),
        ([RoutingRule("a.example", "b:99999")], "is not host:port"),
        ([RoutingRule("a.example", "b:25"), RoutingRule("A.example", "c:25")], "stands twice"),
        ([RoutingRule("*", "b:25"), RoutingRule("*", "c:25")], "stands twice"),
        ([RoutingRule("a", "b:25"), RoutingRule("c", "b:25", TlsMode.NONE)], "another tls"),
    ],
)
def test_what_is_no_rule(rules, text):
    with pytest.raises(ConfigError, match=text):
        Rules(rules)
