"""What identities tell: set, refused with the fix, shown, and read into the snapshot."""

import pytest

from relay.base.errors import DirectoryError
from relay.base.events import EventKind
from relay.directory.notifications import OPTIONS, Told
from relay.directory.notifying import TOLD, NotificationRow
from relay.directory.store import Directory

URL = "https://hooks.example.org/relay"
NAME = "example.org"


@pytest.fixture
def shop(directory: Directory) -> Directory:
    directory.accounts.create("shop")
    directory.identities.add("shop", "joe@example.org", is_verified=True)
    directory.identities.add("shop", NAME, is_verified=True, bits=1024)
    for topic in ("feedback", "rest"):
        directory.topics.create("shop", topic, URL)
    return directory


def test_every_kind_that_can_be_told_has_a_word() -> None:
    assert list(OPTIONS) == list(TOLD)


def test_nothing_is_told_until_it_is_asked_for(shop: Directory) -> None:
    settings = shop.notifications.show(NAME)
    assert (settings.identity, settings.account) == (NAME, "shop")
    assert settings.is_forwarding
    assert settings.told == {}
    assert shop.read().notifications == ()
    assert shop.read().unforwarded == frozenset()


def test_what_is_not_named_stays(shop: Directory) -> None:
    rows = shop.notifications
    rows.set(NAME, topics={EventKind.SEND: "rest", EventKind.BOUNCE: "feedback"}, headers=[EventKind.BOUNCE])
    settings = rows.set(NAME, topics={EventKind.COMPLAINT: "log"})
    assert list(settings.told) == [EventKind.BOUNCE, EventKind.COMPLAINT, EventKind.SEND]
    assert settings.told == {
        EventKind.BOUNCE: Told("feedback", True),
        EventKind.COMPLAINT: Told("log", False),
        EventKind.SEND: Told("rest", False),
    }
    assert [str(one) for one in settings.told.values()] == ["feedback with headers", "log", "rest"]
    settings = rows.set(NAME, topics={EventKind.BOUNCE: "rest", EventKind.SEND: "none"})
    assert settings.told[EventKind.BOUNCE] == Told("rest", True)
    assert EventKind.SEND not in settings.told
    assert rows.set(NAME, topics={EventKind.SEND: "none"}) == settings  # none already
    assert rows.set(NAME, headers=[]).told[EventKind.BOUNCE] == Told("rest", False)
    assert settings.told.keys() == rows.list()[0].told.keys()


def test_forwarding_is_off_only_while_someone_hears(shop: Directory) -> None:
    rows = shop.notifications
    with pytest.raises(
        DirectoryError, match=r"add --bounce TOPIC --complaint TOPIC \(or log\), or --forwarding on"
    ):
        rows.set(NAME, is_forwarding=False)
    with pytest.raises(DirectoryError, match="add --complaint TOPIC"):
        rows.set(NAME, topics={EventKind.BOUNCE: "feedback"}, is_forwarding=False)
    assert rows.show(NAME).told == {}  # a refusal changes nothing

    both = {EventKind.BOUNCE: "feedback", EventKind.COMPLAINT: "log"}
    assert not rows.set(NAME, topics=both, is_forwarding=False).is_forwarding
    with pytest.raises(DirectoryError, match="add --bounce TOPIC"):
        rows.set(NAME, topics={EventKind.BOUNCE: "none"})
    assert rows.set(NAME, topics={EventKind.BOUNCE: "none"}, is_forwarding=True).is_forwarding


def test_a_dropped_topic_is_no_one(shop: Directory) -> None:
    rows = shop.notifications
    both = {EventKind.BOUNCE: "feedback", EventKind.COMPLAINT: "feedback"}
    rows.set(NAME, topics=both)
    shop.topics.drop(shop.topics.show("feedback").topic.id, "gone")
    with pytest.raises(DirectoryError, match="add --bounce TOPIC --complaint TOPIC"):
        rows.set(NAME, is_forwarding=False)
    assert str(rows.show(NAME).told[EventKind.BOUNCE]) == "feedback (dropped)"


def test_headers_go_with_something_told(shop: Directory) -> None:
    with pytest.raises(DirectoryError, match=r"headers cannot be had: add --delay TOPIC \(or log\)"):
        shop.notifications.set(NAME, headers=[EventKind.DELIVERY_DELAY])


def test_a_topic_of_another_account_is_unknown(shop: Directory) -> None:
    shop.accounts.create("blog")
    shop.topics.create("blog", "theirs", URL)
    with pytest.raises(DirectoryError, match="no topic 'theirs'"):
        shop.notifications.set(NAME, topics={EventKind.BOUNCE: "theirs"})


def test_the_snapshot_gets_them_all(shop: Directory) -> None:
    rows = shop.notifications
    shop.identities.add("shop", "pending.example", bits=1024)
    both = {EventKind.BOUNCE: "log", EventKind.COMPLAINT: "log"}
    for name in ("joe@example.org", "pending.example"):
        rows.set(name, topics=both, is_forwarding=False)
    contents = shop.read()
    told = {(row.identity, row.kind) for row in contents.notifications}
    assert told == {(name, kind) for name in ("joe@example.org", "pending.example") for kind in both}
    assert NotificationRow(1, "joe@example.org", EventKind.BOUNCE, None, False) in contents.notifications
    assert contents.unforwarded == {(1, "joe@example.org"), (1, "pending.example")}
    assert [one.is_forwarding for one in rows.list("shop")] == [True, False, False]
