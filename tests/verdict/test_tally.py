"""What each event adds: a table of events, and what is counted of them."""

import json
from typing import Any

import pytest

from relay.base.counts import COLUMNS, Counts, Place
from relay.base.events import Event, EventKind
from relay.base.ids import MessageIds
from relay.verdict.tally import Tally

QUARTER = 1_800_000_000
SENT_AT = QUARTER - 86_400.0  # a day before
IDS = MessageIds(1)
MESSAGE = IDS.make(SENT_AT)
HERE = Place(7, QUARTER, "shop.example", "there.example")
THEN = HERE._replace(start=QUARTER - 86_400)


def event(kind: EventKind, at: float = QUARTER + 5.0, message: str = MESSAGE, **detail: Any) -> Event:
    return Event(at, kind, message, 7, json.dumps(detail))


def tally_of(*events: Event, is_judged: bool = True) -> Tally:
    tally = Tally(lambda _: "shop.example", lambda *_: is_judged)
    for one in events:
        tally.add(one)
    return tally


def shown(counts: dict[Place, Counts]) -> dict[Place, dict[str, int]]:
    """Without zeros."""
    found = {}
    for place, one in counts.items():
        numbers = {name: getattr(one, name) for name in COLUMNS if getattr(one, name)}
        if numbers:
            found[place] = numbers
    return found


def bounce(kind: str | None, subtype: str = "General", **more: Any) -> Event:
    typed = {"bounceType": kind, "bounceSubType": subtype} if kind else {}
    return event(EventKind.BOUNCE, recipient="a@there.example", identity="shop.example", **typed, **more)


def complaint(**more: Any) -> Event:
    return event(EventKind.COMPLAINT, recipient="A@There.Example", identity="shop.example", **more)


HARD = {HERE: {"hard": 1}, THEN: {"bounced": 1}}
ON_LIST = "OnAccountSuppressionList"


@pytest.mark.parametrize(
    ("what", "counted"),
    [
        (event(EventKind.DELIVERY, recipient="a@THERE.example"), {HERE: {"delivered": 1}}),
        (event(EventKind.REJECT, reason="Bad content"), {HERE._replace(domain=""): {"rejects": 1}}),
        (bounce("Permanent"), HARD),
        (bounce("Permanent", "NoEmail", source="dsn"), HARD),
        (bounce("Permanent", "Suppressed"), {HERE: {"hard": 1, "suppressed": 1}, THEN: {"bounced": 1}}),
        (bounce("Permanent", ON_LIST), {HERE: {"suppressed": 1}, THEN: {"mails": -1}}),
        (bounce("Transient", "MailboxFull"), {HERE: {"soft": 1}}),
        (bounce("Undetermined", "Undetermined"), {HERE: {"soft": 1}}),
        (bounce("Transient", autoReply=True), {}),
        (bounce("Transient", source="auto-reply"), {}),
        (bounce(None, expired=True), {HERE: {"soft": 1}}),  # of a version that knew no types
        (bounce(None, expired=False), {HERE: {"hard": 1}}),
        (complaint(feedbackType="abuse"), {HERE: {"complaints": 1}, THEN: {"complained": 1}}),
        (complaint(feedbackType=None), {HERE: {"complaints": 1}, THEN: {"complained": 1}}),
        (complaint(feedbackType="not-spam"), {}),
        (complaint(feedbackType="Auth-Failure"), {}),
        (complaint(subType=ON_LIST), {HERE: {"suppressed": 1}, THEN: {"mails": -1}}),
        (event(EventKind.NOTICE, recipient="a@there.example"), {}),
        (event(EventKind.DELIVERY_DELAY, recipient="a@there.example"), {}),
        (
            Event(QUARTER, EventKind.DELIVERY, MESSAGE, 7, "no JSON"),
            {HERE._replace(domain=""): {"delivered": 1}},
        ),
    ],
)
def test_one_event(what: Event, counted: dict[Place, dict[str, int]]) -> None:
    assert shown(tally_of(what).counts) == counted


def test_a_send_is_an_attempt_for_each_recipient() -> None:
    sent = event(
        EventKind.SEND,
        at=SENT_AT,
        identity="shop.example",
        destination=["a@there.example", "b@there.example", "c@bücher.example", "odd"],
    )
    assert shown(tally_of(sent).counts) == {
        THEN: {"sent": 2, "mails": 2},
        THEN._replace(domain="xn--bcher-kva.example"): {"sent": 1, "mails": 1},
        THEN._replace(domain=""): {"sent": 1, "mails": 1},
    }


def test_what_is_excepted_from_the_rates_is_in_the_points_all_the_same() -> None:
    sent = event(EventKind.SEND, at=SENT_AT, identity="shop.example", destination=["a@there.example"])
    found = tally_of(sent, bounce("Permanent"), complaint(), is_judged=False)
    assert shown(found.counts) == {THEN: {"sent": 1}, HERE: {"hard": 1, "complaints": 1}}


def test_who_is_asked_whether_mail_is_judged_hears_when_it_was_sent() -> None:
    asked: list[tuple[int, str, float]] = []

    def is_judged(*question: Any) -> bool:
        asked.append(question)
        return True

    tally = Tally(lambda _: "", is_judged)
    for one in (
        bounce("Permanent"),
        complaint(),
        event(EventKind.SEND, at=SENT_AT, destination=["x@y.example"]),
    ):
        tally.add(one)
    assert asked == [
        (7, "a@there.example", SENT_AT),
        (7, "A@There.Example", SENT_AT),
        (7, "x@y.example", SENT_AT),
    ]


def test_an_event_without_an_identity_has_that_of_its_send() -> None:
    tally = Tally(lambda _: "asked.example", lambda *_: True)
    other = IDS.make(SENT_AT)
    tally.add(event(EventKind.SEND, at=SENT_AT, identity="sent.example", destination=["a@there.example"]))
    tally.add(event(EventKind.DELIVERY, recipient="a@there.example"))
    tally.add(event(EventKind.DELIVERY, message=other, recipient="a@there.example"))
    assert {place.identity for place, one in tally.counts.items() if one.delivered} == {
        "sent.example",
        "asked.example",
    }
    assert tally.identities == {MESSAGE: "sent.example"}


def test_a_bounce_of_no_message_of_ours_touches_no_rate() -> None:
    found = Tally(lambda _: "", lambda *_: True)
    found.add(event(EventKind.BOUNCE, message="", recipient="a@there.example", bounceType="Permanent"))
    assert [shown(found.counts)] == [{HERE._replace(identity=""): {"hard": 1}}]


def test_bounces_by_type_and_complaints_for_the_scrape() -> None:
    found = tally_of(bounce("Permanent"), bounce("Transient"), bounce("Permanent"), complaint(), bounce(None))
    assert {kind.value: count for kind, count in found.bounces.items()} == {
        "Permanent": 2,
        "Transient": 1,
        "Undetermined": 0,
    }
    assert found.complaints == 1
