"""In which order the events of several shards are handed out: nothing about a message before its own shard.

What a worker learns of a message of another (a bounce, a complaint) is an event in the shard of the one that
learned it. Such an event is *foreign*; the message's own shard is its *home*. Contract of ``in_order``:

- each shard in the order of its offsets, from the beginning of its page, without a gap;
- a foreign event after all that its home has committed up to the event's moment. It is handed out once its
  home has come past that moment, or to an end that was looked up after the event was there; else its shard
  stops before it, and the rest of its page comes with the next read, when its home is further;
- own events wait for nothing: what a home commits later may come before a foreign event, never the reverse,
  but for what two processes commit at the same moment.

Why a moment is enough: an event has its time before it is committed, so that what was committed before a
foreign event is not younger. A clock that was set back breaks that; the arrival of the message, which its id
names, still holds a foreign event back behind its Send event.

Nobody waits for ever: of the foreign events that shards stand before, the oldest waits only for a home that
has more to hand out. A home that is not among the pages (its folder is gone) is not waited for.

Pure. Cost: nothing where no event is foreign, but a look at each id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from relay.base.events import Logged
from relay.base.ids import arrival_of, shard_of


@dataclass(slots=True)
class Page:
    """What was read of a shard. ``free``: how many may be handed out now; of the others one knows that they
    are there. ``reached``: how far the shard was looked through. ``is_end``: there was no more, at a moment
    when all foreign events that are free, in all pages, were there."""

    events: list[Logged]
    free: int
    reached: int
    is_end: bool


def home_of(one: Logged) -> int:
    """The shard of the message; an event about none is at home where it is."""
    try:
        return shard_of(one.event.message_id)
    except ValueError:
        return one.shard


def is_foreign(one: Logged) -> bool:
    """It is about a message of another shard."""
    return home_of(one) != one.shard


def in_order(pages: Mapping[int, Page]) -> tuple[list[Logged], dict[int, int]]:
    """What is handed out of these pages, and up to which offset each shard has been handed out then."""
    runs = {shard: _Run(page) for shard, page in pages.items()}
    found: list[Logged] = []
    while True:
        for run in runs.values():
            run.give_own(found)
        stops = [run for run in runs.values() if run.is_waiting]
        for run in sorted(stops, key=lambda run: run.moment):
            home = runs.get(run.home)
            if home is None or home.is_past(run.moment):
                run.give_one(found)
                break
        else:
            return found, {shard: run.reached for shard, run in runs.items()}


class _Run:
    """A page that is being handed out. ``at``: how many of its events were."""

    __slots__ = ("_foreign", "_page", "_stop", "_youngest", "at", "home", "moment")

    def __init__(self, page: Page) -> None:
        self._page = page
        self._foreign = [number for number, one in enumerate(page.events) if is_foreign(one)]
        self._foreign.reverse()
        self._youngest = float("-inf")
        self.at = 0
        self._find_stop()

    def _find_stop(self) -> None:
        """The next foreign event: where it is, whose it is, when it was."""
        self._stop = self._foreign.pop() if self._foreign else len(self._page.events)
        self.home, self.moment = 0, float("inf")
        if self._stop < len(self._page.events):
            one = self._page.events[self._stop]
            self.home = home_of(one)
            self.moment = max(one.event.at, arrival_of(one.event.message_id))

    def give_own(self, found: list[Logged]) -> None:
        """All up to the next foreign event."""
        end = min(self._stop, self._page.free)
        if self.at < end:
            given = self._page.events[self.at : end]
            self._youngest = max(self._youngest, max(one.event.at for one in given))
            found += given
            self.at = end

    def give_one(self, found: list[Logged]) -> None:
        """The foreign event that comes next."""
        found.append(self._page.events[self.at])
        self.at += 1
        self._find_stop()

    @property
    def is_waiting(self) -> bool:
        """A foreign event is next, and may be handed out as far as its own shard goes."""
        return self.at == self._stop < self._page.free

    def is_past(self, moment: float) -> bool:
        """Nothing that was committed before that moment is left here. Own events have been given: if there
        is a next one, it is foreign."""
        if self._youngest > moment:
            return True
        return self.moment >= moment if self.at < len(self._page.events) else self._page.is_end

    @property
    def reached(self) -> int:
        """The offset up to which all was handed out."""
        if self.at < len(self._page.events):
            return self._page.events[self.at].offset - 1
        return self._page.reached
