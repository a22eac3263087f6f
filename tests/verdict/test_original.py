"""Which recipient is meant: only those that the message had."""

import json

import pytest

from relay.base import return_path
from relay.base.events import Event, EventKind
from relay.base.feedback import Report, ReportKind
from relay.base.ids import MessageIds
from relay.verdict.original import (
    Original,
    at_domain,
    named_in,
    original_of,
    proved_by,
    recipient_of,
    same_address,
)

MANY = (
    "Jane@Example.org",
    "jane@example.org",
    "joe+list@example.org",
    "ann@münchen.example",
    "ann@b.example",
)


def test_the_return_path_proves_which_message_it_is_and_a_message_id_names_it() -> None:
    message_id, key = MessageIds(1).make(1.0), b"key"
    good = f"{return_path.make(message_id, key)}@bounces.example"
    assert proved_by(Report(ReportKind.BOUNCE, return_path=good.upper()), key) == message_id
    assert proved_by(Report(ReportKind.BOUNCE, return_path=good), b"another") == ""
    assert proved_by(Report(ReportKind.BOUNCE, message_id=f"<{message_id}@relay.example>"), key) == ""
    assert (
        named_in(Report(ReportKind.COMPLAINT, message_id=f"<{message_id.upper()}@relay.example>"))
        == message_id
    )
    for other in ("", "<>", "<x@relay.example>", f"<{message_id}>"):
        assert named_in(Report(ReportKind.COMPLAINT, message_id=other)) == ""


def test_the_send_event_tells() -> None:
    detail = {
        "source": "app@sender.example",
        "destination": ["a@x.example", "b@x.example"],
        "identity": "sender.example",
        "sizeBytes": 3,
        "tags": {"campaign": ["one"]},
        "headers": [],
    }
    events = [
        Event(1.0, EventKind.DELIVERY, "id", 7, "{}"),
        Event(0.0, EventKind.SEND, "id", 7, json.dumps(detail)),
    ]
    assert original_of(events) == Original(
        "id",
        7,
        "app@sender.example",
        ("a@x.example", "b@x.example"),
        "sender.example",
        '{"tags":{"campaign":["one"]}}',
    )
    assert original_of(events[:1]) is None
    assert original_of([Event(0.0, EventKind.SEND, "id", 7)]) == Original("id", 7, "", ())


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("jane@example.org", "jane@example.org"),
        ("jane@EXAMPLE.ORG", "jane@example.org"),
        ("JANE@example.org", ""),  # two would fit
        ("joe+list@example.org", "joe+list@example.org"),
        ("Joe@Example.org", "joe+list@example.org"),
        ("joe+other@example.org", "joe+list@example.org"),
        ("ann@xn--mnchen-3ya.example", "ann@münchen.example"),
        ("ann@b.example", "ann@b.example"),
        ("ann@c.example", ""),
        ("", ""),
        ("no address", ""),
        ("x@" + "ü" * 300, ""),
    ],
)
def test_one_of_many(name: str, found: str) -> None:
    assert same_address(MANY, name) == found
    assert recipient_of(Original("id", 1, "", MANY), name) == found


def test_the_first_that_names_one() -> None:
    original = Original("id", 1, "", MANY)
    assert recipient_of(original, "", "ann@b.example", "jane@example.org") == "ann@b.example"
    assert recipient_of(original, "stranger@x.example", "ann@b.example") == "ann@b.example"


def test_the_only_one_is_meant_whatever_is_named() -> None:
    assert recipient_of(Original("id", 1, "", ("a@x.example",)), "forwarded@y.example") == "a@x.example"
    assert recipient_of(Original("id", 1, "", ()), "forwarded@y.example") == ""


@pytest.mark.parametrize(
    ("domain", "found"),
    [
        ("x.example", ["a@x.example", "b@mail.x.example"]),
        ("mail.x.example", ["a@x.example", "b@mail.x.example"]),
        ("feedback.mail.x.example", ["a@x.example", "b@mail.x.example"]),
        ("ax.example", []),
        ("example", []),
        ("", []),
    ],
)
def test_at_a_domain(domain: str, found: list[str]) -> None:
    assert at_domain(("a@x.example", "b@mail.x.example", "c@y.example"), domain) == found
