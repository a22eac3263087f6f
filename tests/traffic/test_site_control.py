"""A site that fails, is left alone, and answers again."""

from relay.base.outcome import Deferred, Reason, Scope
from relay.base.route import LaneLimits
from relay.traffic.backoff import SiteBackoff
from relay.traffic.site_control import SiteControl
from relay.traffic.site_rule import SiteRule

DOWN = Deferred(Scope.SITE, Reason.CONNECT, detail="no route to host")


def test_down_and_up_again() -> None:
    control = SiteControl(SiteRule(), SiteBackoff(30, 300))
    assert not control.is_down(100.0)
    control.unreachable(100.0, DOWN, 0.5)
    assert (control.is_down(129.9), control.is_down(130.0)) == (True, False)
    control.unreachable(130.0, DOWN, 0.5)
    assert (control.is_down(189.9), control.is_down(190.0)) == (True, False)
    control.reached(131.0)
    assert not control.is_down(131.0)
    control.unreachable(200.0, DOWN, 0.5)
    assert control.retry_at == 230.0  # the doubling starts anew


def test_a_share_bounds_the_connections_until_all_is_ours_again() -> None:
    control = SiteControl(SiteRule(connections=5, messages_per_connection=7), SiteBackoff())
    control.share(2, None)
    assert control.limits == LaneLimits(2, 7)
    control.share(9, None)
    assert control.limits == LaneLimits(5, 7)
    control.share(0, None)
    assert control.limits.connections == 0
    control.share(None, None)
    assert control.limits == LaneLimits(5, 7)
