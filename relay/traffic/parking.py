"""Out of memory, back to disk, with no attempt counted: those whose lane is closed or full.

Contract: ``park`` ends the stay in memory of recipients that were not attempted. Fresh ones and those that
were due are written as parked, in one change a shard; those whose rows say so already are only let go. The
backlog hears of them once they are on disk, and of the queue that each waits for.

Failure: a change that cannot be written leaves loaded ones known (see ``window``); fresh ones come back with
the next start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from relay.base.events import Change, Parked
from relay.base.message import Message, Recipient, RecipientState
from relay.base.parked import Place
from relay.traffic.account_queue import AccountQueue
from relay.traffic.backlog import Backlog
from relay.traffic.neighbours import Store
from relay.traffic.window import Window

Waiting = tuple[Message, list[Recipient]]
_Note = tuple[str, int, Place, AccountQueue | None]


class Parking:
    """Owner: the scheduler, in the event loop."""

    def __init__(
        self,
        shards: Mapping[int, Store],
        window: Window,
        backlogs: Mapping[int, Backlog],
        parked: Callable[[], None],
    ) -> None:
        """``parked`` is called when recipients are on disk."""
        self.queue_of: Callable[[Message, str], AccountQueue | None] = _not_known
        self.total = 0  # recipients parked, those that were stored as parked included
        self._shards = shards
        self._window = window
        self._backlogs = backlogs
        self._parked = parked

    def park(self, waiting: Iterable[Waiting], why: str = "") -> None:
        """Park them; ``why`` is for people."""
        changes: dict[int, tuple[Change, set[tuple[int, int]], list[_Note]]] = {}
        for message, recipients in waiting:
            message.left = 0  # from now on this is a part of it
            known = self._window.known.get(message.shard, set())
            for recipient in recipients:
                pair = (message.key, recipient.number)
                note = self._note(message, recipient)
                if recipient.state is RecipientState.PARKED:
                    known.discard(pair)
                    self._backlogs[message.shard].note(*note)
                    continue
                self.total += 1
                entry = changes.get(message.shard)
                if entry is None:
                    entry = changes[message.shard] = (Change(), set(), [])
                change, pairs, notes = entry
                change.parked.append(Parked(*pair, "" if recipient.attempts else why))
                notes.append(note)
                if pair in known:
                    pairs.add(pair)
                else:
                    self._window.fresh -= 1
        for shard, (change, pairs, notes) in changes.items():
            self._write(shard, change, pairs, notes)

    def _note(self, message: Message, recipient: Recipient) -> _Note:
        place = (message.rank, message.key, recipient.number)
        return recipient.domain, message.account_id, place, self.queue_of(message, recipient.domain)

    def _write(self, shard: int, change: Change, pairs: set[tuple[int, int]], notes: list[_Note]) -> None:
        def written(done: asyncio.Future[None]) -> None:
            if done.cancelled() or done.exception() is not None:
                return
            self._window.known.get(shard, set()).difference_update(pairs)
            for note in notes:
                self._backlogs[shard].note(*note)
            self._parked()

        self._shards[shard].commit(change).add_done_callback(written)

    def stored(self, message: Message) -> None:
        """A message was stored some of whose recipients were parked from the first."""
        backlog = self._backlogs[message.shard]
        for recipient in message.recipients:
            if recipient.state is RecipientState.PARKED:
                self.total += 1
                backlog.note(*self._note(message, recipient))
        self._parked()


def _not_known(*_: object) -> None:
    """Until admission is there."""
