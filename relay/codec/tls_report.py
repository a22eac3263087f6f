"""TLS reports as texts (RFC 8460): the record that asks for them, and the JSON that they are.

Contract, pure. ``parse_record`` takes all TXT records of ``_smtp._tls.<domain>`` and gives the addresses to
report to, ``mailto:`` and ``https:`` only, at most ``MAX_ADDRESSES``; none where the domain asks for nothing
(3: no record, more than one, or one that cannot be read). ``report_json`` writes one domain's day as section
4.4 has it: the policies that applied, each with the sessions that were well, those that were not, and why.

Not here: counting (``transport.tls_tally``), the mail that a report travels in (``tls_report_mail``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from relay.base.address import check_address
from relay.base.tls_session import TlsPolicy, TlsPolicyType, TlsSession

DAY_S = 86_400
MAX_ADDRESSES = 5
_RECORD_START = re.compile(r"v=TLSRPTv1[ \t]*;")


@dataclass(frozen=True, slots=True)
class Reporter:
    """Who reports: a name, and a mail address for questions."""

    organization: str
    contact: str
    domain: str  # the submitter: the domain that the reports come from


def parse_record(texts: Iterable[str]) -> tuple[str, ...]:
    """Where reports go, as URIs."""
    records = [text for text in texts if _RECORD_START.match(text)]
    if len(records) != 1:
        return ()
    found: list[str] = []
    for field in records[0].split(";")[1:]:
        name, equals, value = field.strip(" \t").partition("=")
        if name == "rua" and equals and not found:
            found = [uri for uri in (one.strip(" \t") for one in value.split(",")) if _is_usable(uri)]
    return tuple(dict.fromkeys(found))[:MAX_ADDRESSES]


def mail_address(uri: str) -> str:
    """The address of a ``mailto:`` URI. Raises ValueError."""
    address = unquote(urlsplit(uri).path, errors="strict")
    check_address(address)
    return address


def report_id(day: int, domain: str, reporter: Reporter) -> str:
    """The same for every copy of a report, so that one that was sent twice is known as one."""
    return f"{_date(day)}T00:00:00Z_{domain}@{reporter.domain}"


def file_name(day: int, domain: str, reporter: Reporter) -> str:
    """What the report is called (5.1)."""
    return f"{reporter.domain}!{domain}!{day * DAY_S}!{(day + 1) * DAY_S - 1}!1.json.gz"


def report_json(
    day: int, domain: str, sessions: Iterable[tuple[TlsSession, int]], reporter: Reporter
) -> bytes:
    """The report about one policy domain and one day (UTC, counted from the epoch)."""
    by_policy: dict[TlsPolicy, list[tuple[TlsSession, int]]] = {}
    for session, count in sessions:
        by_policy.setdefault(session.policy, []).append((session, count))
    report = {
        "organization-name": reporter.organization,
        "date-range": {
            "start-datetime": f"{_date(day)}T00:00:00Z",
            "end-datetime": f"{_date(day)}T23:59:59Z",
        },
        "contact-info": reporter.contact,
        "report-id": report_id(day, domain, reporter),
        "policies": [_policy(policy, counted) for policy, counted in by_policy.items()],
    }
    return json.dumps(report, indent=1).encode("ascii")


def _policy(policy: TlsPolicy, counted: Sequence[tuple[TlsSession, int]]) -> dict[str, Any]:
    said: dict[str, Any] = {"policy-type": policy.type.value, "policy-domain": policy.domain}
    if policy.type is not TlsPolicyType.NONE and policy.lines:
        said["policy-string"] = list(policy.lines)
    if policy.type is TlsPolicyType.STS and policy.mx:
        said["mx-host"] = list(policy.mx)
    failures = [(session, count) for session, count in counted if session.failure is not None]
    found: dict[str, Any] = {
        "policy": said,
        "summary": {
            "total-successful-session-count": sum(c for session, c in counted if session.failure is None),
            "total-failure-session-count": sum(count for _, count in failures),
        },
    }
    if failures:
        found["failure-details"] = [_failure(session, count) for session, count in failures]
    return found


def _failure(session: TlsSession, count: int) -> dict[str, Any]:
    assert session.failure is not None
    fields = {
        "result-type": session.failure.value,
        "sending-mta-ip": session.source_address,
        "receiving-mx-hostname": session.host,
        "receiving-ip": session.address,
        "failed-session-count": count,
        "failure-reason-code": session.detail,
    }
    return {name: value for name, value in fields.items() if value != ""}


def _is_usable(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        if parts.scheme.lower() == "mailto":
            return bool(mail_address(uri))
        return parts.scheme.lower() == "https" and bool(parts.hostname) and parts.username is None
    except ValueError:
        return False


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * DAY_S, UTC).strftime("%Y-%m-%d")
