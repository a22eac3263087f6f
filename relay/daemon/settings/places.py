"""Where in the file a setting stands: the line that an error is about.

Contract, pure: ``line_of(text, location)`` is the number of the line that has the setting, or of its table
where the setting itself is not there; 0 where neither is. ``location`` is as pydantic tells it: names, and
numbers within tables of which there are many.

The reader of TOML tells no positions, hence this look at lines; a text of several lines that looks like
settings may lead it astray, by which an error names a line that is near.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

_KEY = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
_TABLE = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]")

Place = tuple[str | int, ...]


def line_of(text: str, location: Sequence[str | int]) -> int:
    """See the module."""
    wanted: Place = tuple(location)
    table: Place = ()
    many: Counter[Place] = Counter()
    best, line = 0, 0
    for number, one in enumerate(text.splitlines(), 1):
        found: Place
        if (head := _TABLE.match(one)) is not None:
            table = _within(many, _names(head.group(2)))
            if head.group(1) == "[[":
                many[table] += 1
                table = (*table, many[table] - 1)
            found = table
        elif (setting := _KEY.match(one)) is not None:
            found = (*table, *_names(setting.group(1)))
        else:
            continue
        if len(found) > best and found == wanted[: len(found)]:
            best, line = len(found), number
    return line


def _names(dotted: str) -> Place:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def _within(many: Counter[Place], names: Place) -> Place:
    """``[route.more]`` is of the last ``[[route]]``."""
    place: Place = ()
    for name in names[:-1]:
        place = (*place, name)
        if many[place]:
            place = (*place, many[place] - 1)
    return (*place, *names[-1:])
