"""The rows about mail: what comes in, how long it takes, what waits, where it goes."""

from __future__ import annotations

from bench.monitoring.panel import OF_WORKER, SPAN, Panel, Query, Row, Shape, quantiles, rate, share, total

_DONE = " + ".join(rate(f"relay_recipients_{one}_total") for one in ("delivered", "deferred", "failed"))

THROUGHPUT = Row(
    "Throughput",
    (
        Panel(
            "Messages accepted",
            "Messages that got a 250: they are on disk then.",
            "cps",
            (Query(rate("relay_messages_accepted_total"), "{{instance}}"),),
        ),
        Panel(
            "Outcomes",
            "Recipients by what their attempt ended with. Deferred ones are tried again; failed "
            "ones are given up.",
            "cps",
            tuple(
                Query(rate(f"relay_recipients_{one}_total"), f"{one} {{{{instance}}}}")
                for one in ("accepted", "delivered", "deferred", "failed", "expired")
            ),
        ),
        Panel(
            "Share of outcomes",
            "Of all attempts: how many ended with a delivery, with try again, with a failure.",
            "percentunit",
            tuple(
                Query(share(rate(f"relay_recipients_{one}_total"), _DONE), f"{one} {{{{instance}}}}")
                for one in ("delivered", "deferred", "failed")
            ),
        ),
        Panel(
            "Messages refused, by reason",
            "With the code that clients got: 4xx come again, 5xx do not. room, trouble and "
            "scanner are ours to mend.",
            "cps",
            (Query(rate("relay_messages_refused_total", "code, reason"), "{{code}} {{reason}}", True),),
        ),
        Panel(
            "Deferred and failed, by reason",
            "What receivers or the way to them were like, in the relay's words.",
            "cps",
            (Query(rate("relay_outcomes_total", "reason"), "{{reason}}", True),),
        ),
        Panel(
            "Content accepted",
            "Bytes of accepted messages a second.",
            "Bps",
            (Query(rate("relay_messages_accepted_bytes_total"), "{{instance}}"),),
        ),
        Panel(
            "Message size",
            "What so many of a hundred accepted messages do not exceed.",
            "bytes",
            quantiles("relay_message_size_bytes"),
        ),
        Panel(
            "Attempts and connections",
            "Attempts a second, and those on a connection that had carried one before.",
            "cps",
            (
                Query(rate("relay_attempts_total"), "attempts {{instance}}"),
                Query(rate("relay_delivery_connections_reused_total"), "reused {{instance}}"),
                Query(rate("relay_delivery_connections_opened_total"), "opened {{instance}}"),
                Query(rate("relay_delivery_connections_failed_total"), "failed {{instance}}"),
            ),
        ),
        Panel(
            "Clients",
            "Open sessions by listener.",
            "short",
            (
                Query(total("relay_client_sessions"), "all {{instance}}"),
                Query(total("relay_listener_sessions", "listener"), "{{listener}}"),
            ),
        ),
        Panel(
            "Client connections and logins",
            "New connections by listener; those refused, silent too long, and logins that fail, by reason.",
            "cps",
            (
                Query(rate("relay_listener_connections_total", "listener"), "{{listener}}"),
                Query(rate("relay_client_connections_total"), "all {{instance}}"),
                Query(rate("relay_client_connections_refused_total"), "refused {{instance}}"),
                Query(rate("relay_client_timeouts_total"), "silent {{instance}}"),
                Query(rate("relay_client_auth_successes_total"), "logins {{instance}}"),
                Query(rate("relay_client_auth_failures_total", "reason"), "login failed: {{reason}}", True),
            ),
        ),
    ),
)

