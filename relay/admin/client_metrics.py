"""Metrics of the way in: connections of clients, TLS, AUTH, what was accepted and what was refused."""

from __future__ import annotations

from relay.admin.metric import Metric, counter, gauge, histogram
from relay.base.histogram import MOMENTS, SIZES

OF_WORKER: tuple[Metric, ...] = (
    counter("accepted", "relay_messages_accepted", "Messages promised with a 250."),
    counter("accepted_bytes", "relay_messages_accepted_bytes", "Content of accepted messages, in bytes."),
    counter(
        "accepted_recipients", "relay_recipients_accepted", "Recipients of the messages promised with a 250."
    ),
    counter(
        "refusals",
        "relay_messages_refused",
        "Messages refused, by reply code and reason: access, content, identity, loop, quota, rate, "
        "recipient, room, scanner, size, suspended, trouble.",
        "code",
        "reason",
    ),
    histogram(
        "accept_seconds",
        "relay_accept_seconds",
        "Time from the end of a message's data to its 250, the commit included.",
        MOMENTS,
    ),
    histogram("message_size", "relay_message_size_bytes", "Content of accepted messages.", SIZES),
    counter("client_connections", "relay_client_connections", "Connections that clients made."),
    counter(
        "client_connections_refused",
        "relay_client_connections_refused",
        "Connections refused by a limit or a network.",
    ),
    counter(
        "listener_connections",
        "relay_listener_connections",
        "Connections that clients made, by listener.",
        "listener",
    ),
    gauge(
        "listener_sessions", "relay_listener_sessions", "Open sessions with clients, by listener.", "listener"
    ),
    gauge("client_sessions", "relay_client_sessions", "Open sessions with clients."),
    counter("client_timeouts", "relay_client_timeouts", "Client sessions that were silent too long."),
    counter("client_troubles", "relay_client_troubles", "Bugs of ours that a client was answered 451 for."),
    counter("client_tls_sessions", "relay_client_tls_sessions", "Client sessions that went over to TLS."),
    counter("client_tls_failures", "relay_client_tls_failures", "TLS handshakes of clients that failed."),
    counter(
        "client_tls_versions",
        "relay_client_tls_versions",
        "Client sessions that went over to TLS, by version: TLSv1.2, TLSv1.3, other.",
        "version",
    ),
    counter("auth_successes", "relay_client_auth_successes", "Successful logins."),
    counter(
        "auth_refused",
        "relay_client_auth_failures",
        "Failed logins, by reason: invalid, limited (too many of late), unavailable (nobody can say).",
        "reason",
    ),
    gauge("receive_bytes", "relay_client_memory_bytes", "Content in memory that is being received."),
    gauge("receive_limit_bytes", "relay_client_memory_limit_bytes", "Bound on it."),
    counter("scanned_clean", "relay_scans_clean", "Messages in which the virus scanner found nothing."),
    counter(
        "scanned_infected",
        "relay_scans_infected",
        "Messages dropped because the virus scanner found something.",
    ),
    counter(
        "scans_failed",
        "relay_scans_failed",
        "Scans without an answer: refused for now, or passed unscanned.",
    ),
    counter(
        "feedback",
        "relay_feedback",
        "What came back, by what it was: bounce, complaint, delay, auto-reply, success, other; or duplicate, "
        "stranger (a recipient that the message did not have), unknown (a message that nobody knows), "
        "postmaster; and what was forwarded, or was in a loop.",
        "kind",
    ),
)
