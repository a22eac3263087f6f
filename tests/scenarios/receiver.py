"""The scripted sink for tests without a loop: it runs in a thread of its own, on a port that is held.

    with Receiver() as receiver:
        got = receiver.wait_for("a subject")          # the first message with it
        receiver.subjects()                           # of everything so far, duplicates included
        receiver.is_mute = True                       # takes content and says nothing to the dot

It is healthy. Misbehaviour is for smtp-sink.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from tests.fakes.prepared import Port, wait_until
from tests.fakes.sink import SILENT, Answer, Received, Sink

EXTENSIONS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 99999999")


class LoopThread:
    """An event loop that runs in a thread, for fakes that tests without a loop talk to."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()


class Receiver(Sink):
    """See above. ``muted`` counts the messages whose dot was left without an answer; they are not kept."""

    def __init__(self, port: Port | None = None, host: str = "127.0.0.1") -> None:
        super().__init__(extensions=EXTENSIONS)
        self._held = port or Port(host)
        self._host = host
        self.port = self._held.number
        self.is_mute = False
        self.muted = 0

    def __enter__(self) -> "Receiver":
        self._thread = LoopThread()
        self._thread.run(self.start(self._host, self.port, reuse_address=True, reuse_port=True))
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.run(self.stop())
        self._thread.end()
        self._held.free()

    async def at_dot(self, message: Received) -> Answer:
        if self.is_mute:
            self.muted += 1
            return SILENT
        return await super().at_dot(message)

    def subjects(self) -> list[str]:
        return [one.subject for one in list(self.received)]

    def wait_for(self, subject: str, timeout_s: float = 30.0) -> Received:
        """The first message with this subject."""
        return self._first(lambda one: one.subject == subject, f"{subject!r} arrives", timeout_s)

    def wait_for_bounce(self, recipient: str, timeout_s: float = 30.0) -> Received:
        """The first delivery report that speaks of this recipient."""

        def is_it(one: Received) -> bool:
            return not one.sender and recipient.encode() in one.content

        return self._first(is_it, f"a bounce for {recipient} arrives", timeout_s)

    def _first(self, is_it: Callable[[Received], bool], what: str, timeout_s: float) -> Received:
        got = wait_until(lambda: next(filter(is_it, list(self.received)), None), what, timeout_s)
        assert isinstance(got, Received)
        return got
