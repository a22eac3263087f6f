"""The words of clamd: a message as an INSTREAM command, and what its answer means (clamd(8)).

Contract: ``command`` is what is written for one content, in the order of its pieces, without copying it;
``read_answer`` is the name of what was found, "" for clean content, or NoAnswer for anything that says
neither.

Deliberately not here: sockets and waiting (``scanner``).
"""

from __future__ import annotations

import re

MAX_ANSWER = 4096  # bytes; a signature's name is short
_START = b"zINSTREAM\0"
_END = b"\0\0\0\0"
_ANSWER = re.compile(r"stream: (.+) FOUND\Z|stream: OK\Z", re.DOTALL)
_TOO_LARGE = "INSTREAM size limit exceeded"


class NoAnswer(Exception):
    """The scanner did not say whether the content is clean; the text is for the log."""


def command(content: bytes) -> tuple[bytes, ...]:
    """INSTREAM with the content as one chunk."""
    if not content:
        return (_START + _END,)  # a chunk of no bytes would end the stream twice
    return (_START + len(content).to_bytes(4, "big"), content, _END)


def read_answer(line: bytes) -> str:
    """What was found, "" for nothing. ``line`` is the answer without its NUL. Raises NoAnswer."""
    text = line.decode("utf-8", "replace").strip()
    match = _ANSWER.match(text)
    if match is not None:
        return match.group(1) or ""
    if text.startswith(_TOO_LARGE):
        raise NoAnswer("clamd takes no content of this size: raise StreamMaxLength in clamd.conf")
    raise NoAnswer(f"clamd said {text[:200]!r}" if text else "clamd closed the connection without an answer")
