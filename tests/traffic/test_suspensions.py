"""What a suspension covers: a table."""

import pytest

from relay.base.route import Host, Route
from relay.directory.records import Suspended, Suspension
from relay.traffic.suspensions import Suspensions

TWO = Route("mx:mx1.big.example,mx2.big.example", (Host("mx1.big.example"), Host("mx2.big.example")))
HOP = Route("hop:127.0.0.1:2525", (Host("127.0.0.1", 2525),))


def suspended(kind: str, name: str, reason: str = "") -> Suspensions:
    return Suspensions([Suspension(Suspended(kind), name, reason, 0.0)], {"shop": 7, "blog": 8})


@pytest.mark.parametrize(
    ("kind", "name", "route", "domain", "account", "is_covered"),
    [
        ("account", "shop", TWO, "a.example", 7, True),
        ("account", "shop", None, "a.example", 7, True),
        ("account", "shop", TWO, "a.example", 8, False),
        ("account", "gone", TWO, "a.example", 7, False),
        ("domain", "a.example", TWO, "a.example", 7, True),
        ("domain", "a.example", None, "a.example", 7, True),
        ("domain", "a.example", TWO, "b.a.example", 7, False),
        ("domain", ".a.example", TWO, "c.b.a.example", 7, True),
        ("domain", ".a.example", TWO, "a.example", 7, True),
        ("domain", ".a.example", TWO, "ba.example", 7, False),
        ("domain", ".a.example", TWO, "", 7, False),
        ("domain", "a.example", HOP, "127.0.0.1:2525", 7, False),
        ("site", TWO.site, TWO, "a.example", 7, True),
        ("site", TWO.site, None, "a.example", 7, False),
        ("site", TWO.site, HOP, "a.example", 7, False),
        ("site", "mx2.big.example", TWO, "a.example", 7, True),
        ("site", ".big.example", TWO, "a.example", 7, True),
        ("site", "mx3.big.example", TWO, "a.example", 7, False),
        ("site", "127.0.0.1", HOP, "a.example", 7, True),
        ("site", "hop:127.0.0.1:2525", HOP, "a.example", 7, True),
    ],
)
def test_what_is_covered(
    kind: str, name: str, route: Route | None, domain: str, account: int, is_covered: bool
) -> None:
    assert bool(suspended(kind, name).covers(route, domain, account)) is is_covered


def test_it_says_what_and_why() -> None:
    said = suspended("domain", "a.example", "they asked us").covers(TWO, "a.example", 1)
    assert said == "domain a.example is suspended: they asked us"
    assert suspended("account", "blog").covers(TWO, "a.example", 8) == "account blog is suspended"


def test_nothing_is_suspended() -> None:
    assert not Suspensions().is_any
    assert not suspended("account", "gone").is_any
    assert Suspensions().covers(TWO, "a.example", 1) == ""
    assert suspended("site", "x").is_any
