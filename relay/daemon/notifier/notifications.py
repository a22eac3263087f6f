"""Notifications, joined: from the event log over the outbox to the web addresses of topics.

``start`` opens the outbox, ``sink`` is what follows the event log, ``directory_changed`` hears of every new
snapshot. Of the settings, [notifications] timeout and give_up_after take effect at a reload.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, Protocol

from relay.base.arn import topic_arn
from relay.base.clock import Clock
from relay.base.errors import ConfigError, DirectoryError, SpoolError
from relay.base.tasks import Tasks
from relay.codec import sns_envelope, webhook
from relay.codec.notification import Service
from relay.daemon import sns_certificate
from relay.daemon.notifier.outbox import Outbox
from relay.daemon.notifier.posting import Posting
from relay.daemon.notifier.telling import Snapshot, Telling
from relay.daemon.notifier.topic_fallback import Notice, Topics, drop
from relay.daemon.notifier.topic_poster import Wrapped
from relay.daemon.settings.config import Config
from relay.daemon.sns_certificate import SnsCertificate
from relay.daemon.translate import endpoint_text
from relay.directory.notifying import Topic, TopicEnvelope
from relay.transport.resolve import Resolver
from relay.transport.webhook import Posted, Webhooks

log = logging.getLogger(__name__)

_AGAIN_S = 30.0
_SUCCEEDED = "AmazonSnsSubscriptionSucceeded"  # what receivers of SES's notifications know


class Secrets(Snapshot, Protocol):
    """The directory, and what signs."""

    def topic_secret(self, topic_id: int) -> bytes | None: ...


class Live(Protocol):
    """Where the current snapshot is found."""

    @property
    def current(self) -> Secrets: ...
    async def poll(self) -> bool: ...


class Notifications:
    """All of it for one relay."""

    def __init__(
        self,
        config: Callable[[], Config],
        live: Live,
        topics: Topics,
        notice: Notice,
        clock: Clock,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        """``config`` is asked for what is in force; ``notice`` writes to the contact of an account;
        ``on_lost`` hears that the outbox is damaged or gone, and that nothing goes on until a new start."""
        self._config = config
        self._live = live
        self._topics = topics
        self._notice = notice
        self._clock = clock
        self._certificate: SnsCertificate | None = None
        self._told: set[int] = set()
        self._tasks = Tasks("notifications")
        self._changed = asyncio.Event()
        settings = config()
        section, delivery = settings.notifications, settings.delivery
        self._resolver = Resolver(clock, endpoint_text(delivery.resolver), delivery.resolver_timeout)
        self._webhooks = Webhooks(
            self._resolver,
            str(section.ca_file or ""),
            section.private_addresses == "allow",
            section.timeout,
        )
        self.posting = Posting(
            Outbox(settings.spool.path),
            self._webhooks,
            self._wrap,
            clock,
            self._dead,
            give_up_after_s=section.give_up_after,
            on_lost=on_lost,
        )
        self.sink = Telling(settings.spool.path, live, self.posting, self._service)

    async def start(self, stack: AsyncExitStack) -> None:
        """Post until the stack unwinds. Raises ConfigError or SpoolError."""
        await self._resolver.start(stack)
        await self._webhooks.start(stack)
        await self.posting.start(stack)
        await self.sink.start(stack)
        await self._follow()
        await self._tasks.start(stack)
        self._tasks.spawn(self._follow_on(), "follow")

    def directory_changed(self, _: object) -> None:
        """There may be other topics now."""
        self._changed.set()

    def take_over(self, config: Config) -> None:
        """A new configuration comes into force."""
        self._webhooks.timeout_s = config.notifications.timeout
        self.posting.give_up_after_s = config.notifications.give_up_after

    def readings(self) -> dict[str, Any]:
        """What is counted, for the scrape."""
        posting = self.posting
        return {
            "notifications_posted": posting.posted,
            "notifications_refused": posting.refused,
            "notifications_put_aside": posting.put_aside,
            "topics_dropped": posting.dropped,
        }

    async def _follow_on(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._follow()
            except Exception:  # the outbox cannot be written now: later topics must not stay unheard of
                log.exception("topics are not followed; tried again")
                await asyncio.sleep(_AGAIN_S)
                self._changed.set()

    async def _follow(self) -> None:
        topics = self._live.current.topics
        if self._certificate is None and any(one.envelope is TopicEnvelope.SNS for one in topics.values()):
            settings = self._config()
            try:
                self._certificate = await asyncio.to_thread(
                    sns_certificate.load, settings.spool.path, settings.relay.hostname, self._clock.now()
                )
            except SpoolError as error:  # those topics wait; all else goes on
                log.error("the envelope of SNS cannot be signed", extra={"why": str(error)})
        await self.posting.follow(topics)

    async def test(self, topic_id: int) -> Posted:
        """Post one notification that tells of nothing, as SES does when a topic is set; what came of it.

        Raises RelayError if there is no such topic, or its post cannot be made.
        """
        await self._live.poll()
        topic = self._live.current.topics.get(topic_id)
        if topic is None:
            raise DirectoryError("no such topic; see `relay topic list`")
        said = f"Topic {topic.name} hears of notifications of account {topic.account_id:012d}."
        body = json.dumps({"notificationType": _SUCCEEDED, "message": said}).encode()
        wrapped = self._wrap(topic, str(uuid.uuid4()), body, self._clock.now())
        return await self._webhooks.post(topic.url, *wrapped)

    def _service(self) -> Service:
        config = self._config()
        return Service(config.directory.region, config.relay.hostname, config.signing.service_domain)

    def _wrap(self, topic: Topic, uid: str, body: bytes, now: float) -> Wrapped:
        """The post of a notification. Raises RelayError if it cannot be made now."""
        secret = self._live.current.topic_secret(topic.id)
        if secret is None:
            raise DirectoryError(f"topic {topic.name} has no secret any more")
        if topic.envelope is TopicEnvelope.RAW:
            return body, webhook.headers(topic.name, uid, secret, body, now)
        config = self._config()
        if self._certificate is None:
            raise SpoolError(
                f"topic {topic.name} wants the envelope of SNS, which cannot be signed: see the log"
            )
        if not config.verification.url:
            raise ConfigError(
                f"topic {topic.name} wants the envelope of SNS, whose certificate is served below "
                "[verification] url: set it, and [http] listen"
            )
        number = uuid.UUID(uid)
        arn = topic_arn(config.directory.region, topic.account_id, topic.name)
        url = self._certificate.url(config.verification.url)
        wrapped = sns_envelope.wrap(body, number, arn, now, url, self._certificate.sign)
        signed = webhook.headers(topic.name, uid, secret, wrapped, now)
        return wrapped, {**signed, **sns_envelope.headers(number, arn)}

    async def _dead(self, topic: Topic, said: str) -> Mapping[int, Topic]:
        hours = round(self._config().notifications.give_up_after / 3600)
        await drop(self._topics, self._notice, topic, said, hours, self._told)
        await self._live.poll()
        return self._live.current.topics
