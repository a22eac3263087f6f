"""Bounces that say which addresses failed, and reports that say which were served, or wait."""

from collections.abc import Sequence

from relay.base.events import Change
from relay.base.feedback import BounceClass
from relay.base.message import Message, Recipient
from relay.base.outcome import Deferred, Delivered, Failed
from tests.fakes.spool import message as make


class FakeBounces:
    def __init__(self) -> None:
        self.told: list[tuple[str, list[str]]] = []
        self.why: list[Failed | Deferred] = []
        self.classes: list[BounceClass] = []
        self.contents: list[object] = []
        self.served: list[tuple[str, list[str]]] = []
        self.delayed: list[tuple[str, list[str]]] = []
        self.fails_with: Exception | None = None

    def make(
        self,
        message: Message,
        failures: list[tuple[Recipient, Failed | Deferred]],
        content: object,
        classes: Sequence[BounceClass] = (),
    ) -> Change:
        if self.fails_with is not None:
            raise self.fails_with
        self.told.append((message.id, [r.address for r, _ in failures]))
        self.why += [outcome for _, outcome in failures]
        self.classes += classes
        self.contents.append(content)
        return Change(stored=[make(message.sender, sender="", content=b"bounce", now=message.arrived_at)])

    def make_success(
        self, message: Message, served: list[tuple[Recipient, Delivered]], content: object
    ) -> Change:
        if self.fails_with is not None:
            raise self.fails_with
        self.served.append((message.id, [r.address for r, _ in served]))
        self.contents.append(content)
        return Change(stored=[make(message.sender, sender="", content=b"success", now=message.arrived_at)])

    def make_delay(
        self, message: Message, waiting: list[tuple[Recipient, Deferred]], content: object
    ) -> Change:
        if self.fails_with is not None:
            raise self.fails_with
        self.delayed.append((message.id, [r.address for r, _ in waiting]))
        self.contents.append(content)
        return Change(stored=[make(message.sender, sender="", content=b"delay", now=message.arrived_at)])
