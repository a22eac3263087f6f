"""What ``conf/relay.toml`` says of each setting, as data: the same text for the file and for relay.toml(5).

Pure. The file has a form: paragraphs of comment (``# text``) stand before what they explain, a setting that
shows its default is a comment too (``#name = value``), consecutive settings share the paragraph above them, a
note may follow on the line and go on below, indented. ``[restart]`` marks what a reload does not take over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_TABLE = re.compile(r"#?(\[\[?)([a-z_.]+)\]\]?\s*(?:#\s*(.*))?")
_SETTING = re.compile(r"#?([a-z_]+) = (.*)")
_COMMENT = re.compile(r"# (.*)|#$")
_NOTE_GOES_ON = re.compile(r"\s{8,}# ?(.*)")
RESTART = "[restart]"


@dataclass(frozen=True, slots=True)
class SettingText:
    """One setting: its name, the value that the file shows, and what is said of it and its neighbours."""

    name: str
    shown: str
    note: str = ""
    needs_restart: bool = False


@dataclass(slots=True)
class Group:
    """Settings that share a paragraph."""

    text: str
    settings: list[SettingText] = field(default_factory=list)


@dataclass(slots=True)
class Table:
    """A table of the file; ``is_repeated`` for those in double brackets."""

    name: str
    text: str
    is_repeated: bool
    groups: list[Group] = field(default_factory=list)

    def names(self) -> list[str]:
        """The settings, in order."""
        return [one.name for group in self.groups for one in group.settings]


def read(text: str) -> tuple[str, list[Table]]:
    """The introduction of the file, and its tables; what a table shows a second time is left out.

    Raises ValueError for a line that has none of the forms.
    """
    introduction, _, rest = text.partition("\n\n")
    tables: dict[str, Table] = {}
    table: Table | None = None
    pending: list[str] = []
    for line in rest.split("\n"):
        if not line.strip():
            pending = []
        elif match := _TABLE.fullmatch(line):
            said = " ".join(filter(None, [*pending, match[3]]))
            is_new = match[2] not in tables
            table = tables.setdefault(match[2], Table(match[2], said, match[1] == "[["))
            pending = [] if is_new else [said]  # of an example that is about other settings of the table
        elif (match := _SETTING.fullmatch(line)) and table is not None:
            if match[1] not in table.names():
                _setting(table, match[1], match[2], pending)
                pending = []
        elif (match := _NOTE_GOES_ON.fullmatch(line)) and table is not None:
            _noted(table.groups[-1], match[1])
        elif match := _COMMENT.fullmatch(line):
            pending.append(match[1] or "")
        else:
            raise ValueError(f"neither table nor setting nor comment: {line!r}")
    return _uncommented(introduction), list(tables.values())


def _uncommented(text: str) -> str:
    return "\n".join(line.removeprefix("#").removeprefix(" ") for line in text.split("\n"))


def _setting(table: Table, name: str, rest: str, pending: list[str]) -> None:
    if pending or not table.groups:
        table.groups.append(Group(" ".join(pending)))
    value, note = _value_and_note(rest)
    table.groups[-1].settings.append(SettingText(name, value))
    _noted(table.groups[-1], note)


def _noted(group: Group, more: str) -> None:
    """What is said beside the last setting of the group goes on."""
    last = group.settings[-1]
    note = f"{last.note} {more}".strip()
    is_marked = last.needs_restart or note.endswith(RESTART) or group.text.endswith(RESTART)
    group.settings[-1] = SettingText(last.name, last.shown, note.removesuffix(RESTART).strip(), is_marked)


def _value_and_note(rest: str) -> tuple[str, str]:
    """What stands before and after a ``#`` that is in no string."""
    is_inside = False
    for at, sign in enumerate(rest):
        if sign == '"':
            is_inside = not is_inside
        elif sign == "#" and not is_inside:
            return rest[:at].strip(), rest[at + 1 :].strip()
    return rest.strip(), ""
