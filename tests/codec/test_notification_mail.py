"""The mail object: what is told of the message, in both forms."""

import pytest

from relay.base.events import EventKind
from relay.base.ids import arrival_of
from relay.codec.notification_mail import Mail, moment
from tests.codec.notifications import AT, HEADERS, ID, group, send

DELIVERY = group(EventKind.DELIVERY)


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0.001, "1970-01-01T00:00:00.001Z"),
        (1763000000.608, "2025-11-13T02:13:20.608Z"),
        (1763000000.9996, "2025-11-13T02:13:21.000Z"),
        (1763000000, "2025-11-13T02:13:20.000Z"),
        (None, "2001-09-09T01:46:40.000Z"),
        (0, "2001-09-09T01:46:40.000Z"),
        ("yesterday", "2001-09-09T01:46:40.000Z"),
        (1e20, "2001-09-09T01:46:40.000Z"),
        (float("nan"), "2001-09-09T01:46:40.000Z"),
    ],
)
def test_times_have_milliseconds_and_fall_back(at: object, text: str) -> None:
    assert moment(at, 1e9) == text


def test_what_an_identity_tells() -> None:
    tagged = send(tags={"campaign": ["spring"]}, **HEADERS)
    told = Mail.of(DELIVERY, tagged).as_notified("eu-west-1", has_headers=False)
    assert told == {
        "timestamp": "2025-11-13T02:13:20.608Z",
        "messageId": ID,
        "source": "joe@example.org",
        "sourceArn": "arn:aws:ses:eu-west-1:000000000007:identity/example.org",
        "sourceIp": "192.0.2.1",
        "callerIdentity": "RLAYAAAAAAAAAAAAAAAA",
        "sendingAccountId": "000000000007",
        "destination": ["ann@example.com", "bob@example.com"],
    }  # and no tags: SES has them in events alone
    told = Mail.of(DELIVERY, tagged).as_notified("eu-west-1", has_headers=True)
    assert {name: told[name] for name in HEADERS} == HEADERS


def test_what_an_event_tells() -> None:
    tagged = send(tags={"ses:configuration-set": ["news"], "campaign": ["spring"]}, **HEADERS)
    told = Mail.of(DELIVERY, tagged).as_event("eu-west-1", has_headers=True)
    assert told["tags"] == {
        "ses:configuration-set": ["news"],
        "ses:source-ip": ["192.0.2.1"],
        "ses:from-domain": ["example.org"],
        "ses:caller-identity": ["RLAYAAAAAAAAAAAAAAAA"],
        "campaign": ["spring"],
    }
    assert "sourceIp" not in told
    assert "callerIdentity" not in told
    assert told["commonHeaders"] == {"messageId": ID, "from": ["Joe <joe@example.org>"]}
    assert told["headers"] == HEADERS["headers"]


def test_the_senders_own_message_id_is_told_where_it_has_one() -> None:
    common = {"from": ["joe@example.org"], "messageId": "<own@example.org>"}
    told = Mail.of(DELIVERY, send(**{**HEADERS, "commonHeaders": common})).as_event("eu-west-1", True)
    assert told["commonHeaders"] == common


def test_headers_that_were_not_kept_cannot_be_told() -> None:
    told = Mail.of(DELIVERY, send()).as_notified("eu-west-1", has_headers=True)
    assert not told.keys() & HEADERS.keys()


def test_an_arn_that_the_message_named_is_told() -> None:
    arn = "arn:aws:ses:eu-west-1:000000000007:identity/joe@example.org"
    assert Mail.of(DELIVERY, send(sourceArn=arn)).as_notified("eu-west-1", False)["sourceArn"] == arn


def test_without_a_login_there_is_no_caller() -> None:
    mail = Mail.of(DELIVERY, send(credential="", sourceIp=""))
    told = mail.as_notified("eu-west-1", False)
    assert not told.keys() & {"callerIdentity", "sourceIp"}
    assert list(mail.as_event("eu-west-1", False)["tags"]) == ["ses:from-domain"]


def test_a_message_whose_send_event_is_gone() -> None:
    bounced = group(EventKind.BOUNCE)
    told = Mail.of(bounced, None).as_notified("eu-west-1", has_headers=True)
    assert told == {
        "timestamp": moment(arrival_of(ID)),
        "messageId": ID,
        "source": "",
        "sourceArn": "arn:aws:ses:eu-west-1:000000000007:identity/example.org",
        "sendingAccountId": "000000000007",
        "destination": ["ann@example.com"],
    }
    assert moment(AT) != told["timestamp"]
