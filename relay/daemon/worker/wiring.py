"""The one place where the stages meet: the objects of one worker, joined.

Order of start: directory, spool, transport and traffic, then ingress; the stack unwinds in reverse, so that
ingress stops taking mail first and the spool commits last. A new configuration is planned, then taken over:
``plan`` may refuse it and changes nothing, ``take_over`` does not fail.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from relay.base import return_path
from relay.base.budget import Budget
from relay.base.clock import Clock
from relay.base.errors import ConfigError, DirectoryError
from relay.base.events import Change
from relay.base.log import MessageLog
from relay.base.message import Submission
from relay.base.simulator import simulator_domain
from relay.base.tasks import Tasks
from relay.base.trace import Traces
from relay.codec.headers import Header
from relay.daemon.duties.roster import duties
from relay.daemon.duties.watch import Watch
from relay.daemon.inbound import Inbound
from relay.daemon.link import LinkError
from relay.daemon.settings.config import Config
from relay.daemon.translate import (
    complaints_address,
    content_rules,
    keep_of,
    listener_settings,
    load_service_keys,
    mailer,
    notice_sender,
    own_domain,
    return_path_domain,
)
from relay.daemon.worker.census import Census
from relay.daemon.worker.explaining import Explaining
from relay.daemon.worker.feedback import Feedback, Ways
from relay.daemon.worker.notices import Notices
from relay.daemon.worker.outbound import Outbound, OutboundPlan, Stored
from relay.daemon.worker.steering import Steering
from relay.directory import keys
from relay.directory.records import Suspension
from relay.directory.refresh import LiveSnapshot
from relay.directory.snapshot import Snapshot
from relay.directory.store import Directory
from relay.directory.suppression_live import LiveSuppression
from relay.directory.uses import Uses
from relay.ingress.auth import Throttle
from relay.ingress.connections import Tally
from relay.ingress.counters import Counters
from relay.ingress.intake import Intake
from relay.ingress.listeners import Listener, start_all
from relay.ingress.settings import ListenerSettings
from relay.ingress.surroundings import Grant, Surroundings
from relay.ingress.tls import Certificate
from relay.policy.limits import Asking, LeasedLimits
from relay.policy.sending import Policy
from relay.policy.suppression import Suppression
from relay.signing.signer import Signer
from relay.spool.shard import Shard, SpoolLimits
from relay.traffic.scheduler import Scheduler
from relay.traffic.suspensions import Suspensions
from relay.verdict.bounce import Prepare
from relay.verdict.simulated import SimulatedMail

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """A new configuration of which everything that can fail is done."""

    config: Config
    signer: Signer
    outbound: OutboundPlan
    listeners: list[ListenerSettings]


class Logins:
    """Who may log in, as ingress asks it. While the directory cannot be read, those whom the last snapshot
    knows still may; of others no one can say that they may not, so they hear "temporary" (454)."""

    def __init__(self, live: LiveSnapshot, note_use: Callable[[str], None]) -> None:
        """``note_use`` hears of the key id of each login."""
        self._live = live
        self._note_use = note_use

    def authenticate(self, username: str, password: str) -> Grant | None:
        """The credential that these prove. Raises DirectoryError if no one can say."""
        grant = self._live.current.authenticate(username, password)
        if grant is None and self._live.is_stale:
            raise DirectoryError("the directory cannot be read at present")
        if grant is not None:
            self._note_use(grant.key_id)
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


async def _no_ledger(what: str, timeout_s: float, **_: object) -> object:
    raise LinkError(f"nobody to ask for {what!r}")


class Works:
    """All parts of one worker. Made with ``await Works.start(...)``."""

    def __init__(self, config: Config, worker: int, clock: Clock, message_log: MessageLog) -> None:
        self.config = config
        self.worker = worker
        self.clock = clock
        self.message_log = message_log
        self.counters = Counters()
        self.traces = Traces(worker, clock)
        self.shards: dict[int, Shard] = {}
        self.listeners: list[Listener] = []
        self.certificate: Certificate | None = None
        self._suspended: frozenset[Suspension] = frozenset()
        self._is_built = False
        self.ask_ledger: Asking = _no_ledger  # the worker puts its link to the supervisor here

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
        keep = keep_of(config)
        limits = SpoolLimits(spool.disk_reserve, spool.large_message, keep, spool.uncertain_age)
        for number in [own, *orphans]:
            self.shards[number] = await Shard.open(spool.path, number, limits, self.clock, stack)
        self._build()
        self.census = Census({number: shard.folder for number, shard in self.shards.items()}, self.clock)
        await self.census.start(stack)
        await self.tasks.start(stack)
        stack.push_async_callback(self.limits.end)
        await self.feedback.start(stack)  # before mail leaves: the simulator brings what comes back to it
        await self.outbound.start(stack)
        self.around = Surroundings(
            intake=self.intakes[own],
            accounts=Logins(self.live, self.uses.note),
            tally=tally,
            throttle=Throttle(),
            budget=Budget(config.limits.receive_memory),
            counters=self.counters,
            clock=self.clock,
            certificate=self.certificate,
            traces=self.traces,
        )
        returning = replace(self.around, intake=self.feedback, gate=self.inbound)
        for section, bound in zip(config.listener, sockets, strict=True):
            drain_s = config.workers.drain
            settings = listener_settings(config, section, self.live.current)
            around = returning if section.role == "inbound" else self.around
            self.listeners.append(Listener(settings, around, bound, drain_s))
            self.traces.on_change.append(self.listeners[-1].retrace)
        await self.around.tasks.start(stack)
        await start_all(self.listeners, stack)
        self.watch = Watch(
            duties(
                config=lambda: self.config,
                directory=self.directory,
                resolver=self.outbound.resolver,
                notices=self.notices,
                account=lambda number: self.live.current.account(number),
                clock=self.clock,
                outbound=self.outbound,
            )
        )
        if self.worker == 0:
            await self.watch.start(stack)

    async def _start_directory(self, stack: AsyncExitStack) -> None:
        section = self.config.directory
        self.directory = Directory(section.url, section.key_file, section.region)
        stack.callback(self.directory.close)
        self._return_path_key = self.directory.vault().derive(return_path.PURPOSE)
        self.live = LiveSnapshot(self.directory, on_change=self._directory_changed)
        await self.live.start(stack)
        self.suppression_lists = LiveSuppression(self.directory.suppression, self.clock)
        await self.suppression_lists.start(stack)
        self.uses = Uses(self.directory.credentials, self.clock)
        await self.uses.start(stack)

    def _build(self) -> None:
        """The parts that need no waiting."""
        config, clock = self.config, self.clock
        self.tasks = Tasks("intake")
        stores: dict[int, Stored] = {**self.shards}
        ask = None if self.ask_ledger is _no_ledger else self.ask_ledger
        self.outbound = Outbound(config, stores, self._prepare, clock, self.message_log, ask, self.traces)
        out = self.outbound
        out.account_source = self._account_source
        out.settler.telling.is_forwarding = self._is_forwarding
        self.steering = Steering(self.shards, out.scheduler, out.router, out.settler, clock, self.message_log)
        self.explaining = Explaining(
            config.spool.path, out.scheduler, out.router, self.live, clock, out.source_of
        )
        self.signing = Signing(self._signer(config))
        entrances = {
            number: Entrance(shard, self.outbound.scheduler) for number, shard in self.shards.items()
        }
        service_domain = config.signing.service_domain
        self.limits = LeasedLimits(
            self.ask_ledger,
            clock,
            self.tasks,
            lambda: self.config.delivery.max_age,
            simulator_domain(service_domain),
        )
        self.suppression = Suppression(
            self.suppression_lists, clock, config.suppression.service_for, simulator_domain(service_domain)
        )
        self.policy = Policy(
            self.live,
            return_path_domain(config),
            service_domain,
            config.directory.region,
            self.limits,
            self.suppression,
        )
        self.policy.rules, self.policy.scanner.settings = content_rules(config)
        self.intakes = {
            number: Intake(
                policy=self.policy,
                signer=self.signing,
                spool=entrances[number],
                on_stored=self.outbound.scheduler.submit,
                clock=clock,
                shard=number,
                max_age_s=config.delivery.max_age,
                return_path_key=self._return_path_key,
                max_hops=config.limits.max_hops,
                counters=self.counters,
                tasks=self.tasks,
                message_log=self.message_log,
            )
            for number in self.shards
        }
        self._build_feedback(entrances[self.worker + 1])
        self._is_built = True
        self._directory_changed(self.live.current)
        own = self.worker + 1
        self.notices = Notices(
            accounts=self.live,
            prepare=self._prepare(own),
            spool=entrances[own],
            on_stored=self.outbound.scheduler.submit,
            sender=lambda: notice_sender(self.config),
            hostname=config.relay.hostname,
            clock=clock,
        )

    def _build_feedback(self, entrance: Entrance) -> None:
        """The way in for what comes back."""
        self.inbound = Inbound(lambda: self.config, lambda: self.live.current, self._return_path_key)
        ways = Ways(
            prepare=self._prepare(self.worker + 1),
            spool=entrance,
            on_stored=self.outbound.scheduler.submit,
            is_forwarding=lambda account, identity: self.live.current.is_forwarding(account, identity),
            mailer=lambda: mailer(self.config),
            postmaster=lambda: self.config.relay.postmaster,
            service_domain=lambda: self.config.signing.service_domain,
        )
        path = self.config.spool.path
        self.feedback = Feedback(path, self.inbound.doors, ways, self.clock, self.message_log)
        self.outbound.simulator.feedback = self.feedback
        self.outbound.settler.telling.answers = SimulatedMail(
            self._prepare, self._own_return_path, lambda: complaints_address(self.config), self.clock
        )

    def _own_return_path(self, message_id: str) -> str:
        """A return path of ours for a message that left with its sender's."""
        return f"{return_path.make(message_id, self._return_path_key)}@{own_domain(self.config)}"

    def _account_source(self, number: int) -> str:
        account = self.live.current.account(number)
        return "" if account is None else account.source

    def _is_forwarding(self, account_id: int, identity: str) -> bool:
        return self.live.current.is_forwarding(account_id, identity)

    def _directory_changed(self, snapshot: Snapshot) -> None:
        """What is suspended now, if that has changed."""
        suspended = frozenset(snapshot.suspensions)
        if self._is_built and suspended != self._suspended:
            self._suspended = suspended
            self.outbound.scheduler.suspend(Suspensions(suspended, snapshot.account_numbers()))

    def _prepare(self, shard: int) -> Prepare:
        return self.intakes[shard].prepare

    def plan(self, config: Config) -> Plan:
        """All that can fail of taking over a configuration (``relay.daemon.settings.changes.in_force``).

        Raises ConfigError, and nothing has changed.
        """
        outbound = Outbound.plan(config)
        tls = config.tls
        if tls.certificate and tls.private_key:
            Certificate(tls.certificate, tls.private_key)
        return Plan(
            config,
            self._signer(config),
            outbound,
            [listener_settings(config, one, self.live.current) for one in config.listener],
        )

    def take_over(self, plan: Plan) -> None:
        """A new configuration comes into force: for new sessions, new messages, the next retry."""
        config = plan.config
        self.outbound.take_over(plan.outbound)
        if self.certificate is not None:
            try:
                self.certificate.reload()
            except ConfigError as error:  # it was good a moment ago, in ``plan``
                log.error("certificate not taken over; the old one is in use", extra={"why": str(error)})
        self.around.budget.limit_bytes = config.limits.receive_memory
        self.signing.current = plan.signer
        self.policy.return_path_domain = return_path_domain(config)
        self.policy.service_domain = config.signing.service_domain
        self.limits.simulator = self.suppression.simulator = simulator_domain(config.signing.service_domain)
        self.suppression.service_for_s = config.suppression.service_for
        self.policy.rules, self.policy.scanner.settings = content_rules(config)
        for intake in self.intakes.values():
            intake.max_age_s = config.delivery.max_age
            intake.max_hops = config.limits.max_hops
        for shard in self.shards.values():
            shard.retention.keep = keep_of(config)
        for listener, settings in zip(self.listeners, plan.listeners, strict=True):
            listener.settings = settings
        self.config = config

    def _signer(self, config: Config) -> Signer:
        return Signer(config.relay.hostname, config.signing.service_domain, load_service_keys(config))
