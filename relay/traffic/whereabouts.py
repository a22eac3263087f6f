"""Where the recipients of a message are in memory, for the operator's ``explain``.

Read-only. Costs a look at everything that waits in memory, for one message; never on the hot path. What is
not found here is on disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from relay.base.message import Attempt, Message, Recipient
from relay.traffic.ready_queue import ReadyQueue


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in memory."""

    place: str  # "route" (is looked up), "queue" (waits for a connection), "connection" (is under way)
    lane: str = ""
    before: int = 0  # messages of its account that leave this lane first
    waiting: int = 0  # messages on the lane, those of others included
    accounts: int = 0  # accounts with mail on the lane, which take turns


def whereabouts(
    lanes: Mapping[str, ReadyQueue],
    taken: Iterable[Attempt],
    looking: Mapping[str, list[tuple[Message, list[Recipient]]]],
    shard: int,
    key: int,
) -> dict[int, Spot]:
    """By recipient number. ``taken`` are in the hands of connections, ``looking`` wait for a route."""

    def is_it(message: Message) -> bool:
        return message.key == key and message.shard == shard

    found: dict[int, Spot] = {}
    for waiting in looking.values():
        for message, recipients in waiting:
            if is_it(message):
                found.update((one.number, Spot("route")) for one in recipients)
    for name, queue in lanes.items():
        accounts = [one for one in queue.accounts.values() if len(one)]
        for account in accounts:
            attempts = sorted(account.ahead(len(account)), key=lambda one: one.message.rank)
            for before, attempt in enumerate(attempts):
                if is_it(attempt.message):
                    spot = Spot("queue", name, before, queue.waiting, len(accounts))
                    found.update((one.number, spot) for one in attempt.recipients)
    for attempt in taken:
        if is_it(attempt.message):
            found.update((one.number, Spot("connection", attempt.lane)) for one in attempt.recipients)
    return found
