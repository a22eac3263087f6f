"""Notifications: every kind in both forms meets the schema that was written from the guide, and so do the
guide's own examples; what is changed in any place does not."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from relay.base.events import Event, EventKind
from relay.codec.notification import Form, form_of, identity_of, notification, to_bytes
from relay.codec.notification_groups import gather
from relay.directory.notifying import TOLD
from tests.codec.notifications import (
    AT,
    BOUNCE,
    COMPLAINT,
    DELAY,
    HEADERS,
    ID,
    SEND,
    SERVICE,
    event,
    group,
    send,
)
from tests.fakes.guide import IS_HERE, examples
from tests.fakes.notification_schema import OPEN, SCHEMA, STRICT, of_kind

NOTIFICATIONS = "notification-examples.md"
EVENTS = "event-publishing-retrieving-sns-examples.md"
NOT_OURS = {"Open", "Click", "Rendering Failure", "Subscription"}  # kinds that the relay makes none of
needs_guide = pytest.mark.skipif(not IS_HERE, reason="needs the SES developer guide beside the project")

FORMS = [(kind, form_of(kind)) for kind in TOLD]
FORMS += [(kind, Form.EVENT) for kind, form in FORMS if form is Form.NOTIFICATION]


def told(kind: EventKind, form: Form | None = None, *details: dict[str, Any], **more: Any) -> dict[str, Any]:
    return notification(group(kind, *details), send(**more), SERVICE, has_headers=bool(more), form=form)


def faults(said: dict[str, Any]) -> list[str]:
    """Why an object is none of ours, told by the schema of its kind."""
    return [
        f"{list(one.absolute_path)}: {one.message}"
        for error in STRICT.iter_errors(said)
        for one in error.context
    ]


@pytest.mark.parametrize(("kind", "form"), FORMS)
@pytest.mark.parametrize("more", [{}, HEADERS, {"tags": {"campaign": ["a", "b"]}}])
def test_every_kind_meets_the_schema_to_the_letter(kind: EventKind, form: Form, more: dict[str, Any]) -> None:
    said = told(kind, form, **more)
    assert said[form.value] == kind.value
    assert STRICT.is_valid(said), faults(said)
    assert json.loads(to_bytes(said)) == said
    assert to_bytes(said).isascii()
    assert b"\n" not in to_bytes(said)


def test_the_forms_are_those_of_the_guide() -> None:
    assert len(FORMS) == 9
    notified = {kind for kind, form in FORMS if form is Form.NOTIFICATION}
    assert notified == {EventKind.BOUNCE, EventKind.COMPLAINT, EventKind.DELIVERY}
    for kind in (EventKind.SEND, EventKind.REJECT, EventKind.DELIVERY_DELAY):
        with pytest.raises(ValueError, match="there is no"):
            told(kind, Form.NOTIFICATION)
    for kind in set(EventKind) - set(TOLD):
        [ours] = gather([Event(AT, kind, ID, 7, "{}")])
        with pytest.raises(ValueError, match="there is no"):
            notification(ours, send(), SERVICE)


@needs_guide
def test_the_guides_examples_meet_it_too() -> None:
    notified, published = examples(NOTIFICATIONS), examples(EVENTS)
    assert [one["notificationType"] for one in notified] == ["Bounce"] * 2 + ["Complaint"] * 2 + ["Delivery"]
    assert [one["eventType"] for one in published] == [
        "Bounce", "Complaint", "Delivery", "Send", "Reject",
        "Open", "Click", "Rendering Failure", "DeliveryDelay", "Subscription",
    ]  # fmt: skip
    for one in notified + published:
        assert OPEN.is_valid(one)
        assert STRICT.is_valid(one), faults(one)
        schema = of_kind(one)
        assert [other for other in changed(one) if schema.is_valid(other)] == []


@needs_guide
def test_the_guides_pieces_meet_the_pieces() -> None:
    names = ["notifiedMail", "bounce", None, "complaint", None, "delivery"]
    pieces = examples("notification-contents.md")
    assert len(pieces) == len(names)
    for name, piece in zip(names, pieces, strict=True):
        if name is not None:
            schema = Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]})
            assert list(schema.iter_errors(piece)) == []


@needs_guide
@pytest.mark.parametrize("page", [NOTIFICATIONS, EVENTS])
def test_ours_have_the_members_that_the_guides_have(page: str) -> None:
    """Whoever reads the guide's examples finds in ours what is there."""
    for example in examples(page):
        form = Form.NOTIFICATION if Form.NOTIFICATION in example else Form.EVENT
        if example[form] in NOT_OURS:
            continue
        common = {"to": ["a"], "date": "x", "messageId": "x", "subject": "x", "from": ["a"]}
        tags = {name: ["x"] for name in example["mail"].get("tags", {})}
        ours = told(EventKind(example[form]), form, **{**HEADERS, "commonHeaders": common, "tags": tags})
        tags.pop("ses:outgoing-ip", None)
        assert paths(example) <= paths(ours)


