"""What is required of a session: every source of demands, against what the DNS says."""

from dataclasses import replace

import pytest

from relay.base.message import TlsWish
from relay.base.route import Host, Route, TlsMode
from relay.base.tls import TlsDemand
from relay.base.tls_session import TlsFailure, TlsPolicy, TlsPolicyType
from relay.codec.tlsa import Tlsa
from relay.transport.tls_decision import (
    NO_TLSA,
    TlsaFound,
    TlsaState,
    TlsPlan,
    Unfit,
    asks_tlsa,
    decide,
)

MX = "mx.example.org"
ROUTE = Route(f"mx:{MX}", (Host(MX),), domain="example.org")
RECORD = Tlsa(3, 1, 1, bytes(32))
USABLE = TlsaFound(TlsaState.USABLE, (RECORD,), MX)
UNUSABLE = TlsaFound(TlsaState.UNUSABLE, name=MX)
UNKNOWN = TlsaFound(TlsaState.UNKNOWN, detail="SERVFAIL")
STS = TlsPolicy("example.org", TlsPolicyType.STS, ("mode: enforce",), ("*.example.org",))
ELSEWHERE = replace(STS, mx=("mx.elsewhere.example",))
ENFORCED = TlsDemand(sts=STS, is_sts_enforced=True)
OPPORTUNISTIC, ENCRYPT, REQUIRED = TlsMode.OPPORTUNISTIC, TlsMode.ENCRYPT, TlsMode.REQUIRED
DANE, NONE, WRAPPER = TlsMode.DANE_ONLY, TlsMode.NONE, TlsMode.WRAPPER
WRONG = TlsFailure.VALIDATION_FAILURE


def asked(mode: TlsMode = OPPORTUNISTIC, **demand: object) -> Route:
    return replace(ROUTE, tls=mode, demand=TlsDemand(**demand))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("route", "tlsa", "expected"),
    [
        # nothing but the mode
        (asked(), NO_TLSA, OPPORTUNISTIC),
        (asked(ENCRYPT), NO_TLSA, ENCRYPT),
        (asked(REQUIRED), NO_TLSA, REQUIRED),
        (asked(NONE), NO_TLSA, NONE),
        (asked(DANE), NO_TLSA, TlsFailure.DANE_REQUIRED),
        # DANE raises the first two; where it cannot tell, nothing goes
        (asked(), USABLE, DANE),
        (asked(), UNUSABLE, ENCRYPT),
        (asked(), UNKNOWN, TlsFailure.DNSSEC_INVALID),
        (asked(ENCRYPT), USABLE, DANE),
        (asked(ENCRYPT), UNUSABLE, ENCRYPT),
        (asked(DANE), USABLE, DANE),
        (asked(DANE), UNUSABLE, TlsFailure.DANE_REQUIRED),
        (asked(DANE), UNKNOWN, TlsFailure.DNSSEC_INVALID),
        # MTA-STS asks for a named host and the CAs; DANE comes before it
        (asked(sts=STS, is_sts_enforced=True), NO_TLSA, REQUIRED),
        (asked(sts=STS, is_sts_enforced=True), USABLE, DANE),
        (asked(sts=STS, is_sts_enforced=True), UNUSABLE, REQUIRED),
        (asked(sts=STS, is_sts_enforced=True), UNKNOWN, TlsFailure.DNSSEC_INVALID),
        (asked(sts=ELSEWHERE, is_sts_enforced=True), NO_TLSA, WRONG),
        (asked(sts=ELSEWHERE, is_sts_enforced=True), USABLE, DANE),
        (asked(sts=ELSEWHERE), NO_TLSA, OPPORTUNISTIC),  # only tested
        (asked(ENCRYPT, sts=STS, is_sts_enforced=True), NO_TLSA, REQUIRED),
        # REQUIRETLS: the host must be vouched for, then its certificate
        (asked(is_requiretls=True), NO_TLSA, WRONG),
        (asked(is_requiretls=True), USABLE, WRONG),
        (asked(is_requiretls=True, is_mx_secure=True), NO_TLSA, REQUIRED),
        (asked(is_requiretls=True, is_mx_secure=True), UNUSABLE, REQUIRED),
        (asked(is_requiretls=True, is_mx_secure=True), USABLE, DANE),
        (asked(is_requiretls=True, sts=STS, is_sts_enforced=True), NO_TLSA, REQUIRED),
        (asked(is_requiretls=True, sts=STS), NO_TLSA, WRONG),
        (asked(is_requiretls=True, sts=ELSEWHERE, is_sts_enforced=True), NO_TLSA, WRONG),
        (asked(NONE, is_requiretls=True), NO_TLSA, WRONG),
        (asked(ENCRYPT, is_requiretls=True, is_mx_secure=True), NO_TLSA, REQUIRED),
    ],
)
def test_never_less_than_each_of_them_requires(
    route: Route, tlsa: TlsaFound, expected: TlsMode | TlsFailure
) -> None:
    found = decide(route, MX, tlsa)
    assert (found.mode if isinstance(found, TlsPlan) else found.failure) is expected
    if isinstance(found, Unfit):
        assert found.detail
    elif found.mode is DANE:
        assert (found.records, found.name) == ((RECORD,), MX)
    if isinstance(found, TlsPlan):
        assert found.may_fall_back is (expected is OPPORTUNISTIC)


