"""The subcommands of ``relay`` as plain words, for the man page and for completion.

``tree`` loads every subcommand and reads what its ``--help`` is made of: so neither can say something else
than the program does. ``relay send`` has options of sendmail and a parser of its own; it is read from that.

Of Typer only what ``--help`` shows is used; how it keeps the type of a parameter differs between its
versions, and ``_kind`` takes each of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import typer

_PLACES = {int: "NUMBER", float: "NUMBER", Path: "FILE"}


@dataclass(frozen=True, slots=True)
class Option:
    """A switch, or an option with a value (then ``metavar`` says of what kind)."""

    names: tuple[str, ...]
    text: str
    metavar: str = ""
    choices: tuple[str, ...] = ()
    default: str = ""
    is_file: bool = False


@dataclass(frozen=True, slots=True)
class Argument:
    """A word in its place."""

    name: str
    text: str
    is_required: bool = True
    choices: tuple[str, ...] = ()
    is_file: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """A subcommand, or a group of them. ``path`` starts with "relay"; ``text`` has paragraphs."""

    path: tuple[str, ...]
    text: str
    options: tuple[Option, ...] = ()
    arguments: tuple[Argument, ...] = ()
    children: tuple[Command, ...] = ()

    def walk(self) -> Iterator[Command]:
        """This one and all below it, in the order of the help."""
        yield self
        for child in self.children:
            yield from child.walk()


def tree() -> Command:
    """All of ``relay``."""
    from relay.daemon.commands.app import app

    return _command(typer.main.get_command(app), ("relay",))


def _command(made: Any, path: tuple[str, ...]) -> Command:  # noqa: ANN401  Typer's own classes
    if path == ("relay", "send"):
        return _sendmail(path)
    shown = [one for one in made.params if not getattr(one, "hidden", False)]
    arguments = tuple(_argument(one) for one in shown if not one.opts[0].startswith("-"))
    options = tuple(_option(one) for one in shown if one.opts[0].startswith("-"))
    below: dict[str, Any] = getattr(made, "commands", {})
    names = [name for name in below if not getattr(below[name], "hidden", False)]
    children = tuple(_command(below[name], (*path, name)) for name in names)
    return Command(path, made.help or "", options, arguments, children)


def _kind(made: Any) -> Any:  # noqa: ANN401
    """The annotation of a parameter, or click's type of it."""
    descriptor = getattr(made, "type_descriptor", None)
    return descriptor.annotation if descriptor is not None else getattr(made, "type", str)


def _choices(made: Any) -> tuple[str, ...]:  # noqa: ANN401
    kind = _kind(made)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return tuple(str(one.value) for one in kind)
    return tuple(str(getattr(one, "value", one)) for one in getattr(kind, "choices", ()))


def _is_file(made: Any) -> bool:  # noqa: ANN401
    kind = _kind(made)
    return (
        kind is Path
        or made.name in ("file", "folder")
        or getattr(kind, "name", "") in ("path", "file", "filename")
    )


def _argument(made: Any) -> Argument:  # noqa: ANN401
    name = made.metavar or made.name.upper()
    return Argument(name, made.help or "", made.required, _choices(made), _is_file(made))


def _option(made: Any) -> Option:  # noqa: ANN401
    names = (*made.opts, *made.secondary_opts)
    if getattr(made, "is_flag", False):
        return Option(names, made.help or "")
    choices, is_file, kind = _choices(made), _is_file(made), _kind(made)
    place = _PLACES.get(kind) or ("FILE" if is_file else made.name.upper())
    metavar = made.metavar or "|".join(choices) or place
    default = made.default if made.show_default and isinstance(made.default, str | int | float) else ""
    default = getattr(default, "value", default)
    return Option(names, made.help or "", metavar, choices, str(default), is_file)


def _sendmail(path: tuple[str, ...]) -> Command:
    from relay.daemon.commands import send

    parser = send.parser()
    options, arguments = [], []
    for one in parser._actions:  # argparse shows its options nowhere else
        if one.help == argparse.SUPPRESS:
            continue
        if not one.option_strings:
            arguments.append(Argument(str(one.metavar or one.dest), one.help or "", one.nargs != "*"))
            continue
        takes_value = one.nargs != 0
        metavar = str(one.metavar or one.dest.upper()) if takes_value else ""
        options.append(Option(tuple(one.option_strings), one.help or "", metavar))
    return Command(path, parser.description or "", tuple(options), tuple(arguments))
