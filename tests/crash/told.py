"""What was told, against the event log: all that somebody is to hear of was heard, whatever was killed.

``compare`` reads the whole event log, the ledger of the topic's address (``hook``) and the statistics:

- each Send, Delivery and Bounce of a message of the account is in a notification that was taken (else:
  untold);
- within a message the first takings are in the order in which it happened (else: out_of_order): in the order
  of the log within a shard, and what another shard learned of a message after its Send, and after all that
  its own shard has which is older by more than a commit takes. How the log is read here says nothing;
- no notification tells what is not in the log (else: invented);
- the statistics have each event exactly once (miscounted: by how many they are wrong).

A notification that was taken twice, with the same id, is what a crash may cause: told_twice.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from relay.base.counts import Counts
from relay.base.events import EventKind, Logged
from relay.spool.event_log import EventLog
from relay.spool.event_order import is_foreign
from relay.spool.positions import OWN, Positions
from relay.spool.statistics_views import reading

KINDS = (EventKind.SEND, EventKind.DELIVERY, EventKind.BOUNCE)
_COMMIT_S = 10.0  # between an event's time and its commit, on a machine that has no time


class Told(NamedTuple):
    """A line of the ledger."""

    uid: str
    message_id: str
    kind: str
    recipients: tuple[str, ...]


class _Heard(NamedTuple):
    """An event, and where in the ledger it was first told."""

    logged: Logged
    first: int


@dataclass(slots=True)
class Hearing:
    """What the ledgers say, in events; ``told_twice`` and ``invented`` in notifications."""

    told: int = 0
    told_meanwhile: int = 0  # before the last start, between the kills
    told_twice: int = 0
    untold: int = 0
    out_of_order: int = 0
    invented: int = 0
    counted: int = 0  # by the statistics
    miscounted: int = 0
    samples: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Everybody heard of everything."""
        return self.told > 0 and not (self.untold or self.out_of_order or self.invented or self.miscounted)


def taken(ledger: Path) -> list[Told]:
    """What the topic took, in order; a last line that is not complete was not taken."""
    text = ledger.read_text() if ledger.exists() else ""
    lines = text[: text.rfind("\n") + 1].splitlines()
    return [Told(uid, message, kind, tuple(whom)) for uid, message, kind, whom in map(json.loads, lines)]


def events(spool: Path) -> Iterator[Logged]:
    """The whole event log."""
    after: dict[int, int] = {}
    with closing(EventLog(spool)) as log:
        while True:
            batch, reached = log.read(after, 1000)
            if reached == after:
                return
            yield from batch
            after = reached


def is_all_taken(spool: Path) -> bool:
    """Whether all of the relay's own consumers have come to the end of the log."""
    own = {name: of for name, of in Positions(spool).all().items() if name.startswith(OWN)}
    with closing(EventLog(spool)) as log:
        behind = [log.behind({shard: offset for shard, (offset, _) in of.items()})[0] for of in own.values()]
    return len(own) >= 3 and not any(behind)


def compare(spool: Path, ledger: Path, account_id: int, hearing: Hearing) -> None:
    """Fill in what the ledgers say."""
    logged = list(events(spool))
    _compare_told([one for one in logged if one.event.account_id == account_id], taken(ledger), hearing)
    expected = sums(logged)
    with reading(spool) as views:
        accounts = expected.keys() | set(views.accounts())
        for account in accounts:
            found, wanted = views.total(account, 0.0), expected.get(account, Counts())
            for name in ("sent", "delivered", "hard", "soft", "complaints", "rejects"):
                wrong = abs(getattr(found, name) - getattr(wanted, name))
                if wrong:
                    hearing.miscounted += wrong
                    hearing.samples.append(f"account {account} {name}: {found}, not {wanted}")
            hearing.counted += found.sent + found.delivered + found.hard + found.soft


def _compare_told(logged: Sequence[Logged], posts: Sequence[Told], hearing: Hearing) -> None:
    first: dict[tuple[str, str, str], int] = {}
    uids: Counter[str] = Counter(post.uid for post in posts)
    for at, post in enumerate(posts):
        for address in post.recipients:
            first.setdefault((post.message_id, post.kind, address), at)
    hearing.told_twice = sum(times > 1 for times in uids.values())
    known: set[tuple[str, str, str]] = set()
    newest: dict[tuple[str, int], int] = {}  # where the events before this one were first told
    lines: dict[str, list[_Heard]] = {}
    for one in logged:
        kind, message, shard = one.event.kind, one.event.message_id, one.shard
        if kind not in KINDS:
            continue
        for address in _about(one):
            key = (message, kind.value, address)
            known.add(key)
            at = first.get(key)
            if at is None:
                hearing.untold += 1
                hearing.samples.append(f"untold: {key}")
            else:
                hearing.told += 1
                if at < newest.get((message, shard), at):
                    hearing.out_of_order += 1
                    hearing.samples.append(f"out of order: {key}")
                newest[message, shard] = max(at, newest.get((message, shard), at))
                lines.setdefault(message, []).append(_Heard(one, at))
    for message, heard in lines.items():
        too_soon = _too_soon(heard)
        hearing.out_of_order += len(too_soon)
        hearing.samples += [f"out of order: {message} {one.event.kind}" for one in too_soon]
    strange = [key for key in first if key not in known]
    hearing.invented = len(strange)
    hearing.samples = [*hearing.samples, *(f"invented: {key}" for key in strange)][:10]


def _too_soon(heard: Sequence[_Heard]) -> list[Logged]:
    """What was learned of a message by another shard and told before what its own shard had."""
    own = [one for one in heard if not is_foreign(one.logged)]
    return [
        news.logged
        for news in heard
        if is_foreign(news.logged)
        and any(news.first < one.first for one in own if _is_before(one.logged, news.logged))
    ]


def _is_before(own: Logged, news: Logged) -> bool:
    """It was committed before, for certain: nobody learns of what was not sent; else by the time."""
    return own.event.kind is EventKind.SEND or own.event.at < news.event.at - _COMMIT_S


def _about(one: Logged) -> list[str]:
    detail = json.loads(one.event.detail)
    return list(detail["destination"] if one.event.kind is EventKind.SEND else [detail["recipient"]])


def sums(logged: Iterable[Logged]) -> dict[int, Counts]:
    """By account, what the statistics have to say of these events: each one is counted once."""
    found: dict[int, Counts] = {}
    for one in logged:
        event = one.event
        counts = found.setdefault(event.account_id, Counts())
        match event.kind:
            case EventKind.SEND:
                counts.sent += len(_about(one))
            case EventKind.DELIVERY:
                counts.delivered += 1
            case EventKind.BOUNCE:
                detail = json.loads(event.detail)
                if detail.get("bounceSubType") == "OnAccountSuppressionList":
                    continue  # the account knew: neither
                if detail.get("bounceType") == "Permanent":
                    counts.hard += 1
                else:
                    counts.soft += 1
    return found
