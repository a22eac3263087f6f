"""What was said on a connection, for people: the opening, and the attempt that did not succeed.

Contract, pure. Lines of ours begin with ``>``, replies with ``<``, what neither said with ``#``. Content is
replaced by its size, secrets by asterisks, what cannot be printed by spaces. Of more than ``LIMIT``
characters the first and the last lines are kept, for both say most: who answered, and how it ended.

Cost: nothing for a message that is delivered, for then only references are kept and nothing is written here;
about 40 microseconds for one that is refused at RCPT, with an opening of three commands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from relay.transport.reply_parser import RawReply, as_reply

LIMIT = 4096
_HEAD = 2500  # of LIMIT, for the first lines
_LINE = 500

Exchange: TypeAlias = tuple[str, Sequence[RawReply]]
"""What we said, without line end ("" for nothing), and what was answered."""


def lines_of(exchanges: Sequence[Exchange]) -> list[str]:
    """The exchanges as lines."""
    lines: list[str] = []
    for said, replies in exchanges:
        if said.startswith("#"):
            lines.append(_short(said))
        elif said:
            lines.append(f"> {_short(said)}")
        for raw in replies:
            reply = as_reply(raw)
            texts = reply.text.split("\n")
            code = f"{reply.code} {reply.enhanced}".strip()
            lines += [f"< {code}-{_short(text)}" for text in texts[:-1]]
            lines.append(f"< {code} {_short(texts[-1])}".rstrip())
    return lines


def _short(text: str) -> str:
    text = text if text.isprintable() else "".join([c if c.isprintable() else " " for c in text])
    return text if len(text) <= _LINE else f"{text[:_LINE]}..."


def in_pairs(commands: Sequence[str], replies: Sequence[RawReply], *, all_sent: bool) -> list[Exchange]:
    """Commands and their replies, each beside its own. Unless all were sent in one piece, those behind the
    first without a reply were not."""
    found: list[Exchange] = []
    for number, command in enumerate(commands):
        answer = replies[number : number + 1]
        found.append((command.rstrip("\r\n"), answer))
        if not answer and not all_sent:
            break
    return found


def bounded(lines: Sequence[str]) -> str:
    """One text within LIMIT."""
    text = "\n".join(lines)
    if len(text) <= LIMIT:
        return text
    head, room = 0, _HEAD
    while len(lines[head]) < room:
        room -= len(lines[head]) + 1
        head += 1
    tail, room = len(lines), LIMIT - _HEAD - 40
    while tail > head and len(lines[tail - 1]) < room:
        room -= len(lines[tail - 1]) + 1
        tail -= 1
    return "\n".join([*lines[:head], f"# {tail - head} lines left out", *lines[tail:]])
