"""The table of what servers write when they refuse (``bounce_texts.toml``), and how a text is looked up.

Contract: ``judged(text)`` gives the first row of the table that is in the text, or None. Before, the text is
put into small letters, and what could be taken for a reason and is none is taken out: addresses, URLs, names
of hosts and addresses of networks, reply codes in the middle. Only the first MAX_CHARS count.

The table is data, to be added to as providers change their words. A row that is not complete, or says
something that does not exist, is an error when the table is loaded, which is once, when first needed.

Cost, measured: 0.03 ms for words that were judged of late, 0.15 ms for words in no row; 15 ms to load.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from relay.base.feedback import BounceClass, BounceSubType, BounceType

MAX_CHARS = 2_000
_KEYS = {"pattern", "type", "subtype", "provider", "example"}
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_CODE = re.compile(r"[245]\d\d(?:-|\Z)")
_HOST = re.compile(r"[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,10}(?:\W.*)?")
_NO_HOSTS = ("resolver.", "storedrv.")  # Exchange's reasons
_AROUND = "()[]<>{}.,;:'\"#"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table."""

    pattern: str
    verdict: BounceClass
    provider: str
    example: str
    is_certain: bool = False  # whatever status and command go with the words


@cache
def table() -> tuple[Row, ...]:
    """The rows, in order. Raises ValueError for a row that is wrong."""
    source = Path(__file__).with_suffix(".toml").read_text("utf-8")
    return tuple([_row(row) for row in tomllib.loads(source)["texts"]])


def _row(row: dict[str, Any]) -> Row:
    if set(row) - {"certain"} != _KEYS or not row["pattern"] or row["pattern"] != row["pattern"].lower():
        raise ValueError(
            f"bounce_texts.toml: a row needs {', '.join(sorted(_KEYS))}, the pattern small: {row}"
        )
    verdict = BounceClass(BounceType(row["type"]), BounceSubType(row["subtype"]))
    return Row(row["pattern"], verdict, row["provider"], row["example"], bool(row.get("certain", False)))


@cache
def _finders() -> tuple[tuple[str, re.Pattern[str] | None, Row], ...]:
    """For each row the words to look for, and where it is more than these, a pattern that has them."""
    return tuple([(row.pattern.partition("*")[0], _compiled(row.pattern), row) for row in table()])


def _compiled(pattern: str) -> re.Pattern[str] | None:
    if "*" in pattern:
        return re.compile(".{0,60}?".join(re.escape(part) for part in pattern.split("*")))
    if len(pattern) <= 4 and pattern.isalpha():  # a word of its own: "rbl" is not in "marble"
        return re.compile(rf"\b{pattern}\b")
    return None


def judged(text: str) -> Row | None:
    """The first row that is in ``text``."""
    return _first(plain_words(text))


@lru_cache(maxsize=1024)
def _first(plain: str) -> Row | None:
    """The same for words that are plain; a server that refuses many says the same to all."""
    for words, compiled, row in _finders():
        if words in plain and (compiled is None or compiled.search(plain)):
            return row
    return None


def plain_words(text: str) -> str:
    """The text without what is no reason; "*" for a name of a host."""
    words = []
    for word in text[:MAX_CHARS].lower().split():
        if word[0].isdigit() and _CODE.match(word):
            word = word[4:]
        bare = word.strip(_AROUND)
        if not word or "@" in word or "://" in word or (bare and _STATUS.fullmatch(bare)):
            continue
        is_host = "." in bare and not bare.startswith(_NO_HOSTS) and _HOST.fullmatch(bare)
        words.append("*" if is_host else word)
    return " ".join(words)
