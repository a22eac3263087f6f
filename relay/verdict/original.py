"""The message that something came back about, as its Send event keeps it; and which recipient is meant.

Contract, pure. ``proved_by`` and ``named_in`` say which message a report is about that did not come to its
return path. ``original_of`` finds the Send event among the events of a message; None if it is not there
any more, and then nothing that comes back is believed. ``recipient_of`` says which recipient of the original
an address means that a stranger's server wrote: only those whom the message really had count, so that a
forged report puts nobody out of service to whom nothing was sent. The first that fits:

1. the same address; the domain in any case, and so the local part where that leaves no doubt
2. the same address but for a ``+label``, if that is one recipient's alone
3. the recipient of a message that had only one: a forward behind it that does not work is its own trouble
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from relay.base import return_path
from relay.base.address import domain_of
from relay.base.events import Event, EventKind
from relay.base.feedback import Report
from relay.base.ids import shard_of

_CONTROL = ("tags", "sourceArn", "fromArn", "returnPathArn", "ignored")  # of ``relay.base.control``


@dataclass(frozen=True, slots=True)
class Original:
    """A message that was sent."""

    message_id: str
    account_id: int
    source: str  # MAIL FROM of its sender; "" for the null reverse-path
    destination: tuple[str, ...]
    identity: str = ""
    control: str = ""  # what its X-SES-* fields asked for, as a JSON object


def proved_by(report: Report, key: bytes) -> str:
    """The message that a report to the desk for complaints is about, by the return path that it had: whoever
    knows that has seen the message."""
    return return_path.read(report.return_path.rpartition("@")[0], key) or ""


def named_in(report: Report) -> str:
    """The same by its Message-ID, which proves nothing: archives of mailing lists show it to everybody. It is
    enough for a complaint, from which many receivers take the return path; never for a bounce, which would
    put any recipient of any published message on the suppression lists."""
    named = report.message_id.strip("<> ").rpartition("@")[0].lower()
    try:
        shard_of(named)
    except ValueError:
        return ""
    return named


def original_of(events: Iterable[Event]) -> Original | None:
    """The message that these events are about; None without its Send event."""
    sent = next((one for one in events if one.kind is EventKind.SEND), None)
    if sent is None:
        return None
    detail = json.loads(sent.detail)
    asked = {name: detail[name] for name in _CONTROL if name in detail}
    return Original(
        message_id=sent.message_id,
        account_id=sent.account_id,
        source=str(detail.get("source", "")),
        destination=tuple(detail.get("destination", ())),
        identity=str(detail.get("identity", "")),
        control=json.dumps(asked, ensure_ascii=False, separators=(",", ":")) if asked else "",
    )


def recipient_of(original: Original, *named: str) -> str:
    """The recipient of the original that one of these addresses names, in their order; "" for none."""
    names = [name for name in named if name]
    for name in names:
        if found := same_address(original.destination, name):
            return found
    return original.destination[0] if len(original.destination) == 1 else ""


def same_address(recipients: Sequence[str], name: str) -> str:
    """The one of the recipients that has this address; "" for none."""
    if name in recipients:
        return name
    parts = _split(name)
    for form, by_form in zip(_FORMS, _by_form(tuple(recipients)), strict=True):
        found = by_form.get(form(parts))
        if found is not None:
            return found  # "" where two have it: no doubt may be left
    return ""


@lru_cache(maxsize=16)
def _by_form(recipients: tuple[str, ...]) -> list[dict[tuple[str, str], str]]:
    """For each of the forms, the recipients by what they have in it."""
    tables: list[dict[tuple[str, str], str]] = []
    for form in _FORMS:
        table: dict[tuple[str, str], str] = {}
        for one in recipients:
            key = form(_split(one))
            table[key] = "" if key in table else one
        tables.append(table)
    return tables


def at_domain(recipients: Sequence[str], domain: str) -> list[str]:
    """The recipients at a domain, or at one that is above or below it."""
    domain = domain.lower()
    return [one for one in recipients if domain and _is_related(_split(one)[1], domain)]


def _is_related(one: str, other: str) -> bool:
    if "." not in one or "." not in other:
        return one == other
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")


def _split(address: str) -> tuple[str, str]:
    try:
        domain = domain_of(address)
    except ValueError:
        domain = address.rpartition("@")[2].lower()
    return address.rpartition("@")[0], domain


def _exact(parts: tuple[str, str]) -> tuple[str, str]:
    return parts


def _folded(parts: tuple[str, str]) -> tuple[str, str]:
    return parts[0].lower(), parts[1]


def _without_label(parts: tuple[str, str]) -> tuple[str, str]:
    return parts[0].lower().partition("+")[0], parts[1]


_FORMS = (_exact, _folded, _without_label)
