"""How long, and how much, in words that fit on a screen. Pure."""

from __future__ import annotations

_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def span(seconds: float) -> str:
    """A length of time by its two greatest units: ``3 d 4 h``, ``12 min``, ``0 s``."""
    left = max(0, round(seconds))
    for place, (name, size) in enumerate(_UNITS):
        if left >= size:
            count, rest = divmod(left, size)
            if place + 1 < len(_UNITS) and count < 10:
                next_name, next_size = _UNITS[place + 1]
                if rest >= next_size:
                    return f"{count} {name} {rest // next_size} {next_name}"
            return f"{count} {name}"
    return "0 s"


def ago(seconds: float) -> str:
    """The same, as past."""
    return f"{span(seconds)} ago"


def amount(size_bytes: float) -> str:
    """Bytes in decimal units with three digits at most: ``12.3 GB``."""
    for name in ("bytes", "kB", "MB", "GB"):
        if abs(size_bytes) < 999.5:
            return (
                f"{size_bytes:.0f} {name}"
                if size_bytes >= 99.5 or name == "bytes"
                else f"{size_bytes:.3g} {name}"
            )
        size_bytes /= 1000
    return f"{size_bytes:.3g} TB"