def paths(value: Any) -> set[str]:
    """The names of all members, with those around them."""
    if isinstance(value, list):
        return set().union(*map(paths, value))
    if not isinstance(value, dict):
        return set()
    return set(value) | {f"{name}/{inner}" for name, one in value.items() for inner in paths(one)}


def changed(value: Any) -> Iterator[Any]:
    """The value with one place of it made wrong, for every place."""
    if isinstance(value, dict):
        yield []
        yield {**value, "unheard": 1}
        for name, one in value.items():
            for other in changed(one):
                yield {**value, name: other}
    elif isinstance(value, list):
        yield "text"
        for place, one in enumerate(value):
            for other in changed(one):
                yield [*value[:place], other, *value[place + 1 :]]
    else:
        yield {"of": "another kind"}


@pytest.mark.parametrize(("kind", "form"), FORMS)
def test_what_is_changed_in_any_place_does_not_meet_it(kind: EventKind, form: Form) -> None:
    said = told(kind, form, **HEADERS)
    wrong = list(changed(said))
    assert len(wrong) > 25
    schema = of_kind(said)
    assert schema.is_valid(said)
    assert [one for one in wrong if schema.is_valid(one)] == []
    for name in said:
        assert not OPEN.is_valid({key: value for key, value in said.items() if key != name})


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("bounce/bounceSubType", "MailboxFull"),  # a permanent one is not
        ("bounce/bounceType", "Hard"),
        ("bounce/bouncedRecipients", []),
        ("bounce/timestamp", "Thu, 13 Nov 2025 02:13:20 +0000"),
        ("bounce/feedbackId", "x"),
        ("bounce/remoteMtaIp", "mx.example.com"),
        ("mail/sendingAccountId", "7"),
        ("mail/sourceArn", "example.org"),
        ("mail/timestamp", 1763000000),
        ("mail/headers", [{"name": "From"}]),
        ("notificationType", "Complaint"),
        ("notificationType", "bounce"),
    ],
)
def test_wrong_values_do_not_meet_the_open_schema_either(where: str, value: object) -> None:
    said = copy.deepcopy(told(EventKind.BOUNCE, **HEADERS))
    assert OPEN.is_valid(said)
    assert OPEN.is_valid({**said, "added": "later"})  # SES may, and so may we
    *parents, name = where.split("/")
    place = said
    for parent in parents:
        place = place[parent]
    place[name] = value
    assert not OPEN.is_valid(said)


def test_a_bounce_of_several_recipients() -> None:
    other = {**BOUNCE, "recipient": "bob@example.com", "diagnosticCode": ""}
    said = told(EventKind.BOUNCE, None, BOUNCE, other)
    assert said["bounce"].pop("feedbackId").startswith("0000019a7afd26ca-")
    assert said["bounce"] == {
        "bounceType": "Permanent",
        "bounceSubType": "NoEmail",
        "bouncedRecipients": [
            {
                "emailAddress": "ann@example.com",
                "action": "failed",
                "status": "5.1.1",
                "diagnosticCode": "smtp; 550 5.1.1 unknown",
            },
            {"emailAddress": "bob@example.com", "action": "failed", "status": "5.1.1"},
        ],
        "timestamp": "2025-11-13T02:13:22.250Z",
        "remoteMtaIp": "192.0.2.25",
        "reportingMTA": "dsn; mx.relay.example",
    }
    assert "remoteMtaIp" not in told(EventKind.BOUNCE, Form.EVENT)["bounce"]


