"""From an event in the log to a post at the topic's address, with a real directory."""

import asyncio
import base64
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from relay.base.events import EventKind
from relay.codec import webhook
from relay.codec.sns_envelope import signed_text
from relay.daemon import sns_certificate
from relay.daemon.notifier.following import Follower
from relay.daemon.notifier.notifications import Notifications
from relay.daemon.notifier.outbox import Outbox
from relay.daemon.settings.config import parse
from relay.directory.notifying import TopicEnvelope
from relay.directory.refresh import LiveSnapshot
from relay.directory.secrets import create_key_file
from relay.directory.store import Directory
from tests.codec.notifications import BOUNCE, SEND
from tests.daemon.test_telling import Desk
from tests.fakes.authority import Authority
from tests.fakes.clock import ManualClock
from tests.fakes.endpoint import Endpoint


class Relay:
    """The notifier's half of a relay."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        create_key_file(folder / "relay.key")
        self.desk = Desk(folder / "spool")
        self.directory = Directory(f"sqlite:///{folder}/d.db", folder / "relay.key", "us-east-1")
        self.directory.migrate()
        self.directory.accounts.create("one", "owner@example.org")
        self.directory.identities.add("one", "example.org", is_verified=True)
        self.clock = ManualClock()
        self.notices: list[tuple[object, ...]] = []
        text = (
            f"[spool]\npath = '{folder}/spool'\n[notifications]\nprivate_addresses = 'allow'\n"
            f"ca_file = '{authority.file}'\n[verification]\nurl = 'https://relay.example'\n"
        )
        self.config = parse(text, folder / "relay.toml")

    async def start(self, stack: AsyncExitStack) -> None:
        self.live = LiveSnapshot(self.directory, interval_s=0.02)
        await self.live.start(stack)
        self.notifications = Notifications(
            lambda: self.config, self.live, self.directory.topics, self._notice, self.clock
        )
        self.live._on_change = self.notifications.directory_changed
        await self.notifications.start(stack)
        await Follower(self.config.spool.path, self.notifications.sink, poll_s=0.02).start(stack)

    async def _notice(self, *words: object) -> str:
        self.notices.append(words)
        return "id"

    def topic(self, url: str, envelope: TopicEnvelope = TopicEnvelope.RAW) -> str:
        """A topic that hears of bounces; its secret."""
        made = self.directory.topics.create("one", "news", url, envelope)
        self.directory.notifications.set("example.org", topics={EventKind.BOUNCE: "news"})
        return made.secret


async def until(is_true: object) -> None:
    async with asyncio.timeout(60):
        while not is_true():  # type: ignore[operator]
            await asyncio.sleep(0.01)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def endpoint(authority: Authority) -> Iterator[Endpoint]:
    with Endpoint(authority) as made:
        yield made


@pytest.fixture
async def relay(tmp_path: Path, authority: Authority) -> AsyncIterator[Relay]:
    made = Relay(tmp_path, authority)
    async with AsyncExitStack() as stack:
        stack.callback(made.directory.close)
        await made.start(stack)
        yield made


async def test_a_topic_made_while_it_runs_hears_of_the_next_bounce(relay: Relay, endpoint: Endpoint) -> None:
    secret = relay.topic(endpoint.url)
    await until(lambda: relay.notifications.sink.kinds != (EventKind.NOTICE,))
    relay.desk.log(EventKind.SEND, SEND, at=1.0)
    relay.desk.log(EventKind.BOUNCE, BOUNCE)
    await until(lambda: endpoint.taken)
    [post] = endpoint.taken
    assert (post.kind, post.message_id) == ("Bounce", relay.desk.shards.ids[0])
    assert webhook.verifies(
        secret.encode(), post.headers["x-relay-timestamp"], post.headers["x-relay-signature"], post.body,
        relay.clock.now(),
    )  # fmt: skip
    await until(lambda: relay.notifications.readings()["notifications_posted"] == 1)


async def test_the_envelope_of_sns_verifies_with_the_published_certificate(
    relay: Relay, endpoint: Endpoint
) -> None:
    relay.topic(endpoint.url, TopicEnvelope.SNS)
    await until(lambda: relay.notifications.sink.kinds != (EventKind.NOTICE,))
    relay.desk.log(EventKind.SEND, SEND, at=1.0)
    relay.desk.log(EventKind.BOUNCE, BOUNCE)
    await until(lambda: endpoint.taken)
    [post] = endpoint.taken
    members = json.loads(post.body)
    assert json.loads(members["Message"])["notificationType"] == "Bounce"
    assert post.headers["x-amz-sns-message-type"] == "Notification"
    place, _, name = members["SigningCertURL"].rpartition("/")
    assert place == "https://relay.example/sns"
    pem = sns_certificate.published(relay.config.spool.path, name)
    assert pem is not None
    key = x509.load_pem_x509_certificate(pem).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    signature = base64.b64decode(members["Signature"])
    key.verify(signature, signed_text(members), padding.PKCS1v15(), hashes.SHA256())


async def test_what_goes_wrong_with_one_topic_leaves_the_others_and_later_ones(
    relay: Relay, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("relay.daemon.notifier.notifications._AGAIN_S", 0.01)
    (relay.config.spool.path / sns_certificate.KEY).write_bytes(b"")
    (relay.config.spool.path / sns_certificate.CERTIFICATE).write_bytes(b"")
    failures = [sqlite3.OperationalError("database is locked")]
    revive = Outbox.revive

    def failing(outbox: Outbox, topic_id: int) -> int:
        if failures:
            raise failures.pop()
        return revive(outbox, topic_id)

    monkeypatch.setattr(Outbox, "revive", failing)
    relay.directory.topics.create("one", "old", endpoint.url, TopicEnvelope.SNS)
    await until(lambda: not failures)
    relay.topic(endpoint.url)
    await until(lambda: len(relay.live.current.topics) == 2)
    relay.desk.log(EventKind.SEND, SEND, at=1.0)
    relay.desk.log(EventKind.BOUNCE, BOUNCE)
    await until(lambda: endpoint.taken)
    assert endpoint.taken[0].kind == "Bounce"
    assert "remove it and sns.crt" in "".join(str(getattr(one, "why", "")) for one in caplog.records)


async def test_a_topic_that_is_dead_for_a_day_is_dropped_and_its_owner_told(
    relay: Relay, endpoint: Endpoint
) -> None:
    endpoint.fate = lambda post: 410
    relay.topic(endpoint.url)
    await until(lambda: relay.notifications.sink.kinds != (EventKind.NOTICE,))
    relay.desk.log(EventKind.SEND, SEND, at=1.0)
    relay.desk.log(EventKind.BOUNCE, BOUNCE)

    def is_dropped() -> bool:
        relay.clock.advance(600.0)
        return not relay.directory.topics.show("news").topic.is_active

    await until(is_dropped)
    [notice] = relay.notices
    assert notice[1] == "Notifications to topic news have stopped"
    endpoint.fate = lambda post: 200
    relay.directory.topics.activate("news")
    await until(lambda: endpoint.taken)
    assert endpoint.taken[0].kind == "Bounce"
