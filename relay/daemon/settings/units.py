"""Quantities as people write them in the configuration: ``"14h"``, ``"10 MB"``, ``"127.0.0.1:25"``.

Pure functions; each raises ValueError with a text that shows the accepted forms.
"""

from __future__ import annotations

import re

from relay.base import endpoint
from relay.base.errors import ConfigError

_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)\s*", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)?\s*", re.IGNORECASE)
_BYTES = {
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "tb": 1000**4,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
    "tib": 1024**4,
}


def parse_duration(text: object) -> float:
    """Seconds from ``"90s"``, ``"1.5h"``, ``"1h 30m"``; a bare number has no unit and is refused."""
    if isinstance(text, str) and text.strip():
        at, total = 0, 0.0
        while at < len(text):
            match = _DURATION.match(text, at)
            if match is None:
                break
            total += float(match.group(1)) * _SECONDS[match.group(2).lower()]
            at = match.end()
        else:
            return total
    raise ValueError(f'{text!r} is not a duration: write a number and a unit, e.g. "30s", "5m", "14h", "4d"')


def parse_size(text: object) -> int:
    """Bytes from ``"10 MB"``, ``"256 KiB"``, or a whole number of bytes."""
    if isinstance(text, int) and not isinstance(text, bool) and text >= 0:
        return text
    if isinstance(text, str) and (match := _SIZE.fullmatch(text)):
        return int(float(match.group(1)) * _BYTES[(match.group(2) or "B").lower()])
    raise ValueError(f'{text!r} is not a size: write a number and a unit, e.g. "10 MB" or "256 KiB"')


_RATE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*/\s*(s|sec|second|min|m|minute|h|hour|d|day)\s*", re.IGNORECASE)
_PER_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_rate(text: object) -> float:
    """How many a second, from ``"20/s"``, ``"100/min"``, ``"1000/h"``, ``"5000/day"``."""
    match = _RATE.fullmatch(text) if isinstance(text, str) else None
    if match is None or not float(match.group(1)):
        raise ValueError(
            f'{text!r} is not a rate: write a number and a unit of time, e.g. "20/s" or "100/min"'
        )
    return float(match.group(1)) / _PER_S[match.group(2)[0].lower()]


def parse_endpoint(text: object) -> tuple[str, int]:
    """Host and port from ``"127.0.0.1:2525"``, ``"[::1]:2525"``, ``"mail.example.org:25"``."""
    try:
        return endpoint.parse_endpoint(text if isinstance(text, str) else repr(text), least_port=0)
    except ConfigError as error:
        raise ValueError(str(error)) from None
