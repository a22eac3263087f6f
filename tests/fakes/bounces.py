"""Bounces that say which addresses failed."""

from relay.base.events import Change
from relay.base.message import Message, Recipient
from relay.base.outcome import Deferred, Failed
from tests.fakes.spool import message as make


class FakeBounces:
    def __init__(self) -> None:
        self.told: list[tuple[str, list[str]]] = []
        self.contents: list[object] = []
        self.fails_with: Exception | None = None

    def make(
        self, message: Message, failures: list[tuple[Recipient, Failed | Deferred]], content: object
    ) -> Change:
        if self.fails_with is not None:
            raise self.fails_with
        self.told.append((message.id, [r.address for r, _ in failures]))
        self.contents.append(content)
        return Change(stored=[make(message.sender, sender="", content=b"bounce", now=message.arrived_at)])