LATENCIES = Row(
    "Latencies",
    (
        Panel(
            "Accept",
            "From the end of a message's data to its 250, the commit included: what clients wait.",
            "s",
            quantiles("relay_accept_seconds"),
        ),
        Panel(
            "Accept: where messages are",
            "The same, as a map of all messages.",
            "s",
            (Query(rate("relay_accept_seconds_bucket", "le"), "{{le}}"),),
            Shape.HEAT,
        ),
        Panel(
            "First attempt",
            "From acceptance to the first attempt: shorter than a second while there is room.",
            "s",
            quantiles("relay_first_attempt_seconds"),
        ),
        Panel(
            "Delivery",
            "From acceptance to delivery, over delivered recipients: retries included.",
            "s",
            quantiles("relay_delivery_seconds"),
        ),
        Panel(
            "Spool: commit and fsync",
            "A transaction of the spool, and the part of it that is the disk's.",
            "s",
            (
                *quantiles("relay_spool_commit_seconds", "commit "),
                *quantiles("relay_spool_sync_seconds", "fsync "),
            ),
        ),
        Panel(
            "Group commit",
            "Changes that share one fsync, on average and at most; transactions a second.",
            "short",
            (
                Query(
                    share(
                        rate("relay_spool_commit_changes_sum"),
                        rate("relay_spool_commit_changes_count"),
                    ),
                    "changes a commit {{instance}}",
                ),
                Query(
                    f"histogram_quantile(0.99, {rate('relay_spool_commit_changes_bucket', 'instance, le')})",
                    "p99 {{instance}}",
                ),
                Query(rate("relay_spool_commits_total"), "commits a second {{instance}}"),
                Query(rate("relay_spool_changes_total"), "changes a second {{instance}}"),
            ),
        ),
        Panel(
            "Connect to receivers",
            "From wanting a connection to MAIL: addresses, TCP, greeting, TLS, AUTH.",
            "s",
            quantiles("relay_delivery_connect_seconds"),
        ),
        Panel("DNS", "Time of a question, repetitions included.", "s", quantiles("relay_dns_seconds")),
        Panel(
            "DNS questions",
            "Asked, answered by the cache, and without an answer by kind.",
            "cps",
            (
                Query(rate("relay_dns_questions_total"), "asked {{instance}}"),
                Query(rate("relay_dns_cache_hits_total"), "from the cache {{instance}}"),
                Query(rate("relay_dns_failures_total", "kind"), "failed: {{kind}}"),
            ),
        ),
    ),
)

QUEUE = Row(
    "Queue and spool",
    (
        Panel(
            "Recipients that wait",
            "By state: fresh are on their first way, waiting have a next attempt, due are ready "
            "for theirs, parked wait "
            "for room at a receiver, held for you.",
            "short",
            (Query(total("relay_queue_recipients", "state"), "{{state}}"),),
            is_stacked=True,
        ),
        Panel(
            "Oldest",
            "How long ago the oldest message was accepted, by state. Mail is given up at [delivery] max_age.",
            "s",
            (Query(f"max by (state) (relay_queue_oldest_seconds{{{OF_WORKER}}})", "{{state}}"),),
        ),
        Panel(
            "Growth",
            "Recipients a second by which the queue grows (above 0) or is worked off, over 15 minutes.",
            "short",
            (
                Query(
                    "sum by (instance) (deriv(relay_queue_recipients"
                    f'{{{OF_WORKER},state=~"due|waiting|parked"}}[15m]))',
                    "{{instance}}",
                ),
            ),
        ),
        Panel(
            "In memory",
            "Recipients in the window and in hand, and the window's bound; loaded from disk and "
            "parked a second.",
            "short",
            (
                Query(total("relay_queue_window_recipients"), "window {{instance}}"),
                Query(total("relay_queue_window_limit_recipients"), "bound {{instance}}"),
                Query(total("relay_queue_in_flight_recipients"), "in hand {{instance}}"),
                Query(rate("relay_queue_loaded_recipients_total"), "loaded/s {{instance}}"),
                Query(rate("relay_queue_parked_recipients_total"), "parked/s {{instance}}"),
            ),
        ),
        Panel(
            "Memory for messages",
            "Content that is received and that waits for its first attempt, of what [limits] "
            "receive_memory and [spool] "
            "fresh_memory allow.",
            "percentunit",
            (
                Query(
                    f"{total('relay_client_memory_bytes')} / {total('relay_client_memory_limit_bytes')}",
                    "received {{instance}}",
                ),
                Query(
                    f"{total('relay_queue_memory_bytes')} / {total('relay_queue_memory_limit_bytes')}",
                    "waits {{instance}}",
                ),
            ),
        ),
        Panel(
            "Disk",
            "Room on the spool's file system, and the reserve below which new mail gets 452.",
            "bytes",
            (
                Query('relay_spool_free_bytes{instance=~"$instance"}', "free {{instance}}"),
                Query('relay_spool_reserve_bytes{instance=~"$instance"}', "reserve {{instance}}"),
                Query('relay_spool_filesystem_bytes{instance=~"$instance"}', "size {{instance}}"),
            ),
        ),
        Panel(
            "Spool files",
            "Databases, their logs, large messages, and about how much of the databases is events.",
            "bytes",
            (
                Query(total("relay_spool_database_bytes"), "databases {{instance}}"),
                Query(total("relay_spool_log_bytes"), "logs {{instance}}"),
                Query(total("relay_spool_files_bytes"), "large messages {{instance}}"),
                Query(total("relay_event_log_bytes"), "events {{instance}}"),
            ),
        ),
        Panel(
            "Faults of the spool",
            "Transactions that failed in the last hour; damaged and uncertain since the start; "
            "free inodes in thousands.",
            "short",
            (
                Query(
                    f"sum by (instance) (increase(relay_spool_commit_failures_total{{{OF_WORKER}}}[1h]))",
                    "commits failed {{instance}}",
                ),
                Query(total("relay_spool_corrupt_total"), "damaged {{instance}}"),
                Query(total("relay_spool_uncertain_total"), "uncertain at the start {{instance}}"),
                Query(total("relay_queue_uncertain_recipients"), "uncertain {{instance}}"),
                Query('relay_spool_free_files{instance=~"$instance"} / 1000', "inodes {{instance}}"),
            ),
        ),
        Panel(
            "Operators",
            "Recipients that operators changed, by operation; sites, domains and accounts that "
            "are suspended.",
            "short",
            (
                Query(rate("relay_queue_operations_total", "operation"), "{{operation}}/s", True),
                Query(f"max by (instance) (relay_suspensions{{{OF_WORKER}}})", "suspended {{instance}}"),
            ),
        ),
    ),
)

