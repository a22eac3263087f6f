"""The only list of metric names: what a scrape of ``/metrics`` shows, and where each number comes from.

Workers count with plain integers; the supervisor asks each for its readings at scrape and this module turns
them into Prometheus families, one sample per worker. No label is unbounded: worker, reply code, reason;
accounts are the hundred with the most mail.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_COUNTERS = {
    "accepted": ("relay_messages_accepted", "Messages promised with a 250."),
    "accepted_bytes": ("relay_messages_accepted_bytes", "Content of accepted messages, in bytes."),
    "client_connections": ("relay_client_connections", "Connections that clients made."),
    "client_connections_refused": (
        "relay_client_connections_refused",
        "Connections refused by a limit or a network.",
    ),
    "client_tls_sessions": ("relay_client_tls_sessions", "Client sessions that went over to TLS."),
    "client_tls_failures": ("relay_client_tls_failures", "TLS handshakes of clients that failed."),
    "auth_successes": ("relay_client_auth_successes", "Successful logins."),
    "auth_failures": ("relay_client_auth_failures", "Failed logins."),
    "client_timeouts": ("relay_client_timeouts", "Client sessions that were silent too long."),
    "client_troubles": ("relay_client_troubles", "Bugs of ours that a client was answered 451 for."),
    "scanned_clean": ("relay_scans_clean", "Messages in which the virus scanner found nothing."),
    "scanned_infected": (
        "relay_scans_infected",
        "Messages dropped because the virus scanner found something.",
    ),
    "scans_failed": ("relay_scans_failed", "Scans without an answer: refused for now, or passed unscanned."),
    "delivered": ("relay_recipients_delivered", "Recipients whose server took the message."),
    "deferred": ("relay_recipients_deferred", "Attempts that ended with try again."),
    "failed": ("relay_recipients_failed", "Recipients given up, expired ones included."),
    "expired": ("relay_recipients_expired", "Recipients given up because the time was up."),
    "delivery_seconds": (
        "relay_delivery_seconds",
        "Sum of the time from acceptance to delivery, over delivered recipients.",
    ),
    "connections_opened": ("relay_delivery_connections_opened", "Connections made to receivers."),
    "connections_failed": ("relay_delivery_connections_failed", "Connections to receivers that failed."),
    "tls_sessions": ("relay_delivery_tls_sessions", "Sessions to MX hosts with the TLS that was wanted."),
    "sts_fetched": (
        "relay_mta_sts_policies_fetched",
        "MTA-STS policies fetched from receivers' web servers.",
    ),
    "sts_failed": ("relay_mta_sts_fetches_failed", "Fetches of MTA-STS policies that failed."),
    "loaded": ("relay_queue_loaded_recipients", "Recipients that came from disk into the window."),
    "commits": ("relay_spool_commits", "Transactions of the spool, each with one fsync."),
    "changes": ("relay_spool_changes", "Changes written in those transactions."),
    "commit_seconds": ("relay_spool_commit_seconds", "Time spent in those transactions."),
    "commit_failures": ("relay_spool_commit_failures", "Transactions that failed."),
    "corrupt": ("relay_spool_corrupt", "Damaged messages and databases set aside since the start."),
    "uncertain_found": ("relay_spool_uncertain", "Recipients found uncertain at the start."),
    "limits_delayed": ("relay_limits_delayed", "Messages that sending limits let leave later."),
    "limits_held": ("relay_limits_held", "Messages that sending limits hold until they are released."),
    "limits_asked": ("relay_limits_requests", "Requests to the ledger of sending limits."),
    "limits_waited": ("relay_limits_waits", "Messages that waited for its answer."),
    "suppressed": ("relay_recipients_suppressed", "Recipients kept back by a suppression list."),
    "suppression_asked": (
        "relay_suppression_lookups",
        "Questions to the directory about recipients that may be on a suppression list.",
    ),
    "cpu_seconds": ("relay_worker_cpu_seconds", "Processor time of the worker."),
}

_GAUGES = {
    "client_sessions": ("relay_client_sessions", "Open sessions with clients."),
    "connections": ("relay_delivery_connections", "Open connections to receivers."),
    "connections_idle": ("relay_delivery_connections_idle", "Those of them that are idle."),
    "sts_policies": ("relay_mta_sts_policies", "Domains whose MTA-STS policy is in memory."),
    "window": ("relay_queue_window_recipients", "Recipients in memory."),
    "window_size": ("relay_queue_window_limit_recipients", "Bound on them."),
    "fresh_bytes": ("relay_queue_memory_bytes", "Content in memory that waits for delivery."),
    "receive_bytes": ("relay_client_memory_bytes", "Content in memory that is being received."),
    "sites": ("relay_sites", "Sites with mail in memory or of late."),
    "sites_down": ("relay_sites_down", "Sites that are left alone because they cannot be reached."),
    "sites_probing": ("relay_sites_probing", "Sites that were down and have answered no message since."),
    "sites_pausing": ("relay_sites_pausing", "Sites that asked for less mail a moment ago."),
    "sites_paced": ("relay_sites_paced", "Sites that get mail at a rate, found out or of a rule."),
    "spool_failing": ("relay_spool_failing", "1 while the disk refuses to be written."),
    "spool_full": ("relay_spool_full", "1 while the disk reserve is reached."),
    "limits_leases": ("relay_limits_leases", "Accounts of which the worker has a lease in hand."),
    "suppression_entries": ("relay_suppression_entries", "Addresses on suppression lists, in memory."),
    "suppression_loaded": (
        "relay_suppression_loaded",
        "1 once they are in memory; until then all are asked for.",
    ),
    "directory_stale": ("relay_directory_stale", "1 while the directory cannot be read."),
    "directory_revision": ("relay_directory_revision", "Revision of the directory in force."),
    "suspensions": ("relay_suspensions", "Sites, domains and accounts whose deliveries are suspended."),
    "resident_bytes": ("relay_worker_resident_memory_bytes", "Resident memory of the worker."),
}

_LABELLED = {
    "tls_faults": (
        "relay_delivery_tls_failures",
        "Sessions to MX hosts without the TLS that was wanted, by kind of failure (RFC 8460 4.3).",
        "kind",
    ),
    "refused": ("relay_messages_refused", "Messages refused, by reply code.", "code"),
    "limits_refused": ("relay_limits_refused", "Messages refused by sending limits, by limit.", "limit"),
    "feedback": (
        "relay_feedback",
        "What came back, by what it was: bounce, complaint, delay, auto-reply, success, other; or duplicate, "
        "stranger (a recipient that the message did not have), unknown (a message that nobody knows), "
        "postmaster; and what was forwarded, or was in a loop.",
        "kind",
    ),
    "operated": ("relay_queue_operations", "Recipients that operators changed, by operation.", "operation"),
    "reasons": ("relay_outcomes", "Deferred and failed recipients, by reason.", "reason"),
}


_OF_NOTIFIER = {
    "notifications_posted": ("relay_notifications_posted", "Notifications that topics took."),
    "notifications_refused": ("relay_notifications_refused", "Posts that a topic did not take."),
    "notifications_put_aside": (
        "relay_notifications_put_aside",
        "Notifications given up that their topic refused while it took others.",
    ),
    "topics_dropped": ("relay_topics_dropped", "Topics that took nothing for too long."),
}

_OF_SINKS = {
    "taken": ("relay_events_taken", "Events that were made something of, by sink.", CounterMetricFamily),
    "behind": ("relay_events_behind", "Events that the sink has not looked at.", GaugeMetricFamily),
    "take_failures": ("relay_events_failures", "Times that a sink took no events.", CounterMetricFamily),
}


_OF_ACCOUNTS = {
    "bounce_rates": ("relay_account_bounce_rate", "Share of an account's newest mail that bounced hard."),
    "complaint_rates": (
        "relay_account_complaint_rate",
        "Share of an account's newest mail that was complained about.",
    ),
    "statuses": (
        "relay_account_reputation",
        "0 healthy, 1 almost healed, 2 under review, 3 pending sending pause, 4 sending paused.",
    ),
}


@dataclass(frozen=True, slots=True)
class NotifierReadings:
    """The notifier: whether it is ready, how often it was started anew, and what it counts."""

    is_ready: bool = False
    restarts: int = 0
    counted: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SupervisorReadings:
    """What the supervisor itself knows: per worker, whether it is ready and how often it was restarted."""

    ready: Mapping[int, bool]
    restarts: Mapping[int, int]
    started_at: float
    version: str
    notifier: NotifierReadings = NotifierReadings()


class _Readings(Collector):
    def __init__(self, workers: Mapping[int, Mapping[str, Any]], supervisor: SupervisorReadings) -> None:
        self._workers = workers
        self._supervisor = supervisor

    def collect(self) -> Iterable[Metric]:
        kinds: tuple[tuple[Mapping[str, tuple[str, str]], type[Any]], ...] = (
            (_COUNTERS, CounterMetricFamily),
            (_GAUGES, GaugeMetricFamily),
        )
        for table, family_type in kinds:
            for key, (name, text) in table.items():
                family = family_type(name, text, labels=["worker"])
                for worker, readings in self._workers.items():
                    family.add_metric([str(worker)], float(readings.get(key, 0)))
                yield family
        for key, (name, text, label) in _LABELLED.items():
            labelled = CounterMetricFamily(name, text, labels=["worker", label])
            for worker, readings in self._workers.items():
                for value, count in readings.get(key, {}).items():
                    labelled.add_metric([str(worker), value], count)
            yield labelled
        up = GaugeMetricFamily("relay_worker_up", "1 while the worker is ready.", labels=["worker"])
        restarts = CounterMetricFamily(
            "relay_worker_restarts", "Times the worker had to be started anew.", labels=["worker"]
        )
        for worker, is_ready in self._supervisor.ready.items():
            up.add_metric([str(worker)], float(is_ready))
            restarts.add_metric([str(worker)], self._supervisor.restarts.get(worker, 0))
        yield up
        yield restarts
        yield GaugeMetricFamily(
            "relay_start_time_seconds",
            "When the relay started, in seconds since the epoch.",
            self._supervisor.started_at,
        )
        yield from self._notifier()
        info = GaugeMetricFamily("relay_info", "The version, as a label.", labels=["version"])
        info.add_metric([self._supervisor.version], 1)
        yield info

    def _notifier(self) -> Iterable[Metric]:
        own = self._supervisor.notifier
        yield GaugeMetricFamily("relay_notifier_up", "1 while the notifier is ready.", float(own.is_ready))
        yield CounterMetricFamily(
            "relay_notifier_restarts", "Times the notifier had to be started anew.", own.restarts
        )
        for key, (name, text) in _OF_NOTIFIER.items():
            yield CounterMetricFamily(name, text, own.counted.get(key, 0))
        for key, (name, text, family_type) in _OF_SINKS.items():
            family = family_type(name, text, labels=["sink"])
            for sink, count in own.counted.get(key, {}).items():
                family.add_metric([sink], count)
            yield family
        bounces = CounterMetricFamily("relay_bounces", "Bounces, by SES's type.", labels=["type"])
        for kind, count in own.counted.get("bounces", {}).items():
            bounces.add_metric([kind], count)
        yield bounces
        yield CounterMetricFamily(
            "relay_complaints", "Complaints of recipients.", own.counted.get("complaints", 0)
        )
        for key, (name, text) in _OF_ACCOUNTS.items():
            gauge = GaugeMetricFamily(name, text, labels=["account"])
            for account, value in own.counted.get(key, {}).items():
                gauge.add_metric([account], value)
            yield gauge


def render(workers: Mapping[int, Mapping[str, Any]], supervisor: SupervisorReadings) -> bytes:
    """The text of a scrape, from the readings of each worker by number."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Readings(workers, supervisor))
    return generate_latest(registry)