@pytest.mark.parametrize(
    ("source", "subtype", "named", "told_as"),
    [
        ("smtp", "NoEmail", "", "dsn; mx.relay.example"),
        ("smtp", "NoEmail", "out1.relay.example", "dsn; out1.relay.example"),
        ("simulator", "NoEmail", "", "dsn; mx.relay.example"),
        ("simulator", "Suppressed", "mx.relay.example", "dns; relay.example"),
        ("suppression-list", "OnAccountSuppressionList", "mx.relay.example", "dns; relay.example"),
        ("dsn", "NoEmail", "mail.example.com", "dns; mail.example.com"),
        ("dsn", "NoEmail", "dns; mail.example.com", "dns; mail.example.com"),
        ("dsn", "NoEmail", "", None),
        ("auto-reply", "General", "mail.example.com", None),
    ],
)
def test_who_reports_is_written_as_ses_does(
    source: str, subtype: str, named: str, told_as: str | None
) -> None:
    detail = {**BOUNCE, "source": source, "bounceSubType": subtype, "reportingMTA": named}
    assert told(EventKind.BOUNCE, None, detail)["bounce"].get("reportingMTA") == told_as


def test_the_moment_is_that_of_the_report() -> None:
    assert told(EventKind.COMPLAINT)["complaint"]["timestamp"] == "2025-11-13T02:13:21.500Z"
    said = told(EventKind.BOUNCE, None, {**BOUNCE, "reportedAt": 0})
    assert said["bounce"]["timestamp"] == "2025-11-13T02:13:22.250Z"  # the event's, if there is none


def test_an_automatic_reply_says_no_more_than_it_does() -> None:
    detail = {
        "recipient": "ann@example.com", "bounceType": "Transient", "bounceSubType": "General",
        "source": "auto-reply", "autoReply": True, "action": "", "status": "",
    }  # fmt: skip
    said = told(EventKind.BOUNCE, None, detail)
    assert said["bounce"]["bouncedRecipients"] == [{"emailAddress": "ann@example.com"}]
    assert STRICT.is_valid(said)


def test_a_complaint_without_a_report() -> None:
    said = told(EventKind.COMPLAINT, None, {"recipient": "ann@example.com", "source": "arf"})
    always = {"complainedRecipients", "complaintSubType", "feedbackId", "timestamp"}
    assert said["complaint"].keys() == always
    assert said["complaint"]["complaintSubType"] is None
    listed = told(EventKind.COMPLAINT, None, {**COMPLAINT, "subType": "OnAccountSuppressionList"})
    assert listed["complaint"]["complaintSubType"] == "OnAccountSuppressionList"
    assert told(EventKind.COMPLAINT)["complaint"]["arrivalDate"] == "2025-11-13T02:13:21.000Z"


def test_a_delay_tells_what_was_said_and_by_whom() -> None:
    assert told(EventKind.DELIVERY_DELAY)["deliveryDelay"] == {
        "timestamp": "2025-11-13T02:13:22.250Z",
        "delayType": "MailboxFull",
        "expirationTime": "2025-11-13T16:13:20.000Z",
        "delayedRecipients": [
            {"emailAddress": "ann@example.com", "status": "4.2.2", "diagnosticCode": "smtp; 452 4.2.2 full"}
        ],
        "reportingMTA": "192.0.2.25",
    }
    silent = {**DELAY, "reply": "timeout: connecting to mx.example.com", "address": ""}
    said = told(EventKind.DELIVERY_DELAY, None, silent)
    [recipient] = said["deliveryDelay"]["delayedRecipients"]
    assert recipient["diagnosticCode"] == "x-relay; timeout: connecting to mx.example.com"
    assert "reportingMTA" not in said["deliveryDelay"]
    assert STRICT.is_valid(said), faults(said)