RECEIVERS = Row(
    "Receivers and TLS",
    (
        Panel(
            "Sites",
            "Receivers with mail of late, and how they do: down cannot be reached, probing were "
            "down, pausing asked for "
            "less a moment ago, paced get mail at a rate.",
            "short",
            tuple(
                Query(total(f"relay_sites{one}"), f"{one.lstrip('_') or 'all'} {{{{instance}}}}")
                for one in ("", "_down", "_probing", "_pausing", "_paced")
            ),
        ),
        Panel(
            "Connections to receivers",
            "Open and idle ones, and their bound, [delivery] connections times workers.",
            "short",
            (
                Query(total("relay_delivery_connections"), "open {{instance}}"),
                Query(total("relay_delivery_connections_idle"), "idle {{instance}}"),
                Query(total("relay_delivery_connections_limit"), "bound {{instance}}"),
            ),
        ),
        Panel(
            "Reuse",
            "Of the attempts: how many were on a connection that had carried one before; messages "
            "a connection, median.",
            "short",
            (
                Query(
                    share(rate("relay_delivery_connections_reused_total"), rate("relay_attempts_total")),
                    "share reused {{instance}}",
                ),
                Query(
                    "histogram_quantile(0.5, "
                    f"{rate('relay_delivery_connection_messages_bucket', 'instance, le')})",
                    "messages {{instance}}",
                ),
            ),
        ),
        Panel(
            "TLS to receivers",
            "Sessions a second by version; none are in clear text.",
            "cps",
            (Query(rate("relay_delivery_tls_versions_total", "version"), "{{version}}"),),
            is_stacked=True,
        ),
        Panel(
            "TLS failures by kind",
            "Sessions to MX hosts without the TLS that was wanted, by RFC 8460's kinds; and those with it.",
            "cps",
            (
                Query(rate("relay_delivery_tls_failures_total", "kind"), "{{kind}}", True),
                Query(rate("relay_delivery_tls_sessions_total"), "good {{instance}}"),
            ),
        ),
        Panel(
            "TLS of clients",
            "Sessions that went over to TLS by version, and handshakes that failed.",
            "cps",
            (
                Query(rate("relay_client_tls_versions_total", "version"), "{{version}}"),
                Query(rate("relay_client_tls_sessions_total"), "all {{instance}}"),
                Query(rate("relay_client_tls_failures_total"), "failed {{instance}}"),
            ),
        ),
        Panel(
            "MTA-STS",
            "Policies in memory; policies fetched, and fetches that failed, in the last hour.",
            "short",
            (
                Query(total("relay_mta_sts_policies"), "policies {{instance}}"),
                Query(
                    f"sum by (instance) (increase(relay_mta_sts_policies_fetched_total{{{OF_WORKER}}}[1h]))",
                    "fetched {{instance}}",
                ),
                Query(
                    f"sum by (instance) (increase(relay_mta_sts_fetches_failed_total{{{OF_WORKER}}}[1h]))",
                    "failed {{instance}}",
                ),
            ),
        ),
        Panel(
            "Virus scanner",
            "Messages that were clean, that were dropped, and scans without an answer.",
            "cps",
            tuple(
                Query(rate(f"relay_scans_{one}_total"), f"{one} {{{{instance}}}}")
                for one in ("clean", "infected", "failed")
            ),
        ),
        Panel(
            "Mail that comes back",
            "By what it was: bounces, complaints, delays, automatic replies, and what nobody knows.",
            "cps",
            (Query(f"sum by (kind) (rate(relay_feedback_total{{{OF_WORKER}}}[{SPAN}]))", "{{kind}}", True),),
        ),
    ),
)
