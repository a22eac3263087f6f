"""The tables of ``shaping.toml``: what each receiver is given, and how they are read.

``load`` reads the file that ``[delivery] shaping`` names, else ``shaping.toml`` beside the configuration if
there is one, else takes the numbers of ``[delivery]`` for all. A number that a rule leaves out is that of
``[default]``, and what that leaves out is that of ``[delivery]``. Every error names the file, the table, the
key and the fix; all of them at once. Blocking: it reads the file anew each time.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from relay.base.errors import ConfigError
from relay.daemon.settings.config import Config
from relay.daemon.settings.section import Section
from relay.daemon.settings.units import parse_rate
from relay.traffic.shaping import Shaping, ShapingRule
from relay.traffic.site_rule import SiteRule

FILE_NAME = "shaping.toml"

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_PATTERN = re.compile(r"(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_HOP = re.compile(r"(?:\[[0-9a-f:.]+\]|(?:\*\.)?[a-z0-9_.-]+)(?::\d{1,5})?")

Rate = Annotated[float, BeforeValidator(parse_rate)]


class BoundsSection(Section):
    """Numbers that may be left out."""

    connections: int | None = Field(default=None, ge=1)
    messages_per_connection: int | None = Field(default=None, ge=1)
    recipients_per_message: int | None = Field(default=None, ge=1)
    rate: Rate | None = None


class DefaultSection(BoundsSection):
    """All receivers that no rule names."""

    source: dict[str, BoundsSection] = {}


class RuleSection(BoundsSection):
    """One receiver, or several that are one."""

    name: str
    mx: list[str] = []
    domain: list[str] = []
    next_hop: list[str] = []
    rollup: bool = False
    source: dict[str, BoundsSection] = {}

    @field_validator("name")
    @classmethod
    def _is_name(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            raise ValueError(f'"{value}" is no name: use small letters, digits, ".", "-" and "_"')
        return value

    @field_validator("mx", "domain", "next_hop")
    @classmethod
    def _are_patterns(cls, values: list[str], field: Any) -> list[str]:  # noqa: ANN401
        form, example = (
            (_HOP, '"mail.example.org:25"')
            if field.field_name == "next_hop"
            else (_PATTERN, '"mx.example.org" or "*.example.org"')
        )
        lower = [value.strip().lower().rstrip(".") for value in values]
        for value in lower:
            if not form.fullmatch(value):
                raise ValueError(f'"{value}" is no name of a host or domain in ASCII; write {example}')
        return lower

    @model_validator(mode="after")
    def _names_someone(self) -> RuleSection:
        if not (self.mx or self.domain or self.next_hop):
            raise ValueError("names no receiver; give mx, domain or next_hop")
        if self.rollup and not self.mx:
            raise ValueError("rollup joins sites that mx matches; give mx, or leave rollup out")
        return self


class ShapingFile(Section):
    """The whole file."""

    default: DefaultSection = DefaultSection()
    rule: list[RuleSection] = []


def path_of(config: Config) -> Path | None:
    """The file that is read; None for none."""
    if config.delivery.shaping is not None:
        return config.delivery.shaping
    beside = config.path.parent / FILE_NAME
    return beside if beside.is_file() else None


def load(config: Config) -> Shaping:
    """The rules in force. Raises ConfigError."""
    delivery = config.delivery
    base = SiteRule(delivery.connections_per_site, delivery.messages_per_connection)
    file = path_of(config)
    if file is None:
        return Shaping(ShapingRule(base))
    try:
        text = file.read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"[delivery] shaping: {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"[delivery] shaping: {file}: not UTF-8: {error}") from error
    try:
        return parse(text, base)
    except ConfigError as error:
        raise ConfigError("\n".join(f"{file}: {line}" for line in str(error).splitlines())) from error


def parse(text: str, base: SiteRule) -> Shaping:
    """The rules of a file's text; ``base`` is what it leaves out. Raises ConfigError, a line for each."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not TOML: {error}") from error
    try:
        read = ShapingFile.model_validate(table)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(dict(one), table) for one in error.errors())) from None
    default = _rule(read.default, base)
    return Shaping(default, [_named(one, default) for one in read.rule])


def _rule(section: DefaultSection, base: SiteRule) -> ShapingRule:
    bounds = _bounds(section, base)
    return ShapingRule(bounds, {name: _bounds(one, bounds) for name, one in section.source.items()})


def _named(section: RuleSection, default: ShapingRule) -> ShapingRule:
    """A source's numbers: those of the rule for it, of the rule, of the default for it, of the default."""
    bounds = _bounds(section, default.bounds, section)
    sources = {*section.source, *default.by_source}
    by_source = {
        name: _bounds(
            section.source.get(name, BoundsSection()), _bounds(section, default.of(name), section), section
        )
        for name in sources
    }
    return ShapingRule(bounds, by_source, tuple(section.mx), tuple(section.domain), tuple(section.next_hop))


def _bounds(section: BoundsSection, base: SiteRule, rule: RuleSection | None = None) -> SiteRule:
    def of(given: Any, otherwise: Any) -> Any:  # noqa: ANN401
        return otherwise if given is None else given

    return SiteRule(
        connections=of(section.connections, base.connections),
        messages_per_connection=of(section.messages_per_connection, base.messages_per_connection),
        rate_per_s=of(section.rate, base.rate_per_s),
        recipients_per_message=of(section.recipients_per_message, base.recipients_per_message),
        name="" if rule is None else rule.name,
        is_rollup=rule is not None and rule.rollup,
    )


def _explain(error: dict[str, Any], table: dict[str, Any]) -> str:
    """One line for one fault: the table as it stands in the file, the key, and what to write."""
    location = list(error["loc"])
    where, model = _table(location, table)
    key = next((part for part in reversed(location) if isinstance(part, str)), "")
    if error["type"] == "extra_forbidden":
        known = sorted(model.model_fields)
        near = difflib.get_close_matches(key, known, 1, 0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        return f"{where} {key}: unknown key; {hint}".lstrip()
    text = str(error["msg"]).removeprefix("Value error, ")
    is_key = key in model.model_fields
    return f"{where} {key}: {text}" if is_key else f"{where}: {text}"


def _table(location: list[Any], table: dict[str, Any]) -> tuple[str, type[Section]]:
    where, model = "", ShapingFile
    found: type[Section] = model
    if location[:1] == ["default"] and len(location) > 1:
        where, found = "[default]", DefaultSection
    elif location[:1] == ["rule"] and len(location) > 1 and isinstance(location[1], int):
        rule = table["rule"][location[1]]
        name = rule.get("name") if isinstance(rule, dict) else None
        where, found = f'[[rule]] "{name}"' if name else f"[[rule]] number {location[1] + 1}", RuleSection
    if found is not ShapingFile and "source" in location and len(location) > location.index("source") + 2:
        where, found = f"{where} source.{location[location.index('source') + 1]}", BoundsSection
    return where, found
