"""What is parked comes back: into the queues that have room again, or to its end when its time is up.

Contract: ``fill`` reads on in the groups that are ready, as much as admission and the window allow, a batch
of groups in one visit to the disk. ``give_up_late`` ends those that are past their time while they are
parked: it asks only for groups whose first rank has passed. ``recall`` reads from disk which groups there
are: at the start, and now and then, so that rows which the operator changed on disk are found as well.

Cost: none for a group that has to wait and is known, however many rows it has; some 20 microseconds of the
reader's thread for each row that comes in, and for each that is passed over on the way to one of another
lane. A group that has shown one lane only, which is closed or full, is read on a page a second, to see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from relay.base.message import Attempt, Message
from relay.base.outcome import Outcome
from relay.base.parked import FIRST, ParkedAsk
from relay.traffic.admission import Admission
from relay.traffic.backlog import Backlog, Group, at_rank
from relay.traffic.last_known import last_known
from relay.traffic.neighbours import Store
from relay.traffic.window import Window

_GROUPS = 64  # read in one visit
_PAGE = 500  # recipients of one group
_LATE = 100  # recipients of one group that are ended in one visit

_NEVER_LEFT = "its time was up before it could be sent"


class Refill:
    """Owner: the scheduler, in the event loop."""

    def __init__(
        self,
        shards: Mapping[int, Store],
        window: Window,
        backlogs: Mapping[int, Backlog],
        admission: Admission,
    ) -> None:
        self.loads = 0  # recipients that came back
        self.finished: Callable[[Attempt, dict[int, Outcome]], None]
        self._shards = shards
        self._window = window
        self._backlogs = backlogs
        self._admission = admission

    async def recall(self, number: int) -> None:
        """Learn from disk which groups of the shard have rows. Raises SpoolError."""
        backlog = self._backlogs[number]
        for domain, account_id, rank in await self._shards[number].parked_groups():
            group = backlog.groups.get((domain, account_id))
            if group is None or group.low[0] > rank:
                backlog.note(domain, account_id, at_rank(rank))
        backlog.make_all_ready()

    async def fill(self, number: int) -> bool:
        """Read on in one batch of groups; say whether there is more to do at once. Raises SpoolError."""
        backlog = self._backlogs[number]
        if not backlog.ready:
            return False
        chosen = self._choose(backlog)
        if not chosen:
            return False
        asks = [ParkedAsk(g.domain, g.account_id, g.ask(), limit) for g, limit in chosen]
        known = self._window.known.setdefault(number, set())
        try:
            pages = await self._shards[number].parked_pages(asks, set(known))
        except BaseException:
            for group, _ in chosen:
                group.answered(None)
                backlog.make_ready(group)
            raise
        finally:
            for group, limit in chosen:
                if group.promised_to is not None:
                    group.promised_to.promised = max(0, group.promised_to.promised - limit)
                    group.promised_to = None
        for page in pages:
            for message in page.messages:  # all are known before the first can be settled
                known.update((message.key, r.number) for r in message.recipients)
                self.loads += len(message.recipients)
        self._admission.arriving = sum(len(m.recipients) for page in pages for m in page.messages)
        for (group, _), page in zip(chosen, pages, strict=True):
            for message in page.messages:
                self._admission.arriving -= len(message.recipients)
                self._admission.admit(message)
            group.answered(page)
            if not backlog.drop_if_empty(group):
                backlog.make_ready(group)
        return bool(backlog.ready)

    def _choose(self, backlog: Backlog) -> list[tuple[Group, int]]:
        """Groups to read, and how much of each."""
        room = self._window.room()
        chosen: list[tuple[Group, int]] = []
        for _ in range(len(backlog.ready)):
            if len(chosen) >= _GROUPS or room <= 0:
                break
            group = backlog.next_ready()
            if group is None:
                break
            limit = min(self._admission.room_for(group), room, _PAGE)
            if limit > 0:
                room -= limit
                if group.promised_to is not None:
                    group.promised_to.promised += limit
                chosen.append((group, limit))
        return chosen

    async def give_up_late(self, number: int, now: float) -> bool:
        """End those whose time is up; say whether there may be more of them. Raises SpoolError."""
        groups = [g for g in self._backlogs[number].groups.values() if g.low[0] <= now]
        if not groups:
            return False
        known = self._window.known.setdefault(number, set())
        asks = [ParkedAsk(g.domain, g.account_id, FIRST, _LATE) for g in groups[:_GROUPS]]
        late = await self._shards[number].parked_late(asks, now, set(known))
        for message in late:
            known.update((message.key, r.number) for r in message.recipients)
        for message in late:
            self.end(message)
        return bool(late)

    def end(self, message: Message) -> None:
        """Give up a message that no attempt is made for; the reason is the last one known."""
        message.in_hand += 1
        attempt = Attempt(message, message.recipients, "parked")
        self.finished(attempt, {r.number: last_known(r.reply, _NEVER_LEFT) for r in message.recipients})
