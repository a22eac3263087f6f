import pytest

from relay.ingress.connections import LocalTally, neighbourhood


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("not:an:address", "not:an:address"),
    ],
)
def test_neighbourhood(address, counted_as):
    assert neighbourhood(address) == counted_as


def test_limits_in_all_and_per_address():
    tally = LocalTally(max_total=3, max_per_address=2)
    assert [tally.enter("192.0.2.1") for _ in range(3)] == [True, True, False]
    assert tally.enter("192.0.2.2")
    assert not tally.enter("192.0.2.3")
    tally.leave("192.0.2.1")
    assert tally.enter("192.0.2.3")
    assert tally.total == 3


def test_a_network_of_ipv6_is_one_client():
    tally = LocalTally(max_per_address=2)
    assert [tally.enter(f"2001:db8::{n}") for n in range(1, 4)] == [True, True, False]
    assert tally.enter("2001:db8:0:1::1")
