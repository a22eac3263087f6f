"""What comes back, judged: a table of reports against a message that was sent."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.base.events import Event, EventKind
from relay.base.feedback import Action, Report, ReportedRecipient, ReportKind
from relay.verdict.feedback import Ruling, judge
from relay.verdict.original import Original

NOW = 1_800_000_000.0
ONE = Original("id", 7, "app@sender.example", ("a@x.example",), "sender.example", '{"tags":{"c":["1"]}}')
MANY = replace(ONE, destination=("a@x.example", "b@x.example", "c@y.example"))
GONE = ReportedRecipient(
    "a@x.example",
    Action.FAILED,
    "5.1.1",
    "smtp; 550 5.1.1 User\n unknown",
    remote_mta="mx.x.example",
    code=550,
)
DSN = Report(ReportKind.BOUNCE, (GONE,), "their.example", sent_at=NOW - 60)
ARF = Report(ReportKind.COMPLAINT, feedback_type="abuse", user_agent="Loop/1", arrived_at=NOW - 9)
AWAY = Report(ReportKind.AUTO_REPLY, sender="A@x.example", subject="Away")


def told(ruling: Ruling, original: Original = ONE) -> list[tuple[EventKind, dict[str, Any]]]:
    events = ruling.events(original, NOW, "passed-on")
    assert {(e.at, e.message_id, e.account_id) for e in events} <= {(NOW, "id", 7)}
    return [(e.kind, json.loads(e.detail)) for e in events]


def test_a_bounce_in_full() -> None:
    ruling = judge(DSN, ONE, (), NOW)
    assert told(ruling) == [
        (
            EventKind.BOUNCE,
            {
                "recipient": "a@x.example",
                "reason": "refused",
                "scope": "recipient",
                "reply": "550 5.1.1 User unknown",
                "expired": False,
                "bounce": "passed-on",
                "bounceType": "Permanent",
                "bounceSubType": "NoEmail",
                "action": "failed",
                "status": "5.1.1",
                "diagnosticCode": "smtp; 550 5.1.1 User unknown",
                "host": "mx.x.example",
                "address": "",
                "reportingMTA": "their.example",
                "identity": "sender.example",
                "source": "dsn",
                "reportedAt": NOW - 60,
                "tags": {"c": ["1"]},
            },
        )
    ]
    assert (ruling.counts, ruling.is_forwarded) == (["bounce"], True)


def test_only_recipients_of_the_message_count() -> None:
    strange = replace(GONE, address="victim@else.example")
    ruling = judge(replace(DSN, recipients=(strange, replace(GONE, address="B@X.example"))), MANY, (), NOW)
    assert [detail["recipient"] for _, detail in told(ruling)] == ["b@x.example"]
    assert (ruling.counts, ruling.is_forwarded) == (["stranger", "bounce"], True)
    alone = judge(replace(DSN, recipients=(strange,)), MANY, (), NOW)
    assert (alone.found, alone.counts, alone.is_forwarded) == ([], ["stranger"], True)
    assert told(judge(replace(DSN, recipients=(replace(strange, original="c@y.example"),)), MANY, (), NOW))[
        0
    ][1]["recipient"] == ("c@y.example")


def test_a_forward_behind_the_only_recipient() -> None:
    report = replace(DSN, recipients=(replace(GONE, address="hidden@else.example"),))
    ((_, detail),) = told(judge(report, ONE, (), NOW))
    assert detail["recipient"] == "a@x.example"
    assert detail["diagnosticCode"].endswith("unknown (reported for hidden@else.example)")


def test_delays_and_successes() -> None:
    late = replace(
        GONE, action=Action.DELAYED, status="4.2.2", diagnostic="smtp; 452 4.2.2 Mailbox full", code=452
    )
    ruling = judge(replace(DSN, recipients=(late,)), ONE, (), NOW)
    ((kind, detail),) = told(ruling)
    assert kind is EventKind.DELIVERY_DELAY
    assert (detail["delayType"], detail["status"], detail["notice"]) == ("MailboxFull", "4.2.2", "passed-on")
    assert ruling.counts == ["delay"]
    for action in (Action.DELIVERED, Action.RELAYED, Action.EXPANDED):
        good = judge(replace(DSN, recipients=(replace(GONE, action=action),)), ONE, (), NOW)
        assert (good.found, good.counts, good.is_forwarded) == ([], ["success"], True)


@pytest.mark.parametrize(
    ("report", "original", "recipients"),
    [
        (ARF, ONE, ["a@x.example"]),  # redacted: the only one
        (replace(ARF, recipients=(ReportedRecipient("B@x.example"),)), MANY, ["b@x.example"]),
        (replace(ARF, sender="fbl@x.example"), MANY, ["a@x.example", "b@x.example"]),
        (replace(ARF, sender="fbl@loop.example", reporting_mta="mx.y.example"), MANY, ["c@y.example"]),
        (replace(ARF, sender="fbl@z.example"), MANY, []),
        (replace(ARF, recipients=(ReportedRecipient("s@x.example"),), sender="f@x.example"), MANY, []),
        (replace(ARF, recipients=(ReportedRecipient("s@x.example"),)), ONE, ["a@x.example"]),
        (replace(ARF, recipients=(ReportedRecipient("s@z.example"),), sender="f@z.example"), MANY, []),
    ],
)
def test_who_complained(report: Report, original: Original, recipients: list[str]) -> None:
    ruling = judge(report, original, (), NOW)
    found = told(ruling, original)
    assert [detail["recipient"] for _, detail in found] == recipients
    assert {kind for kind, _ in found} <= {EventKind.COMPLAINT}
    assert {detail.get("isCertain") for _, detail in found} <= {False if len(recipients) > 1 else None}
    assert ruling.counts == (["complaint"] * len(recipients) or ["stranger"])
    assert ruling.is_forwarded


def test_a_complaint_in_full() -> None:
    ((_, detail),) = told(judge(ARF, ONE, (), NOW, "simulator"))
    assert detail == {
        "recipient": "a@x.example",
        "feedbackType": "abuse",
        "userAgent": "Loop/1",
        "arrivalDate": NOW - 9,
        "subType": None,
        "reportedAt": NOW,
        "identity": "sender.example",
        "source": "simulator",
        "tags": {"c": ["1"]},
    }


def test_an_automatic_reply_never_bounces() -> None:
    ruling = judge(AWAY, MANY, (), NOW)
    ((kind, detail),) = told(ruling)
    assert (kind, detail["recipient"], detail["autoReply"]) == (EventKind.BOUNCE, "a@x.example", True)
    assert (detail["bounceType"], detail["bounceSubType"], detail["source"]) == (
        "Transient",
        "General",
        "auto-reply",
    )
    assert (ruling.counts, ruling.is_forwarded) == (["auto-reply"], True)
    unknown = judge(replace(AWAY, sender="s@z.example"), MANY, (), NOW)
    assert (unknown.found, unknown.counts, unknown.is_forwarded) == ([], ["stranger"], True)


def test_what_is_nothing_else_is_passed_on() -> None:
    ruling = judge(Report(ReportKind.OTHER), ONE, (), NOW)
    assert (ruling.found, ruling.counts, ruling.is_forwarded) == ([], ["other"], True)


def test_a_bounce_that_names_nobody_is_passed_on() -> None:
    ruling = judge(replace(DSN, recipients=()), ONE, (), NOW)
    assert (ruling.found, ruling.counts, ruling.is_forwarded) == ([], ["other"], True)


def happened(report: Report, original: Original = ONE) -> list[Event]:
    return judge(report, original, (), NOW).events(original, NOW, "")


LATE = replace(DSN, recipients=(replace(GONE, action=Action.DELAYED, status="4.4.1"),))
PRAISE = replace(ARF, feedback_type="not-spam")
FAILURE = replace(ARF, feedback_type="auth-failure")
OUR_DELAY = [Event(NOW, EventKind.DELIVERY_DELAY, "id", 7, '{"recipient":"a@x.example","notice":""}')]
OUR_BOUNCE = [Event(NOW, EventKind.BOUNCE, "id", 7, '{"recipient":"a@x.example","source":"smtp"}')]


@pytest.mark.parametrize(
    ("earlier", "report", "is_known"),
    [
        (happened(DSN), DSN, True),
        (OUR_BOUNCE, DSN, True),
        (happened(ARF), ARF, True),
        (happened(AWAY), AWAY, True),
        (happened(LATE), LATE, True),
        (happened(AWAY), DSN, False),
        (happened(DSN), AWAY, False),
        (happened(LATE), DSN, False),
        (happened(PRAISE), ARF, False),
        (happened(PRAISE), PRAISE, True),
        (happened(PRAISE), FAILURE, False),
        (happened(FAILURE), ARF, False),
        (happened(replace(ARF, feedback_type="fraud")), ARF, True),
        (OUR_DELAY, LATE, False),
        ([Event(NOW, EventKind.DELIVERY, "id", 7, '{"recipient":"a@x.example"}')], DSN, False),
    ],
)
def test_duplicates_become_one(earlier: list[Event], report: Report, is_known: bool) -> None:
    ruling = judge(report, ONE, earlier, NOW)
    assert (ruling.found == [], ruling.is_forwarded) == (is_known, not is_known)
    assert ("duplicate" in ruling.counts) is is_known


def test_the_same_recipient_twice_in_one_report_is_one() -> None:
    ruling = judge(replace(DSN, recipients=(GONE, replace(GONE, address="A@X.example"))), MANY, (), NOW)
    assert ruling.counts == ["bounce", "duplicate"]


def test_what_a_stranger_writes_is_bounded() -> None:
    long = replace(GONE, diagnostic="smtp; " + "word " * 9000, remote_mta="m" * 9000)
    ((_, detail),) = told(judge(replace(DSN, recipients=(long,), sent_at=NOW + 9999), ONE, (), NOW))
    assert max(len(str(value)) for value in detail.values()) <= 500
    assert detail["reportedAt"] == NOW


ADDRESSES = st.sampled_from(
    ["a@x.example", "B@x.example", "c@y.example", "z@z.example", "", "no address", "@"]
)
RECIPIENTS = st.builds(
    ReportedRecipient,
    address=ADDRESSES,
    action=st.sampled_from(Action),
    status=st.sampled_from(["", "5.1.1", "4.2.2", "2.0.0", "junk"]),
    diagnostic=st.text(max_size=40),
    original=ADDRESSES,
    remote_mta=st.text(max_size=10),
    code=st.sampled_from([0, 250, 450, 550]),
    command=st.sampled_from(["", "RCPT", "DATA"]),
    remark=st.text(max_size=20),
)
REPORTS = st.builds(
    Report,
    kind=st.sampled_from(ReportKind),
    recipients=st.lists(RECIPIENTS, max_size=4).map(tuple),
    reporting_mta=st.text(max_size=10),
    sent_at=st.floats(-1e9, 1e12),
    sender=ADDRESSES,
    arrived_at=st.floats(0, 4e9),
    feedback_type=st.sampled_from(["", "abuse", "not-spam", "auth-failure"]),
    user_agent=st.text(max_size=10),
    subject=st.text(max_size=20),
)


@given(st.lists(REPORTS, max_size=6), st.sampled_from([ONE, MANY, replace(ONE, destination=())]))
def test_whatever_is_reported_nobody_else_is_told_of_and_nothing_twice(
    reports: list[Report], original: Original
) -> None:
    events: list[Event] = []
    for report in reports:
        new = judge(report, original, events, NOW).events(original, NOW, "")
        assert judge(report, original, [*events, *new], NOW).found == []
        events += new
    details = [(event.kind, json.loads(event.detail)) for event in events]
    assert {detail["recipient"] for _, detail in details} <= set(original.destination)
    bounced = [d["recipient"] for kind, d in details if kind is EventKind.BOUNCE and not d.get("autoReply")]
    assert len(bounced) == len(set(bounced))
    assert all(d["bounceType"] == "Transient" for _, d in details if d.get("autoReply"))
