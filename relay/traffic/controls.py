"""The controls of all lanes, and what they have in common.

Contract: ``open`` makes the control of a lane. Lanes that lead from one source to one receiver share a flow,
so that the receiver sees one pace and one number of connections, not one for each: the lanes of a site that
differ in what is asked of TLS, and all sites of a rule with ``rollup``. The name they share it under is that
of their *group*, and their connections are counted together under it. Each lane has a breaker of its own.

``replace_rules`` brings new bounds; what was found out about a receiver stays.

Memory: a flow goes with the last of its lanes.
"""

from __future__ import annotations

from weakref import WeakValueDictionary

from relay.base.route import Route
from relay.traffic.backoff import SiteBackoff
from relay.traffic.flow import Flow
from relay.traffic.site_control import SiteControl
from relay.traffic.site_rule import SiteRule, SiteRules


class Controls:
    """Makes them, and knows who shares what. Owner: the lanes."""

    __slots__ = ("_backoff", "_flows", "_rules")

    def __init__(self, rules: SiteRules, backoff: SiteBackoff) -> None:
        self._rules = rules
        self._backoff = backoff
        self._flows: WeakValueDictionary[str, Flow] = WeakValueDictionary()

    def open(self, route: Route) -> SiteControl:
        """The control of a lane that is new."""
        flow = self._flow(route)
        return SiteControl(flow.rule, self._backoff, flow)

    def replace_rules(self, rules: SiteRules) -> None:
        """Other rules; the lanes there are hear of it by ``renew``."""
        self._rules = rules

    def renew(self, route: Route, control: SiteControl) -> None:
        """Give a lane the bounds that the rules now have for it."""
        rule = self._rules.rule(route)
        if group_of(route, rule) == control.flow.group:
            control.flow.obey(rule)
        else:
            control.flow = self._flow(route)

    def _flow(self, route: Route) -> Flow:
        rule = self._rules.rule(route)
        group = group_of(route, rule)
        flow = self._flows.get(group)
        if flow is None:
            flow = self._flows[group] = Flow(rule, group)
        return flow


def group_of(route: Route, rule: SiteRule) -> str:
    """Under which name lanes share what a rule allows: ``rule:NAME`` or the site, and the source."""
    name = f"rule:{rule.name}" if rule.is_rollup else route.site
    return f"{name}@{route.source.name}" if route.source.name else name
