"""What people and programs see of an event."""

import json

import pytest

from relay.base.events import Event, EventKind, Logged
from relay.daemon.event_lines import as_json, as_line

ID = "0000019a8c3b1f20-12345678-1234-4234-8234-123456789abc-000001"


def logged(kind: EventKind, detail: dict[str, object] | str, message_id: str = ID) -> Logged:
    text = detail if isinstance(detail, str) else json.dumps(detail)
    return Logged(1, 20, Event(1_795_327_200.5, kind, message_id, 7, text))


def said(kind: EventKind, detail: dict[str, object] | str) -> str:
    when, shown, message_id, rest = as_line(logged(kind, detail)).split(maxsplit=3)
    assert (when, shown, message_id) == ("2026-11-22T06:00:00Z", kind.value, ID)
    return rest


BOUNCE: dict[str, object] = {
    "recipient": "x@r.example", "reason": "refused", "scope": "recipient", "reply": "550 5.1.1 unknown",
    "expired": False, "bounce": "", "bounceType": "Permanent", "bounceSubType": "NoEmail",
    "action": "failed", "status": "5.1.1", "diagnosticCode": "smtp; 550 5.1.1 unknown",
    "host": "mx.r.example", "address": "192.0.2.7", "reportingMTA": "relay.example", "identity": "a.example",
    "source": "smtp",
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "detail", "line"),
    [
        (
            EventKind.SEND,
            {"source": "a@a.example", "destination": ["x@r.example"], "credential": "AK", "sourceIp": "::1"},
            "a@a.example to x@r.example (AK, ::1)",
        ),
        (EventKind.SEND, {"source": "", "destination": list("abcde")}, "<> to a, b, c and 2 more"),
        (
            EventKind.DELIVERY,
            {
                "recipient": "x@r.example", "reply": "250 ok", "host": "mx", "address": "192.0.2.7",
                "tls": "TLSv1.3", "milliseconds": 412,
            },
            "x@r.example: 250 ok (mx [192.0.2.7], TLSv1.3, after 0.412 s)",
        ),
        (
            EventKind.BOUNCE,
            BOUNCE,
            "x@r.example: Permanent/NoEmail: 550 5.1.1 unknown (mx.r.example [192.0.2.7])",
        ),
        (
            EventKind.BOUNCE,
            {**BOUNCE, "expired": True, "source": "dsn", "host": ""},
            "x@r.example: Permanent/NoEmail: 550 5.1.1 unknown (192.0.2.7, ran out of time, came back)",
        ),
        (
            EventKind.BOUNCE,
            {"recipient": "x@r.example", "autoReply": True, "source": "auto-reply", "reply": ""},
            "x@r.example: automatic reply",
        ),
        (
            EventKind.BOUNCE,  # of a relay before there were classes
            {"recipient": "x@r.example", "reason": "refused", "reply": "550 no", "bounce": ""},
            "x@r.example: 550 no",
        ),
        (
            EventKind.COMPLAINT,
            {"recipient": "x@r.example", "feedbackType": "abuse", "userAgent": "Yahoo/1", "subType": None},
            "x@r.example: abuse (Yahoo/1)",
        ),
        (
            EventKind.COMPLAINT,
            {"recipient": "x@r.example", "feedbackType": "", "subType": "OnAccountSuppressionList"},
            "x@r.example: OnAccountSuppressionList",
        ),
        (
            EventKind.DELIVERY_DELAY,
            {
                "recipient": "x@r.example", "reason": "refused", "reply": "452 full",
                "expires": 1_795_327_200, "delayType": "MailboxFull", "host": "mx", "address": "mx",
            },
            "x@r.example: MailboxFull: 452 full (mx, until 2026-11-22T06:00:00Z)",
        ),
        (EventKind.REJECT, {"reason": "Bad content"}, "Bad content"),
        (EventKind.NOTICE, {"notice": "verified", "about": "a.example", "contact": "me@a.example"},
         "verified a.example (to me@a.example)"),
        (EventKind.GAP, {}, "the spool's database was rebuilt; events before this one may be lost"),
        (EventKind.SEND, {"another": "form"}, '{"another": "form"}'),
        (EventKind.SEND, "no JSON", "no JSON"),
    ],
)  # fmt: skip
def test_a_line_says_what_matters(kind: EventKind, detail: dict[str, object] | str, line: str) -> None:
    assert said(kind, detail) == line


def test_every_kind_has_words() -> None:
    from relay.daemon.event_lines import _WORDS

    assert set(_WORDS) == set(EventKind)


def test_a_terminal_obeys_nobody() -> None:
    line = said(EventKind.BOUNCE, {**BOUNCE, "reply": "550 \x1b[2J\r\nall is well \u202e"})
    assert line.startswith("x@r.example: Permanent/NoEmail: 550 ?[2J??all is well ? (")


def test_an_event_about_no_message_has_its_column() -> None:
    line = as_line(logged(EventKind.NOTICE, {"notice": "x"}, message_id=""))
    assert line.split()[2:] == ["-", "x"]


def test_a_program_gets_everything() -> None:
    found = json.loads(as_json(logged(EventKind.REJECT, {"reason": "ü"}), "1:20,2:7"))
    assert found == {
        "shard": 1, "offset": 20, "at": 1_795_327_200.5, "kind": "Reject", "message_id": ID, "account_id": 7,
        "detail": {"reason": "ü"}, "cursor": "1:20,2:7",
    }  # fmt: skip
