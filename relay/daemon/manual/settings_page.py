"""relay.toml(5), made of the model of the configuration and of the text in ``conf/relay.toml``.

The model gives each setting's kind and default, the file what it is for; a test holds the two together, so a
setting without a word about it, or the reverse, is found before it is shipped.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from relay.codec.roff import Page, bold, escaped, italic
from relay.daemon.manual.settings_text import RESTART, SettingText, Table, read
from relay.daemon.settings.section import Section
from relay.daemon.settings.sections import Config
from relay.daemon.settings.units import parse_duration, parse_endpoint, parse_size

_ABOUT = "the configuration of relay(1)"
_WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    Path: "file name",
    ipaddress.IPv4Network: "network",
    ipaddress.IPv6Network: "network",
}
_BY_PARSER = {parse_duration: "duration", parse_size: "size", parse_endpoint: "host:port"}


def settings_page(text: str, date: str, version: str) -> str:
    """The source of relay.toml(5), from the text of ``conf/relay.toml``. Raises ValueError for a bad form."""
    introduction, tables = read(text)
    page = Page("relay.toml", 5, date, f"relay {version}", _ABOUT)
    page.section("DESCRIPTION")
    for paragraph in introduction.split("\n\n"):
        page.paragraph(_starred(paragraph))
    page.paragraph(
        "Settings marked with a star (*) take effect at a restart, all others at a reload. "
        "`relay config check` judges the file, `relay config diff` compares it with what runs, "
        "`relay config show` prints every setting as it is in force."
    )
    page.section("TABLES")
    for table in tables:
        _table(page, table, fields_of(table.name))
    page.section("FILES")
    page.item(italic("/etc/relay/relay.toml"), "Read unless RELAY_CONFIG or `--config` names another.")
    page.section("SEE ALSO")
    page.formatted(f"{bold('relay')}(1)")
    return page.text


def fields_of(table: str) -> Mapping[str, FieldInfo]:
    """The settings of a table by its dotted name. Raises KeyError."""
    model: type[Section] = Config
    for name in table.split("."):
        model = next(iter(_sections_in(model.model_fields[name].annotation)))
    return model.model_fields


def _sections_in(annotation: Any) -> list[type[Section]]:  # noqa: ANN401  whatever stands there
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [found for part in get_args(annotation) for found in _sections_in(part)]


def _table(page: Page, table: Table, fields: Mapping[str, FieldInfo]) -> None:
    page.subsection(f"[[{table.name}]]" if table.is_repeated else f"[{table.name}]")
    if table.text:
        page.paragraph(_starred(table.text))
    for group in table.groups:
        tags = [_tag(one, fields[one.name]) for one in group.settings]
        notes = [(one.name, one.note) for one in group.settings if one.note]
        if len(group.settings) == 1:
            said = [note[0].upper() + note[1:] for _, note in notes]
        else:
            said = [f"`{name}`: {note}." for name, note in notes]
        page.item(tags[0], _starred(" ".join(filter(None, [_without_mark(group.text), *said]))), *tags[1:])


def _without_mark(text: str) -> str:
    return text.removesuffix(RESTART).strip()


def _starred(text: str) -> str:
    """A mark within a sentence, as the page shows it."""
    return text.replace(RESTART, "(*)")


def _tag(setting: SettingText, field: FieldInfo) -> str:
    star = "*" if setting.needs_restart else ""
    return f"{bold(setting.name)}{star} = {italic(setting.shown)} {escaped(f'({kind_of(field)})')}"


def kind_of(field: FieldInfo) -> str:
    """What may be written there, in a word or two."""
    for one in field.metadata:
        parser = getattr(one, "func", None)
        if parser in _BY_PARSER:
            return _BY_PARSER[parser]
    return _kind(field.annotation)


def _kind(annotation: Any) -> str:  # noqa: ANN401
    origin, parts = get_origin(annotation), get_args(annotation)
    if annotation in _WORDS:
        return _WORDS[annotation]
    if origin is Literal:
        return " or ".join(f'"{one}"' for one in parts)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_kind(one) for one in parts if one is not NoneType))
    if origin in (list, tuple, set, frozenset):
        if origin is tuple and parts == (str, int):
            return "host:port"
        return f"list of {_kind(parts[0])}"
    if hasattr(annotation, "__metadata__"):
        parsers = [getattr(one, "func", None) for one in annotation.__metadata__]
        known = [_BY_PARSER[one] for one in parsers if one in _BY_PARSER]
        return known[0] if known else _kind(parts[0])
    return "text"
