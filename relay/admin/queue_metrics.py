"""Metrics of what waits and of where it waits: the queue, the spool, its disk and its events."""

from __future__ import annotations

from relay.admin.metric import Metric, counter, gauge, histogram
from relay.base.histogram import MOMENTS, NUMBERS

OF_WORKER: tuple[Metric, ...] = (
    gauge(
        "queue_recipients",
        "relay_queue_recipients",
        "Recipients on disk, by state, as last counted: due, waiting (for their next attempt), parked (due, "
        "and waiting for room on their lane), held (for the operator); fresh is in memory, and of now.",
        "state",
    ),
    gauge(
        "queue_oldest_seconds",
        "relay_queue_oldest_seconds",
        "How long ago the oldest message with recipients in that state was accepted; 0 without any.",
        "state",
    ),
    gauge(
        "queue_counted_at",
        "relay_queue_counted_timestamp_seconds",
        "When the queue on disk was last counted, in seconds since the epoch; 0 before the first time.",
    ),
    gauge("queue_count_seconds", "relay_queue_count_duration_seconds", "How long the last count of it took."),
    gauge(
        "in_flight",
        "relay_queue_in_flight_recipients",
        "Recipients of attempts that a connection has in hand.",
    ),
    gauge(
        "uncertain",
        "relay_queue_uncertain_recipients",
        "Recipients of whom it is not known whether they got their message (relay queue uncertain).",
    ),
    gauge("window", "relay_queue_window_recipients", "Recipients in memory."),
    gauge("window_size", "relay_queue_window_limit_recipients", "Bound on them."),
    gauge("fresh_bytes", "relay_queue_memory_bytes", "Content in memory that waits for delivery."),
    gauge("fresh_limit_bytes", "relay_queue_memory_limit_bytes", "Bound on it."),
    counter("loaded", "relay_queue_loaded_recipients", "Recipients that came from disk into the window."),
    counter("parked", "relay_queue_parked_recipients", "Recipients that were parked for want of room."),
    counter(
        "operated",
        "relay_queue_operations",
        "Recipients that operators changed, by operation.",
        "operation",
    ),
    gauge("suspensions", "relay_suspensions", "Sites, domains and accounts whose deliveries are suspended."),
    counter("commits", "relay_spool_commits", "Transactions of the spool, each with one fsync."),
    counter("changes", "relay_spool_changes", "Changes written in those transactions."),
    histogram(
        "commit_seconds",
        "relay_spool_commit_seconds",
        "Time of a transaction: files, rows, and the fsync.",
        MOMENTS,
    ),
    histogram(
        "sync_seconds",
        "relay_spool_sync_seconds",
        "Time of a transaction's COMMIT alone: the log is written and fsynced.",
        MOMENTS,
    ),
    histogram("commit_changes", "relay_spool_commit_changes", "Changes that share a transaction.", NUMBERS),
    counter("commit_failures", "relay_spool_commit_failures", "Transactions that failed."),
    counter("corrupt", "relay_spool_corrupt", "Damaged messages and databases set aside since the start."),
    counter("uncertain_found", "relay_spool_uncertain", "Recipients found uncertain at the start."),
    gauge("spool_failing", "relay_spool_failing", "1 while the disk refuses to be written."),
    gauge("spool_full", "relay_spool_full", "1 while the disk reserve is reached."),
    gauge("spool_database_bytes", "relay_spool_database_bytes", "The database files of the worker's shards."),
    gauge(
        "spool_log_bytes",
        "relay_spool_log_bytes",
        "Their write-ahead logs; such a file keeps the size that it once had.",
    ),
    gauge("spool_files_bytes", "relay_spool_files_bytes", "Large messages, which have files of their own."),
    gauge("event_log_events", "relay_event_log_events", "Events that are kept, about."),
    gauge("event_log_bytes", "relay_event_log_bytes", "Their size, about."),
    gauge("event_log_oldest_seconds", "relay_event_log_oldest_seconds", "Age of the oldest of them."),
)

OF_SUPERVISOR: tuple[Metric, ...] = (
    gauge(
        "spool_free_bytes",
        "relay_spool_free_bytes",
        "Room on the file system of the spool that the relay may use.",
    ),
    gauge("spool_size_bytes", "relay_spool_filesystem_bytes", "Size of that file system."),
    gauge("spool_free_files", "relay_spool_free_files", "Files that can still be made there."),
    gauge(
        "spool_reserve_bytes",
        "relay_spool_reserve_bytes",
        "Room that is kept free: where there is less, new mail is answered 452.",
    ),
)
