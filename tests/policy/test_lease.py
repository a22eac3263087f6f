"""What is in hand, and what of it goes back."""

from relay.policy.lease import LEASE_S, Lease
from relay.policy.ledger import Slice


def test_it_is_spent_until_it_ends() -> None:
    lease = Lease()
    assert lease.is_empty
    assert not lease.spend(1, 1, 0.0)
    lease.add(Slice(3, 2, 7), 10.0)
    assert lease.spend(1, 1, 10.0)
    assert not lease.spend(1, 2, 10.0)  # more than the quota in hand
    assert lease.spend(2, 0, 10.0)  # to the simulator
    assert not lease.spend(1, 0, 10.0)
    assert not lease.is_empty
    assert not lease.spend(0, 1, 10.0 + LEASE_S)
    assert lease.end() == (0, [(7, 1)])
    assert lease.is_empty
    assert lease.end() == (0, [])


def test_the_next_slice_is_asked_for_at_half_of_one() -> None:
    lease = Lease()
    lease.add(Slice(100, 100, 7), 0.0)
    assert lease.low == 50


def test_the_oldest_is_spent_first() -> None:
    lease = Lease()
    lease.add(Slice(10, 10, 7), 0.0)
    for _ in range(8):
        lease.spend(1, 1, 0.0)
    lease.add(Slice(10, 10, 8), 0.0)
    assert lease.minute == 7
    lease.spend(1, 1, 0.0)
    assert lease.end() == (11, [(7, 1), (8, 10)])


def test_minutes_that_are_spent_are_forgotten() -> None:
    lease = Lease()
    lease.add(Slice(10, 10, 7), 0.0)
    for minute in range(8, 30):
        for _ in range(10):
            assert lease.spend(1, 1, 0.0)
        lease.add(Slice(10, 10, minute), 0.0)
        assert lease.minute == minute
    assert lease.end() == (10, [(29, 10)])
