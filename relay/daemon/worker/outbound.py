"""The way out of one worker, joined: from the queue on disk to the receivers and back to the verdict.

``Outbound`` makes resolver, router, TLS contexts, scheduler, pools and the settler of outcomes from the
configuration, and starts and drains them in the right order. A new configuration is planned, then taken over:
``plan`` may refuse it and changes nothing, ``take_over`` does not fail.

Not here: how mail comes in, who may send (``wiring``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Protocol

from relay.base.budget import Budget
from relay.base.clock import Clock
from relay.base.log import MessageLog
from relay.base.message import Message
from relay.base.route import ANY_SOURCE, LaneLimits, Route, Source
from relay.base.simulator import simulator_domain
from relay.base.trace import UNWATCHED, Traces
from relay.daemon.settings import shaping_sections
from relay.daemon.settings.config import Config
from relay.daemon.translate import (
    delay_notices,
    endpoint_text,
    routing_rules,
    session_settings,
    sources_of,
    tls_rules,
)
from relay.traffic import late_notices
from relay.traffic.backoff import RetrySchedule, SiteBackoff
from relay.traffic.neighbours import Store
from relay.traffic.scheduler import Scheduler
from relay.traffic.settings import TrafficSettings
from relay.traffic.shaping import Shaping
from relay.traffic.shared_limits import Asking, SharedLimits
from relay.transport.https import Https
from relay.transport.mta_sts import StsPolicies
from relay.transport.pool import Pools
from relay.transport.resolve import Resolver
from relay.transport.route import Router
from relay.transport.rules import RoutingRule, Rules
from relay.transport.settings import PoolSettings
from relay.transport.simulator import ROUTE as SIMULATOR
from relay.transport.simulator import Simulator
from relay.transport.sts_fetch import PolicyFetcher
from relay.transport.sts_files import PolicyFiles
from relay.transport.suppressed import ROUTE as SUPPRESSED
from relay.transport.suppressed import answer as answer_suppressed
from relay.transport.tls_policy import TlsContexts
from relay.transport.tls_records import TlsRecords
from relay.transport.tls_rules import TlsRule, TlsRules
from relay.transport.tls_tally import TlsTally
from relay.verdict.bounce import BounceMaker, Prepare
from relay.verdict.settle import Settler

log = logging.getLogger(__name__)

_CEILING_S = 1.0  # the ledger learns of refused connections, and says within this time what may be had


@dataclass(frozen=True, slots=True)
class OutboundPlan:
    """What of a new configuration concerns the way out; everything that can fail is done."""

    config: Config
    routes: list[RoutingRule]
    tls_rules: list[TlsRule]
    schedule: RetrySchedule
    shaping: Shaping


class Stored(Store, late_notices.Store, Protocol):
    """All that the way out needs of a shard."""


class Outbound:
    """The objects of the way out; their owner is the event loop's thread."""

    def __init__(
        self,
        config: Config,
        shards: Mapping[int, Stored],
        prepare: Callable[[int], Prepare],
        clock: Clock,
        message_log: MessageLog,
        ask: Asking | None = None,
        traces: Traces = UNWATCHED,
    ) -> None:
        """``prepare(shard)`` makes a message of the relay's own; ``ask`` is the way to the ledger of lanes,
        without which all of a rule's numbers are this worker's."""
        self._config = config
        delivery = config.delivery
        self._shaping = shaping_sections.load(config)
        self.resolver = Resolver(
            clock, endpoint_text(delivery.resolver), delivery.resolver_timeout, dnssec=delivery.dnssec
        )
        self.tls_records = TlsRecords(config.spool.path)
        self.tls_tally = TlsTally(self.tls_records, clock, config.tls_reports.enabled)
        is_private_allowed = delivery.private_addresses == "allow"
        self.https = Https(self.resolver, str(delivery.ca_file or ""), is_private_allowed)
        self.sts = StsPolicies(
            self.resolver,
            PolicyFetcher(self.https, delivery.mta_sts_port),
            PolicyFiles(config.spool.path / "mta-sts"),
            self.tls_tally,
            clock,
            on_change=lambda domain: self.router.forget(domain),
        )
        self.router = Router(
            self.resolver,
            clock,
            {config.relay.hostname},
            routing_rules(config),
            delivery.port,
            simulator_domain=simulator_domain(config.signing.service_domain),
            tls_rules=tls_rules(config),
            policies=self.sts if delivery.mta_sts else None,
            set_apart=lambda domain, route: self._shaping.set_apart(domain, route),
        )
        self.contexts = TlsContexts(str(delivery.ca_file or ""))
        bounces = BounceMaker(config.relay.hostname, prepare, clock)
        self.settler = Settler(
            _schedule(config),
            bounces,
            clock,
            message_log,
            notices=delay_notices(config.delivery),
            hostname=config.relay.hostname,
        )
        self.scheduler = Scheduler(
            dict(shards),
            self.router,
            self.settler,
            self,
            clock,
            Budget(config.spool.fresh_memory),
            TrafficSettings(
                window=delivery.window,
                site_backoff=SiteBackoff(delivery.site_retry, delivery.site_retry_max),
            ),
            self._shaping,
            self.source_of,
        )
        self.sources = sources_of(config, _unknown_source)
        self.account_source: Callable[[int], str] = lambda account_id: ""  # the wiring knows
        self.simulator = Simulator(self.scheduler)
        self.suppressed = Simulator(self.scheduler, SUPPRESSED, answer_suppressed)
        self.pools = Pools(
            self.scheduler,
            self.resolver,
            self.contexts,
            PoolSettings(
                connections_per_site=0 if ask else delivery.connections_per_site,  # none without a share
                connections=delivery.connections,
                idle_s=delivery.idle,
                messages_per_connection=delivery.messages_per_connection,
                ceiling_s=_CEILING_S if ask else 60.0,
            ),
            session_settings(config),
            clock,
            tls_sessions=self.tls_tally,
            traces=traces,
        )
        self.late_notices = late_notices.LateNotices(
            shards,
            self.settler,
            self.scheduler.window,
            clock,
            self.scheduler.announce,
            self.scheduler.submit,
        )
        self.shares: SharedLimits | None = None
        if ask is not None:
            self.shares = SharedLimits(ask, clock, self.pools, self.scheduler.lanes)
            self.scheduler.lanes.opened = self.shares.opened
            self.scheduler.lanes.refused = self.shares.refused
            self.shares.failed = self.scheduler.site_is_down

    async def start(self, stack: AsyncExitStack) -> None:
        """Begin to deliver; end with the stack, which lets attempts in flight end within the bound."""
        await self.resolver.start(stack)
        await self.tls_tally.start(stack)
        await self.sts.start(stack)
        if self.shares is not None:
            await self.shares.start(stack)
        await self.scheduler.start(stack)
        await self.late_notices.start(stack)
        await self.simulator.start(stack)
        await self.pools.start(stack)
        stack.push_async_callback(self._drain)

    async def _drain(self) -> None:
        self.scheduler.drain()
        await self.pools.drain(self._config.workers.drain)

    def wake(self, route: Route, queued: int) -> None:
        """Attempts wait: call those who make them."""
        if route is SIMULATOR:
            self.simulator.wake(route, queued)
        elif route is SUPPRESSED:
            self.suppressed.wake(route, queued)
        else:
            if self.shares is not None:
                self.shares.wanted(route.lane, queued)
            self.pools.wake(route, queued)

    def source_of(self, message: Message) -> Source:
        """From where a message leaves."""
        sources = self.sources
        if sources.is_trivial:
            return ANY_SOURCE
        return sources.choose(self.account_source(message.account_id), message.id)

    def limit(self, lane: str, limits: LaneLimits | None) -> None:
        """What a lane may do from now on; None: it is no more."""
        self.pools.limit(lane, limits)

    @staticmethod
    def plan(config: Config) -> OutboundPlan:
        """All that can fail of taking over a configuration. Raises ConfigError, and nothing has changed."""
        routes = routing_rules(config)
        Rules(routes)
        rules = tls_rules(config)
        TlsRules(rules)
        return OutboundPlan(config, routes, rules, _schedule(config), shaping_sections.load(config))

    def take_over(self, plan: OutboundPlan) -> None:
        """A new configuration comes into force, for the next connection and the next retry."""
        config = plan.config
        self._shaping = plan.shaping
        self.scheduler.lanes.replace_rules(plan.shaping)
        self.router.replace_rules(
            plan.routes, simulator_domain(config.signing.service_domain), plan.tls_rules
        )
        self.contexts.forget()  # the CAs may be newer too
        self.https.forget()
        self.sources = sources_of(config, _unknown_source)
        self.settler.schedule = plan.schedule
        self.settler.telling.notices = delay_notices(config.delivery)
        self.scheduler.window.size = config.delivery.window
        self.scheduler.budget.limit_bytes = config.spool.fresh_memory
        self._config = config


def _unknown_source(name: str) -> None:
    log.warning(
        "an account's source is not in the configuration; its mail leaves from the default",
        extra={"source": name, "fix": "add a [[source]] or [[source_pool]], or relay account set --source"},
    )


def _schedule(config: Config) -> RetrySchedule:
    return RetrySchedule(config.delivery.retry_schedule, config.delivery.retry_jitter)
