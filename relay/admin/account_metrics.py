"""Metrics of senders and of those who hear: limits, suppression, reputation, events and their consumers.

Accounts are a hundred: those with the most mail; what the others have is under "other" where it can be added.
"""

from __future__ import annotations

from relay.admin.metric import Metric, counter, gauge

OF_WORKER: tuple[Metric, ...] = (
    counter(
        "account_accepted",
        "relay_account_messages_accepted",
        "Messages promised with a 250, of the hundred accounts with the most of them.",
        "account",
    ),
    counter(
        "limits_refused", "relay_limits_refused", "Messages refused by sending limits, by limit.", "limit"
    ),
    counter("limits_delayed", "relay_limits_delayed", "Messages that sending limits let leave later."),
    counter("limits_held", "relay_limits_held", "Messages that sending limits hold until they are released."),
    counter("limits_asked", "relay_limits_requests", "Requests to the ledger of sending limits."),
    counter("limits_waited", "relay_limits_waits", "Messages that waited for its answer."),
    gauge("limits_leases", "relay_limits_leases", "Accounts of which the worker has a lease in hand."),
    counter("suppressed", "relay_recipients_suppressed", "Recipients kept back by a suppression list."),
    counter(
        "suppression_asked",
        "relay_suppression_lookups",
        "Questions to the directory about recipients that may be on a suppression list.",
    ),
    gauge("suppression_entries", "relay_suppression_entries", "Addresses on suppression lists, in memory."),
    gauge(
        "suppression_loaded",
        "relay_suppression_loaded",
        "1 once they are in memory; until then all are asked for.",
    ),
    gauge("directory_stale", "relay_directory_stale", "1 while the directory cannot be read."),
    gauge("directory_revision", "relay_directory_revision", "Revision of the directory in force."),
)

OF_SUPERVISOR: tuple[Metric, ...] = (
    gauge(
        "account_sent",
        "relay_account_sent_recipients",
        "Recipients that an account with limits has used of the last 24 hours.",
        "account",
    ),
    gauge(
        "account_quota",
        "relay_account_quota_recipients",
        "Recipients that it may use in any 24 hours, where that is limited.",
        "account",
    ),
    gauge("account_left", "relay_account_left_recipients", "What it has left of that.", "account"),
    gauge(
        "account_rate",
        "relay_account_rate_recipients_per_second",
        "Recipients a second that it may send, where that is limited.",
        "account",
    ),
    counter(
        "account_throttled",
        "relay_account_throttled",
        "Messages of an account over its limits, by what became of them: refused, delayed, held.",
        "outcome",
        "account",
    ),
)

OF_NOTIFIER: tuple[Metric, ...] = (
    counter("taken", "relay_events_taken", "Events that were made something of, by sink.", "sink"),
    gauge("behind", "relay_events_behind", "Events that the sink has not looked at.", "sink"),
    counter("take_failures", "relay_events_failures", "Times that a sink took no events.", "sink"),
    gauge(
        "consumer_behind",
        "relay_consumer_behind_events",
        "Events behind the position of a consumer of the event log; the relay's own begin with relay/.",
        "consumer",
    ),
    gauge(
        "consumer_behind_seconds",
        "relay_consumer_behind_seconds",
        "How long the oldest of these waits for it; 0 without any.",
        "consumer",
    ),
    counter("notifications_posted", "relay_notifications_posted", "Notifications that topics took."),
    counter("notifications_refused", "relay_notifications_refused", "Posts that a topic did not take."),
    counter(
        "notifications_put_aside",
        "relay_notifications_put_aside",
        "Notifications given up that their topic refused while it took others.",
    ),
    counter("topics_dropped", "relay_topics_dropped", "Topics that took nothing for too long."),
    counter("bounces", "relay_bounces", "Bounces, by SES's type.", "type"),
    counter("complaints", "relay_complaints", "Complaints of recipients."),
    gauge(
        "bounce_rates",
        "relay_account_bounce_rate",
        "Share of an account's newest mail that bounced hard.",
        "account",
    ),
    gauge(
        "complaint_rates",
        "relay_account_complaint_rate",
        "Share of an account's newest mail that was complained about.",
        "account",
    ),
    gauge(
        "statuses",
        "relay_account_reputation",
        "0 healthy, 1 almost healed, 2 under review, 3 pending sending pause, 4 sending paused.",
        "account",
    ),
)
