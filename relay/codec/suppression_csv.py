"""Suppression lists as CSV: ``address,reason,since``, a line each.

Contract: ``read`` yields, for each line that is not empty, an entry or what is wrong with it and on which
line; no line spoils another, whatever is in it. The first line may name the columns, in any order, also as
SES calls them (EmailAddress, Reason, LastUpdateTime); others are passed over. Without such a line they are
address, reason, since. ``since`` is ISO 8601 or seconds since the epoch; without one it is now. A reason is
BOUNCE or COMPLAINT, in any case; without one it is ``reason``. ``row`` is the reverse, to the second.

A line at a time, as long as one may be; a file of any length costs no memory.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from relay.base.address import parse_path
from relay.base.suppression import Listed, SuppressionReason, listed_form

HEAD = "address,reason,since"
_LONGEST = 2_000  # octets: an address, a reason, a date, and whatever other columns there are
_AHEAD_S = 86_400.0  # clocks differ
_REASONS = {reason.value: reason for reason in SuppressionReason}
_COLUMNS = {
    "address": 0,
    "email": 0,
    "emailaddress": 0,
    "email address": 0,
    "reason": 1,
    "since": 2,
    "lastupdatetime": 2,
}


class BadLine(NamedTuple):
    """A line that is no entry."""

    number: int
    why: str


def read(
    readline: Callable[[int], bytes], now: float, reason: SuppressionReason | None = None
) -> Iterator[Listed | BadLine]:
    """The entries of a file, and its bad lines; ``readline`` is that of a binary file. ``reason``: for lines
    that have none."""
    places: Sequence[int] = (0, 1, 2)
    is_first = True
    for number, line in _lines(readline):
        if line is None:
            yield BadLine(number, f"longer than {_LONGEST} octets")
            continue
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            if not text:
                continue
            fields = _fields(text)
            if is_first:
                is_first = False
                named = _places(fields)
                if named is not None:
                    places = named
                    continue
            address, why, since = (fields[at].strip() if at < len(fields) else "" for at in places)
            yield _entry(address, why, since, now, reason)
        except UnicodeDecodeError:
            yield BadLine(number, "not UTF-8")
        except ValueError as error:
            yield BadLine(number, str(error))


def row(one: Listed) -> str:
    """An entry as a line, without its end."""
    since = datetime.fromtimestamp(one.since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    address = one.address
    if '"' in address or "," in address:
        address = '"' + address.replace('"', '""') + '"'
    return f"{address},{one.reason},{since}"


def _lines(readline: Callable[[int], bytes]) -> Iterator[tuple[int, bytes | None]]:
    """Numbered lines; None in place of one that is too long."""
    number, is_rest = 0, False
    while line := readline(_LONGEST):
        is_cut = not line.endswith(b"\n") and len(line) == _LONGEST
        if not is_rest:
            number += 1
            yield number, None if is_cut else line
        is_rest = is_cut


def _fields(text: str) -> list[str]:
    if '"' not in text:
        return text.split(",")
    try:
        return next(csv.reader(io.StringIO(text), strict=True))
    except csv.Error as error:
        raise ValueError(f"not CSV: {error}") from None


def _places(fields: Sequence[str]) -> list[int] | None:
    """Where address, reason and since are, if these fields name columns; far away where they do not."""
    names = [_COLUMNS.get(field.strip().lower()) for field in fields]
    if 0 not in names:
        return None
    return [names.index(column) if column in names else len(names) + 10_000 for column in range(3)]


def _entry(address: str, why: str, since: str, now: float, reason: SuppressionReason | None) -> Listed:
    form = address_of(address)
    if not why:
        if reason is None:
            raise ValueError("no reason: give BOUNCE or COMPLAINT in the second column")
        found = reason
    else:
        known = _REASONS.get(why.upper())
        if known is None:
            raise ValueError(f"{why!r} is no reason: there are BOUNCE and COMPLAINT")
        found = known
    return Listed(form, found, moment_of(since, now) if since else now)


def address_of(text: str) -> str:
    """An address as it is listed. Raises ValueError if it is none."""
    try:
        address, rest = parse_path(f"<{text}>")
    except ValueError as error:
        raise ValueError(f"{text!r} is no address: {error}") from None
    if address != text or rest or not address:
        raise ValueError(f"{text!r} is no address: give name@example.org")
    return listed_form(address)


def moment_of(text: str, now: float) -> float:
    """Seconds since the epoch, from such or from ISO 8601; UTC where no zone is given. Raises ValueError."""
    try:
        try:
            at = float(text)
        except ValueError:
            moment = datetime.fromisoformat(text)
            at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no date: give 2026-01-31T12:00:00Z, or seconds since 1970") from None
    if not 0.0 <= at <= now + _AHEAD_S:  # nor NaN
        raise ValueError(f"{text!r} is no date that has been")
    return at
