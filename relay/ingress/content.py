"""The content of a message while it arrives: by DATA up to the lone dot, or by BDAT in chunks. No I/O.

Contract: memory comes from a ``Budget`` and goes back with ``release``. Content that is too long, or finds no
room, sets ``refusal``; its remaining bytes are recognised and dropped, so that the session goes on behind
the exact end. Dropping is bounded too: past ``discard_limit`` the session must close (``is_hopeless``).

Cost on the hot path: a message that arrives in one piece is searched once and cut once; in pieces, only new
bytes are searched (``relay.codec.data.find_end``).

It does not judge the content: bare CR, bare LF and NUL are found by ``relay.codec.data.find_fault`` later.
"""

from __future__ import annotations

from relay.base.budget import Budget
from relay.codec.data import find_end, unstuff
from relay.ingress import replies
from relay.ingress.replies import Pair

_DISCARD_FACTOR = 4  # a client that announced nothing may send this many times the limit in vain
_KEPT_TAIL = 4  # CRLF "." CR: as much of the terminator as may lie in the previous chunk


class Content:
    """What is held for one message. ``refusal`` is final once set."""

    __slots__ = ("_budget", "_buffer", "_discarded", "_held", "_limit", "discard_limit", "refusal")

    def __init__(self, budget: Budget, limit_bytes: int) -> None:
        self._budget = budget
        self._limit = limit_bytes
        self._held = 0
        self._buffer = bytearray()
        self._discarded = 0
        self.discard_limit = _DISCARD_FACTOR * limit_bytes + 65536
        self.refusal: Pair | None = None

    @property
    def held_bytes(self) -> int:
        """What is taken from the budget."""
        return self._held

    @property
    def is_hopeless(self) -> bool:
        """Whether the client has sent so much in vain that the connection must end."""
        return self._discarded > self.discard_limit

    def refuse(self, pair: Pair) -> None:
        """Take no more; the first reason stays."""
        if self.refusal is None:
            self.refusal = pair
            self.release()
            del self._buffer[:-_KEPT_TAIL]

    def release(self) -> None:
        """Give the memory back; the content itself may live on in a submission."""
        self._budget.give(self._held)
        self._held = 0

    def _has_room(self, size: int) -> bool:
        if self.refusal is not None:
            self._discarded += size
            return False
        if self._held + size > self._limit:
            self.refuse(replies.TOO_LONG_MESSAGE)
        elif self._budget.take(size):
            self._held += size
            return True
        else:
            self.refuse(replies.NO_ROOM)
        self._discarded += size
        return False


class DottedContent(Content):
    """DATA: ends with CRLF "." CRLF. The limit leaves room for stuffing: a third at the very most."""

    __slots__ = ("_max_bytes", "content")

    def __init__(self, budget: Budget, max_bytes: int) -> None:
        super().__init__(budget, max_bytes + max_bytes // 3 + 5)
        self._max_bytes = max_bytes
        self.content = b""

    def feed(self, chunk: bytes) -> bytes | None:
        """Take a chunk. Returns what lies behind the terminator, or None while it has not come."""
        if not self._buffer and self.refusal is None:
            end = find_end(chunk)
            if end >= 0:
                if self._has_room(end):
                    self._close(chunk[: end - 3])
                return chunk[end:]
            if self._has_room(len(chunk)):
                self._buffer += chunk
                return None
            self._buffer += chunk[-_KEPT_TAIL:]
            return None
        searched = len(self._buffer)
        has_room = self._has_room(len(chunk))
        if not has_room:
            searched = len(self._buffer)  # shortened by the refusal
        self._buffer += chunk
        end = find_end(self._buffer, searched)
        if end >= 0:
            rest = bytes(self._buffer[end:])
            if has_room:
                with memoryview(self._buffer) as view:
                    wire = bytes(view[: end - 3])
                self._close(wire)
            self._buffer = bytearray()
            return rest
        if not has_room:
            del self._buffer[:-_KEPT_TAIL]
        return None

    def _close(self, wire: bytes) -> None:
        content = unstuff(wire)
        if len(content) > self._max_bytes:
            self.refuse(replies.TOO_LONG_MESSAGE)
        else:
            self.content = content


class ChunkedContent(Content):
    """BDAT (RFC 3030): each chunk has its length; all of them together are the content."""

    __slots__ = ("_left",)

    def __init__(self, budget: Budget, max_bytes: int) -> None:
        super().__init__(budget, max_bytes)
        self._left = 0

    def expect(self, size_bytes: int) -> None:
        """The octets that the next chunk has; one that cannot fit is refused before it is read."""
        self._left = size_bytes
        if self.refusal is None and self._held + size_bytes > self._limit:
            self.refuse(replies.TOO_LONG_MESSAGE)
        if self.refusal is not None and size_bytes > self.discard_limit:
            self._discarded += size_bytes

    def feed(self, chunk: bytes) -> bytes | None:
        """Take bytes. Returns what lies behind the chunk, or None while it is not complete."""
        left = self._left
        rest = b"" if len(chunk) <= left else chunk[left:]
        mine = chunk if len(chunk) <= left else chunk[:left]
        self._left = left - len(mine)
        if self._has_room(len(mine)):
            self._buffer += mine
        return None if self._left else rest

    @property
    def content(self) -> bytes:
        """All chunks; the last line gets the CRLF that DATA would have forced."""
        made = bytes(self._buffer)
        return made if not made or made.endswith(b"\r\n") else made + b"\r\n"
