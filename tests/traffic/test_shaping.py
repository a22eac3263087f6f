"""Which rule holds for a lane."""

import pytest

from relay.base.errors import ConfigError
from relay.base.route import Host, Route, Source
from relay.traffic.shaping import Shaping, ShapingRule
from relay.traffic.site_rule import SiteRule


def rule(name: str, **patterns) -> ShapingRule:
    return ShapingRule(SiteRule(name=name), {"bulk": SiteRule(connections=1, name=name)}, **patterns)


SHAPING = Shaping(
    ShapingRule(SiteRule(connections=7)),
    [
        rule("google", mx=("*.google.com", "*.googlemail.com")),
        rule("alt", mx=("*.l.google.com",)),
        rule("one", mx=("mx1.l.google.com",)),
        rule("hop", next_hops=("mail.example.org", "10.0.0.1:2525")),
        rule("other-port", next_hops=("mail.example.org:587",)),
        rule("small", domains=("small.example", "*.small.example")),
    ],
)


def by_mx(*hosts: str, source: str = "") -> Route:
    named = tuple(
        Host(name, 25, int(preference)) for name, _, preference in (h.partition("/") for h in hosts)
    )
    return Route("mx:" + ",".join(sorted(host.name for host in named)), named, source=Source(source))


def by_hop(host: str, port: int) -> Route:
    return Route(f"hop:{host}:{port}", (Host(host, port),))


@pytest.mark.parametrize(
    ("route", "name"),
    [
        (by_mx("smtp.google.com/1"), "google"),
        (by_mx("alt1.l.google.com/5", "smtp.google.com/5"), "alt"),  # the longer suffix
        (by_mx("mx1.l.google.com/1"), "one"),
        (by_mx("google.com/1"), ""),  # "*." stands for what is below
        (by_mx("mx.example.org/1", "smtp.google.com/10"), ""),  # mail goes to the best preference
        (by_mx("smtp.google.com/1", "mx.example.org/10"), "google"),
        (by_hop("mail.example.org", 25), "hop"),
        (by_hop("mail.example.org", 587), "other-port"),
        (by_hop("10.0.0.1", 25), ""),
        (by_hop("10.0.0.1", 2525), "hop"),
        (by_hop("smtp.google.com", 587), ""),  # rules of MX are not for next hops
        (Route("simulator", ()), ""),
    ],
)
def test_the_most_specific_pattern_wins(route: Route, name: str) -> None:
    assert SHAPING.rule(route).name == name


def test_a_source_may_have_other_numbers() -> None:
    assert SHAPING.rule(by_mx("smtp.google.com/1", source="bulk")).connections == 1
    assert SHAPING.rule(by_mx("smtp.google.com/1", source="other")).connections == 20
    assert SHAPING.rule(by_mx("x.example/1", source="bulk")).connections == 7


def test_domains_of_a_rule_have_their_site_for_themselves() -> None:
    shared = by_mx("smtp.google.com/1")
    apart = SHAPING.set_apart("a.small.example", shared)
    assert (apart.site, apart.hosts) == ("mx:smtp.google.com#small", shared.hosts)
    assert apart.is_by_mx
    assert SHAPING.rule(apart).name == "small"
    assert SHAPING.set_apart("example.org", shared) is shared
    simulator = Route("simulator", ())
    assert SHAPING.set_apart("small.example", simulator) is simulator


def test_a_hop_whose_user_has_the_sign_in_its_name() -> None:
    odd = Route("hop:user#small@mail.example.org:25", (Host("mail.example.org", 25),))
    assert SHAPING.rule(odd).name == "hop"


def test_what_stands_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match=r'"b" mx: "\*\.a\.example" stands in rule "a" too'):
        Shaping(rule(""), [rule("a", mx=("*.a.example",)), rule("b", mx=("*.a.example",))])
    with pytest.raises(ConfigError, match='name = "a" stands twice'):
        Shaping(rule(""), [rule("a", mx=("a.example",)), rule("a", mx=("b.example",))])
