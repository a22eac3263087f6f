"""Bytes from the peer become SMTP replies (RFC 5321 4.2): the reading half of a pipelined dialogue.

Contract: ``feed`` takes whatever the socket gave and returns the replies completed by it, in order; fed byte
by byte it returns the same replies as fed at once. A reply is ``(code, text)`` with ``text`` as bytes, the
lines of a multiline reply joined by LF: turning it into a ``Reply`` is left to those who need its words
(``as_reply``), since a 250 to RCPT needs none. CRLF and bare LF both end a line; of a multiline reply the
last code counts, as receivers in the wild differ.

Bounds: a line of 2,048 bytes (RFC 5321 4.5.3.1.5 asks for 512), a reply of 32 KiB. Past them, or on a line
that does not start with a code of 200-599, it raises RemoteProtocolError, and the connection is of no more
use; ``completed`` then holds the replies that came before the fault in the same piece, since the first may be
the answer to a dot.

What the peer wrote ends up in logs, lists and bounces: ``as_reply`` leaves no control character in it.

Cost on the hot path: about 1 microsecond for a one-line reply; no regular expression.
"""

from __future__ import annotations

from typing import TypeAlias

from relay.base.errors import RemoteProtocolError
from relay.base.reply import Reply, parse_reply

MAX_LINE_BYTES = 2048
MAX_REPLY_BYTES = 32 * 1024
_MAX_KEPT_BYTES = 4096  # of a reply's text: it is stored with each recipient's event

RawReply: TypeAlias = tuple[int, bytes]

_CODES = {str(code).encode(): code for code in range(200, 600)}


class ReplyParser:
    """The replies of one connection."""

    __slots__ = ("_lines", "_rest", "_size_bytes", "completed")

    def __init__(self) -> None:
        self._rest = b""  # an unfinished line
        self._lines: list[bytes] = []  # texts of an unfinished multiline reply
        self._size_bytes = 0
        self.completed: list[RawReply] = []  # by the last ``feed``, also by one that raised

    @property
    def is_between_replies(self) -> bool:
        """Nothing of a next reply has come."""
        return not self._rest and not self._lines

    def feed(self, received: bytes) -> list[RawReply]:
        """The replies that ``received`` completes. Raises RemoteProtocolError: it is then done for."""
        if self._rest:
            received = self._rest + received
        lines = received.split(b"\n")
        self._rest = lines.pop()
        replies: list[RawReply] = []
        self.completed = replies
        for line in lines:
            if len(line) > MAX_LINE_BYTES:
                raise RemoteProtocolError("a reply line is too long")
            code = _CODES.get(line[:3])
            if code is None:
                raise RemoteProtocolError(f"not a reply: {line[:80]!r}")
            mark = line[3:4]
            if mark == b"-":
                self._size_bytes += len(line)
                if self._size_bytes > MAX_REPLY_BYTES:
                    raise RemoteProtocolError("a reply is too long")
                self._lines.append(line[4:].rstrip())
            elif mark in (b" ", b"\r", b""):
                text = line[4:].rstrip()
                if self._lines:
                    self._lines.append(text)
                    text = b"\n".join(self._lines)
                    self._lines = []
                    self._size_bytes = 0
                replies.append((code, text))
            else:
                raise RemoteProtocolError(f"not a reply: {line[:80]!r}")
        if len(self._rest) > MAX_LINE_BYTES:
            raise RemoteProtocolError("a reply line is too long")
        return replies


def as_reply(raw: RawReply) -> Reply:
    """The reply as a word, with its enhanced status code apart; what cannot be printed becomes a space."""
    text = raw[1][:_MAX_KEPT_BYTES].decode("utf-8", "replace")
    if not text.isprintable():
        text = "".join([c if c.isprintable() or c == "\n" else " " for c in text])
    return parse_reply(raw[0], text)
