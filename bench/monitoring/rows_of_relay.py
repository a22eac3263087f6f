"""The rows about the relay itself: is it well, who sends, who hears, what it takes of the machine."""

from __future__ import annotations

from bench.monitoring.panel import OF_NODE, OF_WORKER, SPAN, Panel, Query, Row, Shape, rate, total

_ACCOUNT = f'{OF_NODE},account=~"$account"'
_HOUR = "1h"


def _of_node(metric: str, legend: str = "{{instance}}", *, is_rare: bool = False) -> Query:
    return Query(f"{metric}{{{OF_NODE}}}", legend, is_rare)


def _of_account(metric: str, *, is_rare: bool = False) -> Query:
    return Query(f"{metric}{{{_ACCOUNT}}}", "{{account}}", is_rare)


HEALTH = Row(
    "Health",
    (
        Panel(
            "Nodes up",
            "Nodes that answer their scrape; red if one does not.",
            "short",
            (Query('min by (instance) (up{job="relay",instance=~"$instance"})', "{{instance}}"),),
            Shape.NUMBER,
            3,
            (0, 0),
        ),
        Panel(
            "Workers ready",
            "Of all workers. `relay status` names the one that is not.",
            "percentunit",
            (Query(f"avg by (instance) (relay_worker_up{{{OF_WORKER}}})", "{{instance}}"),),
            Shape.NUMBER,
            3,
            (0.0, 0.0),
        ),
        Panel(
            "Notifier",
            "1 while it is ready; without it nobody hears of bounces.",
            "short",
            (_of_node("relay_notifier_up"),),
            Shape.NUMBER,
            3,
            (0, 0),
        ),
        Panel(
            "Alerts that fire",
            "From relay.alerts.yml; docs/monitoring.md says what to do about each.",
            "short",
            (
                Query(
                    'count by (alertname, severity) (ALERTS{alertname=~"Relay.+",alertstate="firing",'
                    'instance=~"$instance|"})',
                    "{{severity}} {{alertname}}",
                    True,
                ),
            ),
            Shape.NUMBER,
            6,
            (1, 2),
        ),
        Panel(
            "Restarts in an hour",
            "Of workers, of the notifier.",
            "short",
            (
                Query(
                    f"sum by (instance) (increase(relay_worker_restarts_total{{{OF_NODE}}}[{_HOUR}]))",
                    "workers {{instance}}",
                ),
                Query(
                    f"increase(relay_notifier_restarts_total{{{OF_NODE}}}[{_HOUR}])", "notifier {{instance}}"
                ),
            ),
            Shape.NUMBER,
            3,
            (1, 3),
        ),
        Panel(
            "Certificates",
            "Time until each expires; put the new one in place, then `relay reload`.",
            "s",
            (Query(f"relay_tls_certificate_expiry_timestamp_seconds{{{OF_NODE}}} - time()", "{{file}}"),),
            Shape.NUMBER,
            3,
        ),
        Panel(
            "Version",
            "What runs: more than one line while an upgrade is on its way.",
            "short",
            (
                Query(
                    f"count by (version, python, sqlite) (relay_build_info{{{OF_NODE}}})",
                    "{{version}}, Python {{python}}, SQLite {{sqlite}}",
                ),
            ),
            Shape.NUMBER,
            3,
            shows_names=True,
        ),
        Panel(
            "Spool takes mail",
            "Workers whose disk refuses to be written, or has reached its reserve: 0 is good.",
            "short",
            (
                Query(f"sum by (instance) (relay_spool_failing{{{OF_WORKER}}})", "failing {{instance}}"),
                Query(f"sum by (instance) (relay_spool_full{{{OF_WORKER}}})", "full {{instance}}"),
            ),
            Shape.NUMBER,
            6,
            (1, 1),
        ),
        Panel(
            "Configuration",
            "1 if the last reload was taken over; reloads and refused ones in an hour; unreadable "
            "certificates.",
            "short",
            (
                _of_node("relay_config_last_reload_successful", "good {{instance}}"),
                Query(f"increase(relay_config_reloads_total{{{OF_NODE}}}[{_HOUR}])", "reloads {{instance}}"),
                Query(
                    f"increase(relay_config_reload_failures_total{{{OF_NODE}}}[{_HOUR}])",
                    "refused {{instance}}",
                ),
                Query(
                    f"sum by (instance) (relay_tls_certificate_unreadable{{{OF_NODE}}})",
                    "unreadable {{instance}}",
                ),
            ),
            Shape.NUMBER,
            9,
        ),
        Panel(
            "Directory",
            "Workers that cannot read it, and how many revisions apart workers are: 0 is good.",
            "short",
            (
                Query(f"sum by (instance) (relay_directory_stale{{{OF_WORKER}}})", "stale {{instance}}"),
                Query(
                    f"max by (instance) (relay_directory_revision{{{OF_WORKER}}}) - "
                    f"min by (instance) (relay_directory_revision{{{OF_WORKER}}})",
                    "apart {{instance}}",
                ),
            ),
            Shape.NUMBER,
            6,
            (1, 2),
        ),
        Panel(
            "Up for",
            "Since the relay was started; since the configuration was taken over.",
            "s",
            (
                Query(f"time() - relay_start_time_seconds{{{OF_NODE}}}", "relay {{instance}}"),
                Query(
                    f"time() - relay_config_last_reload_success_timestamp_seconds{{{OF_NODE}}}",
                    "configuration {{instance}}",
                ),
            ),
            Shape.NUMBER,
            3,
        ),
    ),
)

