"""What an event means for the suppression lists."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.base.events import Event, EventKind
from relay.base.outcome import Failed, Reason, Scope
from relay.base.reply import Reply
from relay.base.suppression import (
    ON_ACCOUNT_LIST,
    ON_ACCOUNT_LIST_FOR_COMPLAINT,
    ON_SERVICE_LIST,
    SERVICE,
    SuppressionReason,
)
from relay.verdict.details import Setting, bounce_event
from relay.verdict.outcome_class import class_of
from relay.verdict.suppression import Offence, certain, lists_for, offence_of
from tests.fakes.spool import NOW, message

BOUNCE, COMPLAINT = SuppressionReason
SHOP = 3
BOUNCED = {
    "recipient": "A@X.example",
    "bounceType": "Permanent",
    "bounceSubType": "General",
    "source": "smtp",
}
COMPLAINED = {"recipient": "A@X.example", "feedbackType": "abuse", "subType": None, "source": "arf"}


def event(kind: EventKind, detail: dict[str, object], account_id: int = SHOP) -> Event:
    return Event(NOW, kind, "m1", account_id, json.dumps(detail))


@pytest.mark.parametrize(
    ("kind", "detail", "more", "reason"),
    [
        (EventKind.BOUNCE, BOUNCED, {}, BOUNCE),
        (
            EventKind.BOUNCE,
            BOUNCED,
            {"source": "dsn", "bounceSubType": "NoEmail", "autoReply": False},
            BOUNCE,
        ),
        (EventKind.BOUNCE, BOUNCED, {"bounceType": "Transient"}, None),
        (EventKind.BOUNCE, BOUNCED, {"bounceType": "Undetermined"}, None),
        (EventKind.BOUNCE, BOUNCED, {"bounceSubType": "Suppressed"}, None),
        (EventKind.BOUNCE, BOUNCED, {"bounceSubType": "OnAccountSuppressionList"}, None),
        (EventKind.BOUNCE, BOUNCED, {"source": "suppression-list"}, None),
        (EventKind.BOUNCE, BOUNCED, {"source": "simulator"}, None),
        (EventKind.BOUNCE, BOUNCED, {"source": "auto-reply"}, None),
        (EventKind.BOUNCE, BOUNCED, {"autoReply": True}, None),
        (EventKind.BOUNCE, BOUNCED, {"recipient": "bounce@simulator.relay.example"}, None),
        (EventKind.BOUNCE, BOUNCED, {"recipient": "a@\u2603\u3002"}, None),
        (EventKind.BOUNCE, {"recipient": "a@x.example", "reason": "refused"}, {}, None),  # of an older relay
        (EventKind.BOUNCE, {}, {}, None),
        (EventKind.COMPLAINT, COMPLAINED, {}, COMPLAINT),
        (EventKind.COMPLAINT, COMPLAINED, {"feedbackType": "", "subType": ""}, COMPLAINT),
        (
            EventKind.COMPLAINT,
            COMPLAINED,
            {"isCertain": False},
            None,
        ),  # of one of several: nobody knows whose
        (EventKind.COMPLAINT, COMPLAINED, {"feedbackType": "not-spam"}, None),
        (EventKind.COMPLAINT, COMPLAINED, {"feedbackType": "Not-Spam"}, None),
        (EventKind.COMPLAINT, COMPLAINED, {"feedbackType": "auth-failure"}, None),
        (EventKind.COMPLAINT, COMPLAINED, {"subType": "OnAccountSuppressionList"}, None),
        (EventKind.COMPLAINT, COMPLAINED, {"source": "simulator"}, None),
        (EventKind.COMPLAINT, COMPLAINED, {"recipient": "complaint+x@Simulator.Relay.Example"}, None),
        (EventKind.DELIVERY, BOUNCED, {}, None),
        (EventKind.DELIVERY_DELAY, BOUNCED, {}, None),
    ],
)
def test_who_gives_offence(
    kind: EventKind,
    detail: dict[str, object],
    more: dict[str, object],
    reason: SuppressionReason | None,
) -> None:
    found = offence_of(event(kind, {**detail, **more}), "relay.example")
    assert found == (None if reason is None else Offence(SHOP, "a@x.example", reason, NOW, "m1"))
    assert offence_of(event(kind, {**detail, **more}, account_id=0), "relay.example") is None


@pytest.mark.parametrize(
    ("reason", "suppressed", "lists"),
    [
        (BOUNCE, {BOUNCE, COMPLAINT}, [SERVICE, SHOP]),
        (BOUNCE, {COMPLAINT}, [SERVICE]),
        (BOUNCE, set(), [SERVICE]),
        (BOUNCE, None, [SERVICE]),  # the account is gone
        (COMPLAINT, {BOUNCE, COMPLAINT}, [SERVICE, SHOP]),
        (COMPLAINT, {BOUNCE}, [SERVICE]),
        (COMPLAINT, set(), []),
        (COMPLAINT, None, []),
    ],
)
def test_which_lists_it_goes_onto(
    reason: SuppressionReason, suppressed: set[SuppressionReason] | None, lists: list[int]
) -> None:
    assert lists_for(Offence(SHOP, "a@x.example", reason, NOW, "m1"), suppressed) == lists


@pytest.mark.parametrize(
    ("outcome", "domain", "is_against"),
    [
        (Failed(Scope.RECIPIENT, Reason.REFUSED, Reply(550, "no such user", "5.1.1")), "x.example", True),
        (
            Failed(Scope.RECIPIENT, Reason.REFUSED, Reply(550, "blocked by policy", "5.7.1")),
            "x.example",
            False,
        ),
        (Failed(Scope.RECIPIENT, Reason.SUPPRESSED, None, "x"), ON_SERVICE_LIST, False),
        (Failed(Scope.RECIPIENT, Reason.ON_ACCOUNT_LIST, None, "x"), ON_ACCOUNT_LIST, False),
        (Failed(Scope.RECIPIENT, Reason.ON_ACCOUNT_LIST, None, "x"), ON_ACCOUNT_LIST_FOR_COMPLAINT, False),
    ],
)
def test_what_settling_tells_is_understood(outcome: Failed, domain: str, is_against: bool) -> None:
    """The words of the events are those that are written."""
    about = message("a@x.example")
    about.account_id, about.recipients[0].domain = SHOP, domain
    told = bounce_event(Setting(about, NOW), about.recipients[0], outcome, class_of(outcome, about, True), "")
    assert told.kind is (EventKind.COMPLAINT if "complaint" in domain else EventKind.BOUNCE)
    assert (offence_of(told) is not None) == is_against


@given(
    st.sampled_from([EventKind.BOUNCE, EventKind.COMPLAINT]), st.text() | st.sampled_from(["[]", "1", "{}"])
)
def test_no_detail_breaks_it(kind: EventKind, detail: str) -> None:
    assert offence_of(Event(NOW, kind, "m1", SHOP, detail)) is None


def test_whose_complaint_it_is_must_be_certain() -> None:
    def offence(address: str, reason: SuppressionReason, by: str = "m1", at: float = NOW) -> Offence:
        return Offence(SHOP, address, reason, at, by)

    sure = [
        offence("c", COMPLAINT, at=NOW + 1),
        offence("c", COMPLAINT, at=NOW + 1),  # told twice: it is the same
        offence("d", COMPLAINT, "m2"),
        offence("e", BOUNCE),
        offence("f", BOUNCE),
    ]
    assert certain([offence("a", COMPLAINT), *sure, offence("b", COMPLAINT)]) == sure
