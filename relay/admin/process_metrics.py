"""Metrics of the relay itself: its processes, their memory and event loops, configuration, certificates."""

from __future__ import annotations

from relay.admin.metric import Metric, counter, gauge, histogram
from relay.base.histogram import MOMENTS

OF_WORKER: tuple[Metric, ...] = (
    counter("cpu_seconds", "relay_worker_cpu_seconds", "Processor time of the worker."),
    gauge("resident_bytes", "relay_worker_resident_memory_bytes", "Resident memory of the worker."),
)

OF_PROCESS: tuple[Metric, ...] = (
    counter("cpu_seconds", "relay_process_cpu_seconds", "Processor time of a process of the relay."),
    gauge("resident_bytes", "relay_process_resident_memory_bytes", "Its resident memory."),
    gauge("open_fds", "relay_process_open_fds", "Its open file descriptors."),
    gauge("max_fds", "relay_process_max_fds", "Bound on them."),
    gauge("threads", "relay_process_threads", "Its threads."),
    gauge(
        "process_started_at",
        "relay_process_start_time_seconds",
        "When it started, in seconds since the epoch.",
    ),
    histogram(
        "loop_lag",
        "relay_process_loop_lag_seconds",
        "How much later than asked for its event loop came back to a timer, looked at once a second.",
        MOMENTS,
    ),
)

OF_SUPERVISOR: tuple[Metric, ...] = (
    gauge("worker_up", "relay_worker_up", "1 while the worker is ready.", "worker"),
    counter("worker_restarts", "relay_worker_restarts", "Times the worker had to be started anew.", "worker"),
    gauge(
        "worker_readings_age",
        "relay_worker_readings_age_seconds",
        "How old the worker's numbers are that this scrape shows; about a second, more while it is busy.",
        "worker",
    ),
    gauge("notifier_up", "relay_notifier_up", "1 while the notifier is ready."),
    counter("notifier_restarts", "relay_notifier_restarts", "Times the notifier had to be started anew."),
    gauge("started_at", "relay_start_time_seconds", "When the relay started, in seconds since the epoch."),
    gauge("info", "relay_info", "The version, as a label.", "version"),
    gauge(
        "build_info",
        "relay_build_info",
        "1; what runs, as labels: version of the relay, of Python, of SQLite.",
        "version",
        "python",
        "sqlite",
    ),
    counter("reloads", "relay_config_reloads", "Times that the configuration was taken over anew."),
    counter(
        "reload_failures",
        "relay_config_reload_failures",
        "Times that it could not be; the old one stayed in force.",
    ),
    gauge(
        "reload_is_good",
        "relay_config_last_reload_successful",
        "1 if the last try to take over the configuration succeeded, or there was none.",
    ),
    gauge(
        "reloaded_at",
        "relay_config_last_reload_success_timestamp_seconds",
        "When the configuration in force was taken over, in seconds since the epoch.",
    ),
    gauge(
        "certificate_ends_at",
        "relay_tls_certificate_expiry_timestamp_seconds",
        "When a certificate in force expires (a renewed file is not before a reload), in seconds since the "
        "epoch; of a chain, the first to do so.",
        "file",
    ),
    gauge(
        "certificate_unreadable",
        "relay_tls_certificate_unreadable",
        "1 while the file of such a certificate cannot be read.",
        "file",
    ),
)
