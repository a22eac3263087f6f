"""A place in the event log, as text, and how far a reader has come within a batch.

A cursor is an offset for each shard, ``1:20,2:7``: all events up to these. Programs keep it and hand it back,
and need not read it. A shard that it does not name, as one that came later, is read from its beginning.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from relay.base.events import Logged

BEGINNING = "beginning"  # the cursor that names no shard
_FORM = re.compile(r"(?:[1-9]\d{0,7}:(?:0|[1-9]\d{0,17})(?:,|\Z))+", re.ASCII)


def write_cursor(offsets: Mapping[int, int]) -> str:
    """Offsets by shard as text."""
    return ",".join(f"{shard}:{offsets[shard]}" for shard in sorted(offsets)) or BEGINNING


def parse_cursor(text: str) -> dict[int, int]:
    """Offsets by shard. Raises ValueError if the text is no cursor."""
    if text == BEGINNING:
        return {}
    pairs = [one.partition(":") for one in text.split(",")]
    if (
        _FORM.fullmatch(text) is None
        or text.endswith(",")
        or len({shard for shard, *_ in pairs}) < len(pairs)
    ):
        raise ValueError(f'{text!r} is no cursor; one looks like "1:20,2:7"')
    return {int(shard): int(offset) for shard, _, offset in pairs}


class Progress:
    """Where a reader of a batch stands. The events of a shard need not come in the order of their offsets
    (``event_log``): the position is short of the first that was not done, so that none is missed."""

    def __init__(self, batch: Sequence[Logged], reached: Mapping[int, int]) -> None:
        self._reached = dict(reached)
        self._left: dict[int, list[int]] = {}
        for one in batch:
            self._left.setdefault(one.shard, []).append(one.offset)
        for offsets in self._left.values():
            offsets.sort(reverse=True)
        self._done: set[tuple[int, int]] = set()

    def did(self, one: Logged) -> None:
        """This event of the batch is done."""
        self._done.add((one.shard, one.offset))
        left = self._left[one.shard]
        while left and (one.shard, left[-1]) in self._done:
            self._done.remove((one.shard, left.pop()))

    @property
    def position(self) -> dict[int, int]:
        """Offsets behind which nothing was done that would not come again."""
        return {
            shard: self._left[shard][-1] - 1 if self._left.get(shard) else offset
            for shard, offset in self._reached.items()
        }

    @property
    def is_whole(self) -> bool:
        """Whoever goes on from the position sees no event twice."""
        return not self._done
