"""The one place where the stages meet: the objects of one worker, joined.

Order of start: directory, spool, transport and traffic, then ingress; the stack unwinds in reverse, so that
ingress stops taking mail first and the spool commits last. ``reload`` takes over what a new configuration may
change without a restart and returns the names of what it may not.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from relay.base.budget import Budget
from relay.base.clock import Clock
from relay.base.errors import ConfigError, DirectoryError
from relay.base.events import Change
from relay.base.log import MessageLog
from relay.base.message import Submission
from relay.base.route import Route
from relay.base.tasks import Tasks
from relay.codec.headers import Header
from relay.daemon.config import Config, ListenerSection
from relay.directory import keys
from relay.directory.refresh import LiveSnapshot
from relay.directory.store import Directory
from relay.ingress.auth import Throttle
from relay.ingress.connections import Tally
from relay.ingress.counters import Counters
from relay.ingress.intake import Intake
from relay.ingress.listeners import Listener, start_all
from relay.ingress.settings import ListenerSettings
from relay.ingress.surroundings import Grant, Surroundings
from relay.ingress.tls import Certificate
from relay.policy.sending import Policy
from relay.signing.signer import Signer
from relay.spool.shard import Shard, SpoolLimits
from relay.traffic.backoff import RetrySchedule, SiteBackoff
from relay.traffic.scheduler import Scheduler, Store, TrafficSettings
from relay.transport.pool import Pools
from relay.transport.resolve import Resolver
from relay.transport.route import Router
from relay.transport.rules import RoutingRule
from relay.transport.settings import PoolSettings, SessionSettings
from relay.transport.tls_policy import TlsContexts
from relay.verdict.bounce import BounceMaker, Prepare
from relay.verdict.settle import Settler

log = logging.getLogger(__name__)


def load_service_keys(config: Config) -> tuple[keys.SigningKey, ...]:
    """The keys of the service domain. Raises ConfigError."""
    loaded = []
    for one in config.signing.service_key:
        try:
            pem = one.file.read_bytes()
        except OSError as error:
            raise ConfigError(f"[[signing.service_key]] file: {one.file}: {error.strerror}") from error
        for algorithm in ("rsa-sha256", "ed25519-sha256"):
            try:
                loaded.append(keys.load(pem, config.signing.service_domain, one.selector, algorithm))
                break
            except Exception as error:
                reason = error
        else:
            raise ConfigError(f"[[signing.service_key]] file: {one.file}: no RSA or Ed25519 key: {reason}")
    return tuple(loaded)


def routing_rules(config: Config) -> list[RoutingRule]:
    """The ``[[route]]`` tables as the router wants them."""
    return [
        RoutingRule(
            domain=one.domain,
            next_hop=_endpoint(one.next_hop),
            tls=one.tls,
            username=one.username,
            password_file=str(one.password_file or ""),
        )
        for one in config.route
    ]


class Logins:
    """Who may log in, as ingress asks it. While the directory cannot be read, those whom the last snapshot
    knows still may; of others no one can say that they may not, so they hear "temporary" (454)."""

    def __init__(self, live: LiveSnapshot) -> None:
        self._live = live

    def authenticate(self, username: str, password: str) -> Grant | None:
        """The credential that these prove. Raises DirectoryError if no one can say."""
        grant = self._live.current.authenticate(username, password)
        if grant is None and self._live.is_stale:
            raise DirectoryError("the directory cannot be read at present")
        return grant


class Entrance:
    """The spool as intake sees it: the scheduler hears of a message before it is stored."""

    def __init__(self, shard: Shard, scheduler: Scheduler) -> None:
        self._shard = shard
        self._scheduler = scheduler

    def commit(self, change: Change) -> asyncio.Future[None]:
        """Store, knowing whether the message will stay in memory."""
        for message in change.stored:
            self._scheduler.announce(message)
        return self._shard.commit(change)


class Signing:
    """The signer that is current; a reload replaces it."""

    def __init__(self, current: Signer) -> None:
        self.current = current

    def sign(
        self,
        submission: Submission,
        header: Header,
        message_id: str,
        now: float,
        keys: Sequence[keys.SigningKey],
    ) -> bytes:
        """The content as it leaves."""
        return self.current.sign(submission, header, message_id, now, keys)


class Works:
    """All parts of one worker. Made with ``await Works.start(...)``."""

    def __init__(self, config: Config, worker: int, clock: Clock, message_log: MessageLog) -> None:
        self.config = config
        self.worker = worker
        self.clock = clock
        self.message_log = message_log
        self.counters = Counters()
        self.shards: dict[int, Shard] = {}
        self.listeners: list[Listener] = []
        self.certificate: Certificate | None = None

    async def start(
        self, stack: AsyncExitStack, sockets: list[list[socket.socket]], tally: Tally, orphans: list[int]
    ) -> None:
        """Start everything. ``sockets``: bound ones, a list per listener; ``orphans``: shards to adopt."""
        config = self.config
        tls = config.tls
        if tls.certificate and tls.private_key:
            self.certificate = Certificate(tls.certificate, tls.private_key)
        await self._start_directory(stack)
        own = self.worker + 1
        spool = config.spool
        limits = SpoolLimits(spool.disk_reserve, spool.large_message, spool.keep_events, spool.uncertain_age)
        for number in [own, *orphans]:
            self.shards[number] = await Shard.open(spool.path, number, limits, self.clock, stack)
        self._build()
        await self.resolver_tasks(stack)
        await self.scheduler.start(stack)
        await self.pools.start(stack)
        stack.push_async_callback(self._drain)
        self.around = Surroundings(
            intake=self.intakes[own],
            accounts=Logins(self.live),
            tally=tally,
            throttle=Throttle(),
            budget=Budget(config.limits.receive_memory),
            counters=self.counters,
            clock=self.clock,
            certificate=self.certificate,
        )
        for section, bound in zip(config.listener, sockets, strict=True):
            drain_s = config.workers.drain
            self.listeners.append(Listener(self.listener_settings(section), self.around, bound, drain_s))
        await self.around.tasks.start(stack)
        await start_all(self.listeners, stack)

    async def _start_directory(self, stack: AsyncExitStack) -> None:
        section = self.config.directory
        self.directory = Directory(section.url, section.key_file, section.region)
        stack.callback(self.directory.close)
        self.live = LiveSnapshot(self.directory)
        await self.live.start(stack)

    def _build(self) -> None:
        """The parts that need no waiting."""
        config, clock = self.config, self.clock
        delivery = config.delivery
        self.tasks = Tasks("intake")
        self.resolver = Resolver(clock, _endpoint(delivery.resolver), delivery.resolver_timeout)
        own_names = {config.relay.hostname}
        self.router = Router(self.resolver, clock, own_names, routing_rules(config), delivery.port)
        self.contexts = TlsContexts(str(delivery.ca_file or ""))
        bounces = BounceMaker(config.relay.hostname, self._prepare, clock)
        schedule = RetrySchedule(delivery.retry_schedule, delivery.retry_jitter)
        self.settler = Settler(schedule, bounces, clock, self.message_log)
        stores: dict[int, Store] = {**self.shards}
        self.scheduler = Scheduler(
            stores,
            self.router,
            self.settler,
            self._wake,
            clock,
            Budget(config.spool.fresh_memory),
            TrafficSettings(
                window=delivery.window,
                site_backoff=SiteBackoff(delivery.site_retry, delivery.site_retry_max),
            ),
        )
        self.pools = Pools(
            self.scheduler,
            self.resolver,
            self.contexts,
            PoolSettings(
                connections_per_site=delivery.connections_per_site,
                connections=delivery.connections,
                idle_s=delivery.idle,
                messages_per_connection=delivery.messages_per_connection,
            ),
            session_settings(config),
            clock,
        )
        service_keys = load_service_keys(config)
        self.signing = Signing(Signer(config.relay.hostname, config.signing.service_domain, service_keys))
        self.intakes = {
            number: Intake(
                policy=Policy(self.live),
                signer=self.signing,
                spool=Entrance(shard, self.scheduler),
                on_stored=self.scheduler.submit,
                clock=clock,
                shard=number,
                max_age_s=delivery.max_age,
                counters=self.counters,
                tasks=self.tasks,
                message_log=self.message_log,
            )
            for number, shard in self.shards.items()
        }

    async def resolver_tasks(self, stack: AsyncExitStack) -> None:
        """Tasks of intake and of the resolver end with the stack."""
        await self.tasks.start(stack)
        await self.resolver.start(stack)

    def _prepare(self, shard: int) -> Prepare:
        return self.intakes[shard].prepare

    def _wake(self, route: Route, queued: int) -> None:
        self.pools.wake(route, queued)

    async def _drain(self) -> None:
        """No new attempts; those in flight may end within the bound."""
        self.scheduler.drain()
        await self.pools.drain(self.config.workers.drain)

    def listener_settings(self, section: ListenerSection) -> ListenerSettings:
        """What one listener is told. Raises ConfigError if its account does not exist."""
        account_id = 0
        if section.account:
            account = self.live.current.account_named(section.account)
            if account is None:
                raise ConfigError(
                    f'[[listener]] account = "{section.account}": no such account; '
                    f"make it with `relay account create {section.account}`"
                )
            account_id = account.id
        limits = self.config.limits
        return ListenerSettings(
            hostname=self.config.relay.hostname,
            tls=section.tls,
            auth=section.auth,
            trusted_networks=tuple(section.trusted_networks),
            account_id=account_id,
            proxy_protocol=section.proxy_protocol,
            proxy_networks=tuple(section.proxy_networks),
            max_message_bytes=limits.message_size,
            max_recipients=limits.recipients,
            command_timeout_s=limits.command_timeout,
            data_timeout_s=limits.data_timeout,
        )

    def reload(self, config: Config) -> list[str]:
        """Take over a new configuration; returns the settings that need a restart. Raises ConfigError, and
        then nothing has changed."""
        old, restart = self.config, []
        service_keys = load_service_keys(config)
        self.router.replace_rules(routing_rules(config))
        if self.certificate is not None:
            if (config.tls.certificate, config.tls.private_key) != (old.tls.certificate, old.tls.private_key):
                restart.append("[tls] certificate, private_key (the paths; new content was read)")
            self.certificate.reload()
        delivery = config.delivery
        self.settler.schedule = RetrySchedule(delivery.retry_schedule, delivery.retry_jitter)
        self.scheduler.window.size = delivery.window
        self.scheduler.budget.limit_bytes = config.spool.fresh_memory
        self.around.budget.limit_bytes = config.limits.receive_memory
        signing = config.signing
        self.signing.current = Signer(config.relay.hostname, signing.service_domain, service_keys)
        for intake in self.intakes.values():
            intake.max_age_s = delivery.max_age
        if len(config.listener) == len(self.listeners):
            for listener, section in zip(self.listeners, config.listener, strict=True):
                listener.settings = self.listener_settings(section)
        for name in ("listener", "spool", "directory", "workers", "metrics"):
            if getattr(config, name) != getattr(old, name):
                restart.append(f"[{name}]")
        self.config = config
        return restart

    def readings(self) -> dict[str, Any]:
        """All numbers of this worker, for the scrape: plain integers, read where they are counted."""
        c, s, p = self.counters, self.settler, self.pools
        committers = [shard.committer for shard in self.shards.values()]
        return {
            "accepted": c.accepted,
            "accepted_bytes": c.accepted_bytes,
            "refused": {str(code): count for code, count in c.refused.items()},
            "client_connections": c.connections,
            "client_connections_refused": c.connections_refused,
            "client_sessions": c.sessions,
            "client_tls_sessions": c.tls_sessions,
            "client_tls_failures": c.tls_failures,
            "auth_successes": c.auth_successes,
            "auth_failures": c.auth_failures,
            "client_timeouts": c.timeouts,
            "client_troubles": c.troubles,
            "delivered": s.delivered,
            "deferred": s.deferred,
            "failed": s.failed,
            "expired": s.expired,
            "delivery_seconds": s.delivery_seconds,
            "reasons": {reason.value: count for reason, count in s.reasons.items() if count},
            "connections": p.open,
            "connections_idle": p.idle,
            "connections_opened": p.opened_total,
            "connections_failed": p.failed_total,
            "window": self.scheduler.window.held,
            "window_size": self.scheduler.window.size,
            "fresh_bytes": self.scheduler.budget.used_bytes,
            "receive_bytes": self.around.budget.used_bytes,
            "loaded": self.scheduler.loads,
            "sites": len(self.scheduler.sites()),
            "sites_down": sum(down for _, _, down in self.scheduler.sites()),
            "commits": sum(x.commits for x in committers),
            "changes": sum(x.changes for x in committers),
            "commit_seconds": sum(x.commit_seconds for x in committers),
            "commit_failures": sum(x.failures for x in committers),
            "spool_failing": any(x.is_failing for x in committers),
            "spool_full": any(shard.is_full for shard in self.shards.values()),
            "corrupt": sum(shard.corrupt for shard in self.shards.values()),
            "uncertain_found": sum(shard.uncertain_found for shard in self.shards.values()),
            "directory_stale": self.live.is_stale,
            "directory_revision": self.live.current.revision,
        }


def session_settings(config: Config) -> SessionSettings:
    """Timeouts of the dialogue as client; ``reply_timeout`` bounds each reply but that to the dot."""
    delivery = config.delivery
    reply_s = delivery.reply_timeout
    return SessionSettings(
        helo_name=config.relay.hostname,
        source_address=delivery.source_address,
        connect_s=delivery.connect_timeout,
        greeting_s=reply_s,
        ehlo_s=reply_s,
        auth_s=reply_s,
        mail_s=reply_s,
        rcpt_s=reply_s,
        data_s=min(reply_s, 120.0),
        block_s=min(reply_s, 180.0),
        dot_s=2 * reply_s,
    )


def _endpoint(address: tuple[str, int] | None) -> str:
    if address is None:
        return ""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