ACCOUNTS = Row(
    "Accounts, limits, reputation",
    (
        Panel(
            "Messages by account",
            "Accepted a second, of the hundred accounts with the most; the rest is other.",
            "cps",
            (
                Query(
                    "topk(10, sum by (account) "
                    f"(rate(relay_account_messages_accepted_total{{{_ACCOUNT}}}[{SPAN}])))",
                    "{{account}}",
                ),
            ),
        ),
        Panel(
            "Quota used",
            "Of what an account may send in 24 hours. `relay account quota NAME` shows more.",
            "percentunit",
            (
                Query(
                    f"relay_account_sent_recipients{{{_ACCOUNT}}} / "
                    f"(relay_account_quota_recipients{{{_ACCOUNT}}} > 0)",
                    "{{account}}",
                ),
            ),
            Shape.BARS,
            bounds=(0.8, 0.9),
        ),
        Panel(
            "Limits",
            "Recipients a second that each account may send, and what it has left of its quota.",
            "short",
            (
                Query(f"relay_account_rate_recipients_per_second{{{_ACCOUNT}}}", "rate {{account}}"),
                Query(f"relay_account_left_recipients{{{_ACCOUNT}}}", "left {{account}}"),
            ),
        ),
        Panel(
            "Throttled",
            "Messages over their account's limits, by what became of them.",
            "cps",
            (
                Query(
                    "sum by (account, outcome) "
                    f"(rate(relay_account_throttled_total{{{_ACCOUNT}}}[{SPAN}])) > 0",
                    "{{outcome}} {{account}}",
                    True,
                ),
                Query(rate("relay_limits_refused_total", "limit"), "refused: {{limit}}", True),
                Query(rate("relay_limits_delayed_total"), "delayed {{instance}}"),
                Query(rate("relay_limits_held_total"), "held {{instance}}"),
            ),
        ),
        Panel(
            "Bounce rate",
            "Share of an account's newest mail that bounced hard. SES reviews at 5 % and pauses at 10 %.",
            "percentunit",
            (_of_account("relay_account_bounce_rate"),),
            Shape.BARS,
            bounds=(0.05, 0.10),
        ),
        Panel(
            "Complaint rate",
            "Share of an account's newest mail that was called spam. SES reviews at 0.1 % and "
            "pauses at 0.5 %.",
            "percentunit",
            (_of_account("relay_account_complaint_rate"),),
            Shape.BARS,
            bounds=(0.001, 0.005),
        ),
        Panel(
            "Standing",
            "0 healthy, 1 almost healed, 2 under review, 3 pending pause, 4 paused.",
            "short",
            (_of_account("relay_account_reputation"),),
            Shape.NUMBER,
            bounds=(2, 3),
        ),
        Panel(
            "Bounces and complaints",
            "A second, bounces by SES's type.",
            "cps",
            (
                Query(f"sum by (type) (rate(relay_bounces_total{{{OF_NODE}}}[{SPAN}]))", "{{type}}", True),
                Query(f"rate(relay_complaints_total{{{OF_NODE}}}[{SPAN}])", "complaints {{instance}}"),
            ),
        ),
        Panel(
            "Suppression",
            "Recipients kept back, questions to the directory about it, and addresses on the lists.",
            "short",
            (
                Query(rate("relay_recipients_suppressed_total"), "kept back/s {{instance}}"),
                Query(rate("relay_suppression_lookups_total"), "questions/s {{instance}}"),
                Query(
                    f"max by (instance) (relay_suppression_entries{{{OF_WORKER}}})", "addresses {{instance}}"
                ),
                Query(f"min by (instance) (relay_suppression_loaded{{{OF_WORKER}}})", "loaded {{instance}}"),
            ),
        ),
    ),
)

