"""How much may come back."""

from relay.ingress import inbound_rate
from relay.ingress.inbound_rate import InboundRate


def taken(rate: InboundRate, address: str, now: float, tries: int = 1000) -> int:
    return sum([rate.take(address, now) for _ in range(tries)])


def test_ten_seconds_worth_at_once_and_then_the_rate() -> None:
    rate = InboundRate(total=100.0, per_address=2.0)
    assert taken(rate, "192.0.2.1", 0.0) == 20
    assert taken(rate, "192.0.2.1", 0.4) == 0
    assert taken(rate, "192.0.2.1", 0.5) == 1
    assert taken(rate, "192.0.2.2", 0.5) == 20
    assert taken(rate, "192.0.2.1", 1000.0) == 20


def test_all_addresses_together_are_bounded_and_a_refusal_costs_nothing() -> None:
    rate = InboundRate(total=3.0, per_address=2.0)
    assert [taken(rate, f"192.0.2.{n}", 0.0) for n in range(3)] == [20, 10, 0]
    assert taken(rate, "192.0.2.2", 10.0) == 20


def test_an_ipv6_network_is_one() -> None:
    rate = InboundRate(total=0.0, per_address=1.0)
    assert taken(rate, "2001:db8::1", 0.0) == 10
    assert not rate.take("2001:db8::2", 0.0)
    assert rate.take("2001:db8:0:1::1", 0.0)


def test_none_is_no_bound_and_less_than_one_a_second_is_one_sometimes() -> None:
    assert taken(InboundRate(0.0, 0.0), "192.0.2.1", 0.0) == 1000
    slow = InboundRate(total=0.0, per_address=0.01)
    assert taken(slow, "192.0.2.1", 0.0) == 1
    assert not slow.take("192.0.2.1", 99.0)
    assert slow.take("192.0.2.1", 100.0)


def test_the_table_is_bounded(monkeypatch) -> None:
    monkeypatch.setattr(inbound_rate, "_MOST", 4)
    rate = InboundRate(total=0.0, per_address=1.0)
    assert all(rate.take(f"192.0.2.{n}", float(n * 100)) for n in range(50))
    assert len(rate._by_address) <= 4
    assert all(rate.take(f"198.51.100.{n}", 10_000.0) for n in range(50))
    assert len(rate._by_address) <= 4