def test_a_delay_that_another_server_reports() -> None:
    reported = {**DELAY, "expires": 0, "address": "", "source": "dsn", "reportedAt": 1763000001.0}
    said = told(EventKind.DELIVERY_DELAY, None, {**reported, "reply": "mail system busy"})
    assert said["deliveryDelay"] == {
        "timestamp": "2025-11-13T02:13:21.000Z",
        "delayType": "MailboxFull",
        "delayedRecipients": [
            {"emailAddress": "ann@example.com", "status": "4.2.2", "diagnosticCode": "mail system busy"}
        ],
    }
    assert STRICT.is_valid(said), faults(said)


def test_the_id_of_feedback_is_that_of_its_events() -> None:
    def feedback_id(*details: dict[str, Any], kind: EventKind = EventKind.BOUNCE) -> str:
        said = told(kind, None, *details)
        return str(said[kind.value.lower()]["feedbackId"])

    one = feedback_id()
    assert feedback_id() == one == feedback_id(BOUNCE, {**BOUNCE, "recipient": "bob@example.com"})
    assert one.endswith("-000001")  # the shard, as in the message's id
    others = {
        feedback_id({**BOUNCE, "recipient": "bob@example.com"}),
        feedback_id({**BOUNCE, "bounceSubType": "General"}),
        feedback_id({**BOUNCE, "source": "dsn"}),
        feedback_id(kind=EventKind.COMPLAINT),
    }
    assert len(others) == 4
    assert one not in others


def test_events_of_an_earlier_version_and_damaged_ones_are_told_as_far_as_they_go() -> None:
    old = {name: BOUNCE[name] for name in ("recipient", "reason", "scope", "reply", "expired", "bounce")}
    said = told(EventKind.BOUNCE, None, old)
    assert said["bounce"]["bounceType"] == said["bounce"]["bounceSubType"] == "Undetermined"
    assert STRICT.is_valid(said), faults(said)
    for kind, form in FORMS:
        [damaged] = gather([Event(AT, kind, "x", 7, "{")])
        assert notification(damaged, None, SERVICE, form=form)[form.value] == kind.value


def test_whose_settings_hold() -> None:
    assert identity_of(send(), group(EventKind.DELIVERY)) == "example.org"
    assert identity_of(None, group(EventKind.BOUNCE)) == "example.org"
    assert identity_of(None, group(EventKind.DELIVERY)) == ""


def test_text_that_is_no_text_does_not_stop_it() -> None:
    detail = {**BOUNCE, "diagnosticCode": "smtp; 550 \ud800 größe"}
    assert b"\\ud800 gr\\u00f6\\u00dfe" in to_bytes(told(EventKind.BOUNCE, None, detail))
    assert event(EventKind.BOUNCE, detail).detail.isascii()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
_MEMBERS = sorted({*BOUNCE, *COMPLAINT, *DELAY, *SEND, *HEADERS, "milliseconds", "tags", "sourceArn"})
_DETAILS = st.dictionaries(st.sampled_from(_MEMBERS), _JSON).map(json.dumps)


@given(st.sampled_from(FORMS), _DETAILS, st.none() | _DETAILS, st.booleans())
def test_no_detail_stops_it(
    drawn: tuple[EventKind, Form], detail: str, sent: str | None, has_headers: bool
) -> None:
    """One event that cannot be told would hold up all that come after it."""
    kind, form = drawn
    send_event = None if sent is None else Event(AT, EventKind.SEND, ID, 7, sent)
    [found] = gather([Event(AT, kind, ID, 7, detail)])
    said = notification(found, send_event, SERVICE, has_headers=has_headers, form=form)
    assert json.loads(to_bytes(said))[form.value] == kind.value
    assert isinstance(identity_of(send_event, found), str)
