"""Topics as rows: made, sealed, dropped and deleted, and what becomes of those that relied on them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from relay.base.errors import DirectoryError
from relay.base.events import EventKind
from relay.directory.notifying import TopicEnvelope, TopicState
from relay.directory.snapshot import KeyRing, Snapshot
from relay.directory.store import Directory
from relay.directory.topics import LIMIT
from tests.fakes.clock import ManualClock

URL = "https://hooks.example.org/relay"


def with_shop(directory: Directory) -> Directory:
    """An account with an identity whose feedback goes to a topic alone."""
    directory.accounts.create("shop")
    directory.identities.add("shop", "joe@example.org", is_verified=True)
    directory.topics.create("shop", "feedback", URL)
    directory.notifications.set(
        "joe@example.org",
        topics={EventKind.BOUNCE: "feedback", EventKind.COMPLAINT: "feedback"},
        is_forwarding=False,
    )
    return directory


@pytest.fixture
def shop(directory: Directory) -> Directory:
    return with_shop(directory)


@pytest.fixture
def shop_on_a_server(postgresql_url: str, key_file: Path, clock: ManualClock) -> Iterator[Directory]:
    engine = create_engine(postgresql_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    directory = Directory(postgresql_url, key_file, "us-east-1", clock)
    directory.migrate()
    yield with_shop(directory)
    directory.close()


def snapshot_of(directory: Directory) -> Snapshot:
    return Snapshot(directory.read(), KeyRing(directory.vault(), "us-east-1"))


def test_a_topic_is_made_and_its_secret_is_told_once(directory: Directory, clock: ManualClock) -> None:
    account = directory.accounts.create("shop")
    new = directory.topics.create("shop", "orders_1", URL, TopicEnvelope.SNS)
    assert len(new.secret) == 40
    assert new.secret not in repr(new)
    [held] = directory.topics.list("shop")
    assert (held.topic, held.account) == (new.topic, "shop")
    assert held == directory.topics.show("orders_1")
    assert held.topic.account_id == account.id
    assert (held.topic.url, held.topic.envelope, held.topic.created_at) == (URL, "sns", clock.now())
    snapshot = snapshot_of(directory)
    assert snapshot.topics == {new.topic.id: new.topic}
    assert snapshot.topic_secret(new.topic.id) == new.secret.encode()
    assert snapshot.topic_secret(new.topic.id + 1) is None
    assert new.secret.encode() not in directory.read().topics[0].secret


def test_its_address_can_move(directory: Directory) -> None:
    directory.accounts.create("shop")
    new = directory.topics.create("shop", "orders", URL)
    held = directory.topics.set("orders", url="https://new.example.org/")
    assert (held.topic.url, held.topic.envelope) == ("https://new.example.org/", "raw")
    assert directory.topics.set("orders", envelope=TopicEnvelope.SNS).topic.envelope == "sns"
    with pytest.raises(DirectoryError, match="has to be https"):
        directory.topics.set("orders", url="http://new.example.org/")
    snapshot = snapshot_of(directory)
    assert snapshot.topics[new.topic.id].url == "https://new.example.org/"
    assert snapshot.topic_secret(new.topic.id) == new.secret.encode()  # as it was


def test_another_secret_takes_the_place_of_the_first(directory: Directory) -> None:
    directory.accounts.create("shop")
    first = directory.topics.create("shop", "orders", URL)
    before = directory.revision()
    second = directory.topics.rotate("orders")
    assert second.secret != first.secret
    assert directory.revision() > before  # the running relay hears of it
    assert snapshot_of(directory).topic_secret(first.topic.id) == second.secret.encode()


def test_a_secret_that_does_not_open_says_so(directory: Directory) -> None:
    directory.accounts.create("shop")
    new = directory.topics.create("shop", "orders", URL)
    snapshot = Snapshot(directory.read(), KeyRing(type(directory.vault())(bytes(32)), "us-east-1"))
    with pytest.raises(DirectoryError, match=f"topic/{new.topic.id} does not open"):
        snapshot.topic_secret(new.topic.id)


@pytest.mark.parametrize("name", ["", "two words", "a/b", "log", "none", "x" * 257, "größe"])
def test_names_that_are_none(directory: Directory, name: str) -> None:
    directory.accounts.create("shop")
    with pytest.raises(DirectoryError, match="cannot name a topic"):
        directory.topics.create("shop", name, URL)


def test_a_name_is_taken_within_its_account_only(directory: Directory) -> None:
    directory.accounts.create("shop")
    directory.accounts.create("blog")
    directory.topics.create("shop", "orders", URL)
    with pytest.raises(DirectoryError, match="relay topic delete orders --account shop"):
        directory.topics.create("shop", "orders", URL)
    directory.topics.create("blog", "orders", URL)
    with pytest.raises(DirectoryError, match=r"\(blog, shop\): name one with --account"):
        directory.topics.show("orders")
    assert directory.topics.show("orders", "blog").account == "blog"
    with pytest.raises(DirectoryError, match="relay topic create ACCOUNT lists --url"):
        directory.topics.show("lists")
    with pytest.raises(DirectoryError, match="relay account create nobody"):
        directory.topics.create("nobody", "orders", URL)


def test_an_account_has_so_many_topics(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    assert LIMIT == 100
    monkeypatch.setattr("relay.directory.topics.LIMIT", 1)
    directory.accounts.create("shop")
    directory.topics.create("shop", "one", URL)
    with pytest.raises(DirectoryError, match="all it may have"):
        directory.topics.create("shop", "two", URL)


def test_a_dropped_topic_is_told_nothing_and_mail_tells_instead(shop: Directory) -> None:
    [held] = shop.topics.list()
    assert not snapshot_of(shop).is_forwarding(1, "joe@example.org")
    dropped = shop.topics.drop(held.topic.id, "410 for a day")
    assert dropped is not None
    assert (dropped.account, dropped.forwarded) == ("shop", ("joe@example.org",))
    assert (dropped.topic.state, dropped.topic.reason) == (TopicState.DROPPED, "410 for a day")
    snapshot = snapshot_of(shop)
    assert snapshot.notifying(1, "joe@example.org", EventKind.BOUNCE) is None
    assert snapshot.is_forwarding(1, "joe@example.org")
    assert shop.topics.drop(held.topic.id, "again") is None
    assert shop.topics.drop(held.topic.id + 1, "never was") is None

    shop.topics.activate("feedback")
    snapshot = snapshot_of(shop)
    heard = snapshot.notifying(1, "joe@example.org", EventKind.BOUNCE)
    assert heard is not None
    assert heard.topic is not None
    assert (heard.topic.state, heard.topic.reason) == (TopicState.ACTIVE, "")
    assert snapshot.is_forwarding(1, "joe@example.org")  # on until its owner says otherwise


def test_a_topic_that_heard_of_deliveries_leaves_forwarding_as_it_is(shop: Directory) -> None:
    other = shop.topics.create("shop", "deliveries", URL)
    shop.notifications.set("joe@example.org", topics={EventKind.DELIVERY: "deliveries"})
    dropped = shop.topics.drop(other.topic.id, "gone")
    assert dropped is not None
    assert dropped.forwarded == ()
    assert not shop.notifications.show("joe@example.org").is_forwarding


def test_deleting_a_topic_removes_what_was_set_for_it(shop: Directory) -> None:
    [held] = shop.topics.list()
    assert shop.topics.users(held.topic.id) == (
        ("joe@example.org", "Bounce"),
        ("joe@example.org", "Complaint"),
    )
    assert shop.topics.delete("feedback").forwarded == ("joe@example.org",)
    assert shop.topics.list() == ()
    settings = shop.notifications.show("joe@example.org")
    assert (settings.is_forwarding, dict(settings.told)) == (True, {})


def test_topics_go_with_their_account(shop: Directory) -> None:
    shop.accounts.delete("shop")
    assert shop.topics.list() == ()
    assert shop.read().notifications == ()


def test_a_server_holds_them_as_a_file_does(shop_on_a_server: Directory) -> None:
    directory = shop_on_a_server
    [held] = directory.topics.list("shop")
    snapshot = snapshot_of(directory)
    assert not snapshot.is_forwarding(1, "joe@example.org")
    assert len(snapshot.topic_secret(held.topic.id) or b"") == 40
    heard = snapshot.notifying(1, "joe@example.org", EventKind.COMPLAINT)
    assert heard is not None
    assert heard.topic == held.topic
    dropped = directory.topics.drop(held.topic.id, "gone")
    assert dropped is not None
    assert dropped.forwarded == ("joe@example.org",)
    assert directory.topics.delete("feedback").forwarded == ()
    assert directory.read().notifications == ()
