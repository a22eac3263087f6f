"""What became of the mail, on one screen: sums, rates and how they stand, receiver domains, data points.

Read from the statistics file; of an account, or of all. JSON has SES's names where SES has the thing
(``SendDataPoints`` of GetSendStatistics) and ours elsewhere. The rate of an account has a history, which the
notifier keeps; that of an identity or a receiver domain says what its newest mail alone does.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from relay.base.counts import Counts
from relay.directory.records import Account
from relay.spool.statistics_views import Views
from relay.verdict import standing_text
from relay.verdict.reputation import Rate, Thresholds, Volume, renewed, representative, status_of

TOP_DOMAINS = 10
TOP_ACCOUNTS = 20


def points(
    views: Views, account_id: int | None, since: float, identity: str = "", domain: str = ""
) -> list[dict[str, Any]]:
    """As GetSendStatistics returns them, oldest first."""
    return [
        {
            "Timestamp": moment(start),
            "DeliveryAttempts": counts.sent,
            "Bounces": counts.hard,
            "Complaints": counts.complaints,
            "Rejects": counts.rejects,
        }
        for start, counts in views.points(account_id, since, identity, domain)
    ]


def sums(counts: Counts) -> dict[str, int]:
    """What happened, in the words of ``relay stats``."""
    return {
        "sent": counts.sent,
        "delivered": counts.delivered,
        "bounced": counts.hard,
        "soft_bounced": counts.soft,
        "complaints": counts.complaints,
        "rejects": counts.rejects,
        "suppressed": counts.suppressed,
    }


def reputation(
    views: Views, account_id: int, limits: Thresholds, identity: str = "", domain: str = ""
) -> dict[str, Any]:
    """The rates of an account, or of its mail as an identity or to a domain, and how they stand."""
    volume = representative(views.volume(account_id, identity, domain), limits.minimum_volume)
    if identity or domain:
        states = {rate: status_of(volume, rate, limits).value for rate in Rate}
        status = ""
    else:
        _, text = views.standings().get(account_id, (0.0, ""))
        standing = standing_text.read(text) if text else renewed()
        states = {Rate.BOUNCE: standing.bounce.status.value, Rate.COMPLAINT: standing.complaint.status.value}
        status = standing.status.value
    return {
        "status": status,
        "mails": volume.mails,
        "since": moment(volume.since) if volume.since else "",
    } | {f"{rate.value}_rate": _rate(volume, rate, states[rate]) for rate in Rate}


def _rate(volume: Volume, rate: Rate, status: str) -> dict[str, Any]:
    return {"rate": round(volume.rate(rate), 6), "count": volume.count(rate), "status": status}


def domains(
    views: Views,
    account_id: int | None,
    since: float,
    limits: Thresholds,
    identity: str = "",
    domain: str = "",
) -> list[dict[str, Any]]:
    """The receiver domains with the most mail. The bounce rate is that of their newest mail; of all accounts
    together there is none, since each is judged by its own."""
    rows = []
    for name, counts in views.domains(account_id, since, TOP_DOMAINS, identity, domain):
        row: dict[str, Any] = {"domain": name, **sums(counts)}
        del row["rejects"]  # are no domain's
        if account_id is not None:
            volume = representative(views.volume(account_id, identity, name), limits.minimum_volume)
            row["bounce_rate"] = round(volume.rate(Rate.BOUNCE), 6)
            row["complaint_rate"] = round(volume.rate(Rate.COMPLAINT), 6)
        rows.append(row)
    return rows


def accounts(
    views: Views,
    since: float,
    limits: Thresholds,
    known: Mapping[int, Account],
    identity: str = "",
    domain: str = "",
) -> list[dict[str, Any]]:
    """The accounts with the most mail, and how they stand."""
    counted = [(number, views.total(number, since, identity, domain)) for number in views.accounts()]
    counted.sort(key=lambda pair: -pair[1].sent)
    rows = []
    for number, counts in counted[:TOP_ACCOUNTS]:
        if number not in known or not any(sums(counts).values()):
            continue  # deleted, the relay itself, or silent
        judged = reputation(views, number, limits)
        rows.append(
            {
                "account": known[number].name,
                **sums(counts),
                "bounce_rate": judged["bounce_rate"]["rate"],
                "complaint_rate": judged["complaint_rate"]["rate"],
                "status": judged["status"],
            }
        )
    return rows


def moment(at: float) -> str:
    """ISO 8601 in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
