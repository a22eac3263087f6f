"""What lies on the disk: databases, their logs, large messages, what was set aside or forgotten."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from pathlib import Path

_MB = 1 << 20


def kind_of(name: Path) -> str:
    """What a file of a relay is, by its path within its folder."""
    if "corrupt" in name.parts:
        return "corrupt"
    if name.name.endswith("-wal"):
        return f"{name.name.removesuffix('-wal')} wal"
    if name.suffix == ".db":
        return name.name
    if name.parts[0] == "tmp":
        return "temporary"
    if name.parts[0] == "spool" and len(name.parts) > 3:
        return "large messages"
    return "log" if name.suffix == ".log" else "other"


def measure(folder: Path) -> dict[str, float]:
    """Megabytes by kind; files that vanish meanwhile do not count."""
    found: Counter[str] = Counter()
    for path in folder.rglob("*"):
        with suppress(OSError):
            if path.is_file():
                found[kind_of(path.relative_to(folder))] += path.stat().st_size
    return {kind: round(size / _MB, 3) for kind, size in sorted(found.items())}


def most(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    """The larger of each."""
    return {kind: max(one.get(kind, 0.0), other.get(kind, 0.0)) for kind in one.keys() | other.keys()}


def left_over(folder: Path) -> list[str]:
    """Files that an empty and stopped relay must not have: large messages, temporary and damaged ones."""
    kinds = ("large messages", "temporary", "corrupt")
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and kind_of(path.relative_to(folder)) in kinds
    )