EVENTS = Row(
    "Events and the notifier",
    (
        Panel(
            "Consumers behind",
            "How long the oldest event waits for each. Events are dropped at [events] keep_for.",
            "s",
            (Query(f"relay_consumer_behind_seconds{{{OF_NODE}}}", "{{consumer}} {{instance}}"),),
        ),
        Panel(
            "Events behind",
            "Events that each consumer, and each sink of the notifier, has not looked at.",
            "short",
            (
                Query(f"relay_consumer_behind_events{{{OF_NODE}}}", "{{consumer}} {{instance}}"),
                Query(f"relay_events_behind{{{OF_NODE}}}", "sink {{sink}} {{instance}}"),
            ),
        ),
        Panel(
            "Events taken",
            "A second, by sink; and times that one took none.",
            "cps",
            (
                Query(f"rate(relay_events_taken_total{{{OF_NODE}}}[{SPAN}])", "{{sink}} {{instance}}"),
                Query(
                    f"rate(relay_events_failures_total{{{OF_NODE}}}[{SPAN}]) > 0", "failed: {{sink}}", True
                ),
            ),
        ),
        Panel(
            "Notifications",
            "Posted, refused, and given up, a second; topics dropped in an hour.",
            "short",
            (
                *(
                    Query(
                        f"rate(relay_notifications_{one}_total{{{OF_NODE}}}[{SPAN}])",
                        f"{one} {{{{instance}}}}",
                    )
                    for one in ("posted", "refused", "put_aside")
                ),
                Query(f"increase(relay_topics_dropped_total{{{OF_NODE}}}[{_HOUR}])", "dropped {{instance}}"),
            ),
        ),
        Panel(
            "Event log",
            "Events that are kept.",
            "short",
            (Query(total("relay_event_log_events"), "{{instance}}"),),
        ),
        Panel(
            "Event log: oldest",
            "Age of the oldest event that is kept.",
            "s",
            (Query(f"max by (instance) (relay_event_log_oldest_seconds{{{OF_WORKER}}})", "{{instance}}"),),
        ),
    ),
)

PROCESS = Row(
    "Processes",
    (
        Panel(
            "Processor",
            "Cores that each process uses; a worker uses one at most.",
            "short",
            (
                Query(
                    f"rate(relay_process_cpu_seconds_total{{{OF_NODE}}}[{SPAN}])", "{{process}} {{instance}}"
                ),
            ),
        ),
        Panel(
            "Memory",
            "Resident memory by process.",
            "bytes",
            (Query(f"relay_process_resident_memory_bytes{{{OF_NODE}}}", "{{process}} {{instance}}"),),
        ),
        Panel(
            "Event loops",
            "How much later than asked for each process came back to a timer, p99.",
            "s",
            (
                Query(
                    "histogram_quantile(0.99, sum by (instance, process, le) "
                    f"(rate(relay_process_loop_lag_seconds_bucket{{{OF_NODE}}}[{SPAN}])))",
                    "{{process}} {{instance}}",
                ),
            ),
        ),
        Panel(
            "Descriptors",
            "Open ones, of the bound.",
            "percentunit",
            (
                Query(
                    f"relay_process_open_fds{{{OF_NODE}}} / relay_process_max_fds{{{OF_NODE}}}",
                    "{{process}} {{instance}}",
                ),
            ),
        ),
        Panel(
            "Threads and age",
            "Threads by process; how many hours ago each started.",
            "short",
            (
                Query(f"relay_process_threads{{{OF_NODE}}}", "threads {{process}} {{instance}}"),
                Query(
                    f"(time() - relay_process_start_time_seconds{{{OF_NODE}}}) / 3600",
                    "hours {{process}} {{instance}}",
                ),
            ),
        ),
        Panel(
            "Age of numbers",
            "How old what a worker told last is, and how long ago it counted its queue; the "
            "count's own time.",
            "s",
            (
                Query(f"relay_worker_readings_age_seconds{{{OF_WORKER}}}", "told: {{worker}} {{instance}}"),
                Query(
                    f"time() - (relay_queue_counted_timestamp_seconds{{{OF_WORKER}}} > 0)",
                    "counted: {{worker}} {{instance}}",
                ),
                Query(
                    f"relay_queue_count_duration_seconds{{{OF_WORKER}}}",
                    "count took: {{worker}} {{instance}}",
                ),
            ),
        ),
        Panel(
            "Limits ledger",
            "Requests to it, messages that waited for it, leases in hand, bugs of ours that clients met.",
            "short",
            (
                Query(rate("relay_limits_requests_total"), "requests/s {{instance}}"),
                Query(rate("relay_limits_waits_total"), "waits/s {{instance}}"),
                Query(total("relay_limits_leases"), "leases {{instance}}"),
                Query(rate("relay_client_troubles_total"), "bugs/s {{instance}}"),
            ),
        ),
    ),
    is_open=False,
)