def test_a_policy_in_testing_is_tried_first() -> None:
    plan = decide(asked(sts=STS), MX)
    assert isinstance(plan, TlsPlan)
    assert (plan.try_first, plan.mode, plan.policy) == (REQUIRED, OPPORTUNISTIC, STS)
    plan = decide(asked(sts=ELSEWHERE), MX)
    assert isinstance(plan, TlsPlan)
    assert (plan.try_first, plan.mode) == (None, OPPORTUNISTIC)
    assert plan.amiss is not None
    assert plan.amiss[0] is WRONG


def test_a_route_to_a_next_hop_needs_no_one_to_vouch_for_its_name() -> None:
    hop = Route("hop:smart:25", (Host("smart"),), tls=OPPORTUNISTIC).wished(TlsWish.REQUIRED)
    plan = decide(hop, "smart")
    assert isinstance(plan, TlsPlan)
    assert plan.mode is REQUIRED


def test_whose_tlsa_records_are_asked_for() -> None:
    assert asks_tlsa(asked())
    assert asks_tlsa(asked(ENCRYPT))
    assert asks_tlsa(asked(DANE))
    assert not asks_tlsa(asked(has_dane=False))
    assert not asks_tlsa(asked(REQUIRED))
    assert not asks_tlsa(asked(NONE))
    assert not asks_tlsa(Route("hop:smart:25", (Host("smart"),)))
    assert asks_tlsa(Route("hop:smart:25", (Host("smart"),), tls=DANE))


def test_a_message_that_waives_it_gets_what_the_administrator_set_and_no_more() -> None:
    for mode, expected in ((OPPORTUNISTIC, OPPORTUNISTIC), (ENCRYPT, ENCRYPT), (REQUIRED, REQUIRED)):
        route = replace(ROUTE, tls=mode, demand=ENFORCED).wished(TlsWish.OPTIONAL)
        plan = decide(route, MX)
        assert isinstance(plan, TlsPlan)
        assert plan.mode is expected
        assert not (mode is OPPORTUNISTIC and asks_tlsa(route))


def test_it_is_noted_under_the_policy_that_counted() -> None:
    assert decide(asked(), MX).policy == TlsPolicy("example.org")
    assert decide(asked(sts=STS, is_sts_enforced=True), MX).policy is STS
    by_dane = decide(asked(sts=STS, is_sts_enforced=True), MX, USABLE).policy
    assert by_dane == TlsPolicy("example.org", TlsPolicyType.TLSA, (str(RECORD),))
