"""Metrics of the way out: attempts and their outcomes, connections, sites, TLS and the DNS."""

from __future__ import annotations

from relay.admin.metric import Metric, counter, gauge, histogram
from relay.base.histogram import MOMENTS, NUMBERS, WAITS

OF_WORKER: tuple[Metric, ...] = (
    counter("attempts", "relay_attempts", "Tries to hand a message to a site, for one or more recipients."),
    counter("delivered", "relay_recipients_delivered", "Recipients whose server took the message."),
    counter("deferred", "relay_recipients_deferred", "Recipients whose attempt ended with try again."),
    counter("failed", "relay_recipients_failed", "Recipients given up, expired ones included."),
    counter("expired", "relay_recipients_expired", "Recipients given up because the time was up."),
    counter("reasons", "relay_outcomes", "Deferred and failed recipients, by reason.", "reason"),
    histogram(
        "first_attempt_seconds",
        "relay_first_attempt_seconds",
        "Time from acceptance to the first attempt, over messages that were tried for the first time.",
        WAITS,
    ),
    histogram(
        "delivery_seconds",
        "relay_delivery_seconds",
        "Time from acceptance to delivery, over delivered recipients.",
        WAITS,
    ),
    gauge("connections", "relay_delivery_connections", "Open connections to receivers."),
    gauge("connections_idle", "relay_delivery_connections_idle", "Those of them that are idle."),
    gauge("connections_limit", "relay_delivery_connections_limit", "Bound on them."),
    counter("connections_opened", "relay_delivery_connections_opened", "Connections made to receivers."),
    counter(
        "connections_failed", "relay_delivery_connections_failed", "Connections to receivers that failed."
    ),
    counter(
        "connections_reused",
        "relay_delivery_connections_reused",
        "Attempts on a connection that had carried one before.",
    ),
    histogram(
        "connection_messages",
        "relay_delivery_connection_messages",
        "Messages that a connection carried, over those that were closed.",
        NUMBERS,
    ),
    histogram(
        "connect_seconds",
        "relay_delivery_connect_seconds",
        "Time from wanting a connection to MAIL: addresses, TCP, greeting, TLS, AUTH; where one was had.",
        MOMENTS,
    ),
    counter(
        "tls_sessions", "relay_delivery_tls_sessions", "Sessions to MX hosts with the TLS that was wanted."
    ),
    counter(
        "tls_faults",
        "relay_delivery_tls_failures",
        "Sessions to MX hosts without the TLS that was wanted, by kind of failure (RFC 8460 4.3).",
        "kind",
    ),
    counter(
        "tls_versions",
        "relay_delivery_tls_versions",
        "Sessions to receivers, by version of TLS: TLSv1.2, TLSv1.3, other, none.",
        "version",
    ),
    gauge("sts_policies", "relay_mta_sts_policies", "Domains whose MTA-STS policy is in memory."),
    counter(
        "sts_fetched",
        "relay_mta_sts_policies_fetched",
        "MTA-STS policies fetched from receivers' web servers.",
    ),
    counter("sts_failed", "relay_mta_sts_fetches_failed", "Fetches of MTA-STS policies that failed."),
    gauge("sites", "relay_sites", "Sites with mail in memory or of late."),
    gauge("sites_down", "relay_sites_down", "Sites that are left alone because they cannot be reached."),
    gauge("sites_probing", "relay_sites_probing", "Sites that were down and have answered no message since."),
    gauge("sites_pausing", "relay_sites_pausing", "Sites that asked for less mail a moment ago."),
    gauge("sites_paced", "relay_sites_paced", "Sites that get mail at a rate, found out or of a rule."),
    counter("dns_questions", "relay_dns_questions", "Questions asked of the name servers."),
    counter("dns_hits", "relay_dns_cache_hits", "Questions that the cache answered."),
    counter(
        "dns_failures",
        "relay_dns_failures",
        "Questions without an answer, by kind: timeout, refused (SERVFAIL and the like), network.",
        "kind",
    ),
    histogram("dns_seconds", "relay_dns_seconds", "Time of a question, repetitions included.", MOMENTS),
)
