"""In which settings two configurations differ, setting by setting, for people.

Contract, pure: ``differences(boot, running, file)`` names each setting as ``[section] name`` with the value
on both sides, and whether a reload takes the new one over or only a restart does. Tables of which there may
be many are told apart by what names them (a route by its domain, a source by its name, a listener by its
address), so that one more is one difference, and not all that come behind it. Passwords within values are
masked; where nothing but they differ, that is said.

What the named files contain is not compared: a reload reads certificates, keys and passwords anew anyway.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relay.base.endpoint import format_endpoint
from relay.daemon.settings.changes import needs_restart
from relay.daemon.settings.config import Config, Section

ABSENT = "(not there)"
_SECRET_DIFFERS = "(another password, not shown)"  # noqa: S105  words for people
_PASSWORD = re.compile(r"(://[^:/@]*:).*@", re.DOTALL)  # a slash may be in it, as SQLAlchemy reads it
_PARAMETER = re.compile(r"([?&](?:ssl)?password=)[^&#]*", re.IGNORECASE)
_NAMES = ("domain", "name", "selector", "address")  # what tells the tables of a list apart, best first


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting. ``takes`` is "reload" or "restart": what makes the file's value come into force."""

    setting: str
    running: str
    file: str
    takes: str


def masked(text: str) -> str:
    """A URL without its password: what is printed gets pasted into tickets."""
    return _PARAMETER.sub(r"\1***", _PASSWORD.sub(r"\1***@", text))


def differences(boot: Config, running: Config, file: Config) -> list[Difference]:
    """Where the relay, started with ``boot``, which follows ``running``, differs from what ``file`` says."""
    waiting = set(needs_restart(boot, file))
    found = []
    for section in Config.model_fields:
        if section == "path":
            continue
        then, now = getattr(running, section), getattr(file, section)
        if isinstance(then, list):
            pairs = _of_tables(f"[[{section}]]", then, now)
        else:
            pairs = _of_table(f"[{section}] ", f"{section}.", then, now)
        for setting, old, new in pairs:
            is_waiting = any(setting == one or setting.startswith(f"{one} ") for one in waiting)
            is_waiting = is_waiting or (setting.startswith("[[") and _home(setting) in waiting)
            found.append(Difference(setting, old, new, "restart" if is_waiting else "reload"))
    return found


def _home(setting: str) -> str:
    """``[section] name`` of a table within a section: ``[[signing.service_key]]`` is of ``[signing]``."""
    section, _, name = setting[2:].partition("]]")[0].partition(".")
    return f"[{section}] {name}"


def _of_table(where: str, path: str, then: Section, now: Section) -> Iterator[tuple[str, str, str]]:
    for name in type(then).model_fields:
        old, new = getattr(then, name), getattr(now, name)
        if old == new:
            continue
        if _are_tables(old) and _are_tables(new) and (old or new):
            yield from _of_tables(f"[[{path}{name}]]", old, new)
        else:
            yield (f"{where}{name}", *_values(old, new))


def _are_tables(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, Section) for one in value)


def _of_tables(where: str, then: Sequence[Section], now: Sequence[Section]) -> Iterator[tuple[str, str, str]]:
    old, new = _by_name(then), _by_name(now)
    for name in dict.fromkeys((*old, *new)):
        label = f'{where} "{name}"'
        if name not in new:
            yield label, _shown_table(old[name]), ABSENT
        elif name not in old:
            yield label, ABSENT, _shown_table(new[name])
        else:
            yield from _of_table(f"{label} ", "", old[name], new[name])
    if list(old) != list(new) and sorted(old) == sorted(new):
        yield f"{where} order", ", ".join(old), ", ".join(new)


def _by_name(tables: Sequence[Section]) -> dict[str, Section]:
    """Tables by what names them; the second of a name is its "name#2"."""
    found: dict[str, Section] = {}
    for number, one in enumerate(tables, 1):
        field = next((name for name in _NAMES if name in type(one).model_fields), "")
        name = base = shown_value(getattr(one, field)) if field else str(number)
        again = 2
        while name in found:
            name, again = f"{base}#{again}", again + 1
        found[name] = one
    return found


def _shown_table(table: Section) -> str:
    default = {name: field.default for name, field in type(table).model_fields.items()}
    given = {name: getattr(table, name) for name in default if getattr(table, name) != default[name]}
    return ", ".join(f"{name} = {shown_value(value)}" for name, value in given.items())


def _values(old: object, new: object) -> tuple[str, str]:
    shown = shown_value(old), shown_value(new)
    return shown if shown[0] != shown[1] else (shown[0], _SECRET_DIFFERS)


def shown_value(value: Any) -> str:  # noqa: ANN401  any setting's
    """A value as people read it; lists without brackets."""
    if value is None or value == "":
        return '""'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], int):
        return format_endpoint(str(value[0]), value[1])
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(shown_value(one) for one in value) or "(none)"
    if isinstance(value, dict):
        return ", ".join(f"{key} = {shown_value(one)}" for key, one in value.items()) or "(none)"
    if isinstance(value, Section):
        return f"({_shown_table(value)})"
    text = masked(str(value)) if isinstance(value, str | Path) else str(value)
    return text if text.isprintable() else repr(text)
