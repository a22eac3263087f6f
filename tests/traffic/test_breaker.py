"""A site that is left alone, probed, and let back in."""

from relay.traffic.backoff import SiteBackoff
from relay.traffic.breaker import Breaker


def test_it_opens_for_longer_each_time_and_closes_with_an_answer() -> None:
    breaker = Breaker(SiteBackoff(30, 300))
    now, waits = 0.0, []
    for _ in range(6):
        breaker.fail(now, "connect: refused", 0.5)
        assert breaker.is_open(now)
        waits.append(breaker.retry_at - now)
        now = breaker.retry_at
        assert not breaker.is_open(now)
        assert breaker.is_probing
    assert waits == [30.0, 60.0, 120.0, 240.0, 300.0, 300.0]
    breaker.greeted()
    assert breaker.is_probing  # a greeting alone proves nothing
    breaker.close()
    assert not breaker.is_probing
    breaker.fail(now, "connect: refused", 0.5)
    assert breaker.retry_at == now + 30.0


def test_a_dead_site_is_probed_at_most_eighteen_times_an_hour() -> None:
    breaker = Breaker(SiteBackoff())
    now, probes = 0.0, 0
    while now < 3600.0:
        probes += 1
        breaker.fail(now, "connect: timed out", 0.0)
        now = breaker.retry_at
    assert probes <= 18
