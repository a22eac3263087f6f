"""Lists on standard output: aligned columns for people, JSON for programs.

Columns are never cut to the width of a terminal: what is printed is what can be copied. Control characters,
which strangers can put into what is shown, are printed as question marks. JSON is one array (or one object),
with the column names as keys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import typer

Row = Mapping[str, object]


def print_rows(rows: Sequence[Row], *, as_json: bool, nothing: str) -> None:
    """Print a list; ``nothing`` is said to people when it is empty."""
    if as_json:
        typer.echo(json.dumps(list(rows), indent=2))
    elif not rows:
        typer.echo(nothing, err=True)
    else:
        table = [[name.upper().replace("_", " ") for name in rows[0]]]
        table += [[_cell(value) for value in row.values()] for row in rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for line in table:
            cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
            typer.echo("  ".join(cells).rstrip())


def print_row(row: Row, *, as_json: bool) -> None:
    """Print one thing, a line for each of its fields."""
    if as_json:
        typer.echo(json.dumps(row, indent=2))
        return
    width = max(map(len, row)) + 1
    for name, value in row.items():
        typer.echo(f"{name.replace('_', ' ') + ':':<{width}} {_cell(value)}".rstrip())


def moment(at: float) -> str:
    """A time as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    return text if text.isprintable() else "".join(c if c.isprintable() or c == "\n" else "?" for c in text)
