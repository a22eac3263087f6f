"""The message that tells the sender: RFC 3464, from the null sender, accepted like any other message.

Contract: ``make`` returns a change that stores the bounce; the caller puts it into the transaction that
settles the failed recipients, so that neither is there without the other. ``make_success`` and
``make_delay`` do the same for reports of success and of delay. Each is from the null sender, so that none is
ever answered by another. They quote the header of the original where that can be read, and raise if the
report cannot be made; the caller then defers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from relay.base.address import domain_of
from relay.base.clock import Clock
from relay.base.events import Change, Event
from relay.base.feedback import BounceClass
from relay.base.message import Client, Envelope, Message, Recipient, Submission
from relay.base.outcome import Deferred, Delivered, Failed
from relay.codec import dsn

_HEAD_BYTES = 256 * 1024  # of a large message; a header is shorter

Prepare = Callable[[Submission], tuple[Message, list[Event]]]


class BounceMaker:
    """Makes bounces in the name of one host."""

    def __init__(self, hostname: str, prepare: Callable[[int], Prepare], clock: Clock) -> None:
        """``prepare(shard)`` is the intake's function for messages of that shard."""
        self._hostname = hostname
        self._prepare = prepare
        self._clock = clock

    def make(
        self,
        message: Message,
        failures: list[tuple[Recipient, Failed | Deferred]],
        content: bytes | Path | None,
        classes: Sequence[BounceClass] = (),
    ) -> Change:
        """A change that stores the bounce of these recipients of the message, each of its class."""
        report = dsn.bounce(
            message=message,
            failures=failures,
            original=head_of(content),
            hostname=self._hostname,
            now=self._clock.now(),
            classes=classes,
        )
        return self._stored(message, report)

    def make_success(
        self, message: Message, served: list[tuple[Recipient, Delivered]], content: bytes | Path | None
    ) -> Change:
        """A change that stores the report of success that the sender asked for."""
        report = dsn.success(
            message=message,
            served=served,
            original=head_of(content),
            hostname=self._hostname,
            now=self._clock.now(),
        )
        return self._stored(message, report)

    def make_delay(
        self, message: Message, waiting: list[tuple[Recipient, Deferred]], content: bytes | Path | None
    ) -> Change:
        """A change that stores the notice that these recipients still wait."""
        report = dsn.delay(
            message=message,
            waiting=waiting,
            original=head_of(content),
            hostname=self._hostname,
            now=self._clock.now(),
        )
        return self._stored(message, report)

    def _stored(self, message: Message, report: bytes) -> Change:
        recipient = Recipient(0, message.sender, domain_of(message.sender))
        envelope = Envelope(sender="", recipients=[recipient], is_utf8=True)  # as far as it needs it
        envelope.tls = message.tls  # RFC 8689 5: what it quotes is not to travel otherwise than it came
        submission = Submission(0, envelope, report, Client())
        bounce, events = self._prepare(message.shard)(submission)
        return Change(stored=[bounce], events=events)


def head_of(content: bytes | Path | None) -> bytes:
    """The beginning of a message, with all of its header."""
    if isinstance(content, Path):
        try:
            with content.open("rb") as stream:
                return stream.read(_HEAD_BYTES)
        except OSError:  # the sender hears of the outcome also where the disk has lost the message
            return b""
    return content or b""
