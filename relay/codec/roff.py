"""Man pages as text: the few macros of man(7) that a reference page needs.

Pure. ``Page`` collects lines; every text that goes in is escaped, so a path with a backslash, a line that
begins with a dot or a quotation mark in a heading is shown as it is. Options and file names keep their
hyphens as ASCII minus signs, so that what is copied from the page works in a shell.

What it deliberately does not do: tables, cross-references, other formats.
"""

from __future__ import annotations

import re
import textwrap

# The backslash first: the others bring new ones.
_SIGNS = {
    "\\": "\\e",
    "-": "\\-",
    "~": "\\(ti",
    "^": "\\(ha",
    "'": "\\(aq",
    "`": "\\(ga",
    '"': "\\(dq",
}
_CODE = re.compile(r"`([^`]+)`")


def escaped(text: str) -> str:
    """A text of one line as roff shows it unchanged."""
    text = _inner(text)
    return "\\&" + text if text.startswith((".", " ")) else text


def _inner(text: str) -> str:
    """The same for a text that does not begin a line."""
    for sign, source in _SIGNS.items():
        text = text.replace(sign, source)
    return text


def bold(text: str) -> str:
    """A word to be typed as it is; escaped."""
    return f"\\fB{escaped(text)}\\fR"


def italic(text: str) -> str:
    """A word to be replaced; escaped."""
    return f"\\fI{escaped(text)}\\fR"


def with_code(text: str) -> str:
    """A text in which `words between grave accents` become bold; escaped."""
    parts = _CODE.split(text)
    return "".join(bold(part) if at % 2 else _inner(part) for at, part in enumerate(parts))


def _lines(text: str) -> list[str]:
    """Running text as lines of source; none of them begins like a request."""
    joined = with_code(" ".join(text.split()))
    found = textwrap.wrap(joined, 78, break_long_words=False, break_on_hyphens=False)
    return ["\\&" + line if line.startswith((".", "'")) else line for line in found]


class Page:
    """A man page in the making; ``text`` is its source."""

    def __init__(self, name: str, section: int, date: str, version: str, about: str) -> None:
        """``date`` as 2026-01-31, ``about`` the line that apropos(1) finds."""
        heads = f'"{escaped(name.upper())}" "{section}" "{date}" "{escaped(version)}"'
        self._lines = [f".TH {heads}", ".SH NAME", f"{escaped(name)} \\- {escaped(about)}"]

    def section(self, title: str) -> None:
        """A heading of the first order."""
        self._lines.append(f'.SH "{escaped(title)}"')

    def subsection(self, title: str) -> None:
        """A heading of the second order."""
        self._lines.append(f'.SS "{escaped(title)}"')

    def paragraph(self, text: str) -> None:
        """Running text; words between grave accents become bold."""
        self._lines += [*self._gap(), *_lines(text)]

    def formatted(self, line: str) -> None:
        """A paragraph that is roff already, made of ``bold``, ``italic`` and ``escaped``."""
        self._lines += [*self._gap(), line]

    def _gap(self) -> list[str]:
        """What begins a paragraph; after a heading nothing is needed."""
        return [] if self._lines[-1].startswith((".SH", ".SS")) else [".PP"]

    def item(self, tag: str, text: str, *more: str) -> None:
        """A term, which is roff already, or several of them, and what they mean."""
        self._lines += [".TP", tag, *(line for one in more for line in (".TQ", one))]
        self._lines += [*(_lines(text) or ["\\&"])]

    def example(self, text: str) -> None:
        """Lines that stay as they are."""
        lines = [escaped(line) for line in text.rstrip("\n").split("\n")]
        self._lines += [".RS 4", ".nf", *lines, ".fi", ".RE"]

    @property
    def text(self) -> str:
        """The source of the page."""
        return "\n".join(self._lines) + "\n"
