"""What a message may ask of TLS, and what it may waive."""

from dataclasses import replace

import pytest

from relay.base.message import TlsWish
from relay.base.route import Host, Route, TlsMode
from relay.base.tls import USUAL_DEMAND, TlsDemand, version_of, with_wish
from relay.base.tls_session import TlsPolicy, TlsPolicyType

USUAL = Route("mx:mx.example", (Host("mx.example"),))
STS = TlsPolicy("example.org", TlsPolicyType.STS, (), ("mx.example",))


def test_a_message_without_a_wish_changes_nothing():
    assert USUAL.wished(TlsWish.NONE) is USUAL


def test_requiretls_adds_to_what_is_asked():
    wished = replace(USUAL, demand=TlsDemand(sts=STS, is_sts_enforced=True)).wished(TlsWish.REQUIRED)
    assert wished.demand.is_requiretls
    assert wished.demand.sts is STS


def test_tls_required_no_takes_away_what_the_receiver_published():
    demand = TlsDemand(sts=STS, is_sts_enforced=True, is_mx_secure=True)
    wished = replace(USUAL, demand=demand).wished(TlsWish.OPTIONAL)
    assert (wished.tls, wished.demand.sts, wished.demand.has_dane) == (TlsMode.OPPORTUNISTIC, None, False)


def test_tls_required_no_does_not_take_away_what_the_administrator_set():
    for mode in (TlsMode.ENCRYPT, TlsMode.REQUIRED, TlsMode.DANE_ONLY):
        wished = replace(USUAL, tls=mode, demand=replace(USUAL_DEMAND, is_explicit=True))
        assert wished.wished(TlsWish.OPTIONAL).tls is mode


def test_what_a_message_waived_is_not_reported() -> None:
    rule = TlsDemand(has_dane=False, is_explicit=True)  # the administrator's word, not the message's
    waived = [with_wish(TlsMode.OPPORTUNISTIC, one, TlsWish.OPTIONAL)[1] for one in (USUAL_DEMAND, rule)]
    assert [one.is_waived for one in (*waived, USUAL_DEMAND, rule)] == [True, False, False, False]


@pytest.mark.parametrize(
    ("described", "version"),
    [
        ("TLSv1.3 TLS_AES_256_GCM_SHA384 (DANE)", "TLSv1.3"),
        ("TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256", "TLSv1.2"),
        ("TLSv1.1 X", "other"),
        ("None", "other"),
        ("", "none"),
    ],
)
def test_versions_are_counted_under_few_words(described: str, version: str) -> None:
    assert version_of(described) == version
