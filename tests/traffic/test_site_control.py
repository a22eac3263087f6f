"""A site that fails, is left alone, and answers again."""

from relay.base.outcome import Deferred, Reason, Scope
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
