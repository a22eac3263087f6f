"""A spool with an event log, to which a test adds events, and no relay."""

from pathlib import Path

from relay.base.events import Change, Event, EventKind
from relay.base.ids import MessageIds
from relay.spool import rows, schema
from relay.spool.recover import shard_folder


class Shards:
    """Shards of a spool, to which a test adds events. ``ids``: of a message for each shard."""

    def __init__(self, path: Path, count: int) -> None:
        self.path = path
        self.ids = [MessageIds(shard + 1).make(1.0) for shard in range(count)]
        self.writers = {}
        for number in range(1, count + 1):
            folder = shard_folder(path, number)
            folder.mkdir(parents=True)
            self.writers[number] = schema.open_writer(folder)

    def add(
        self,
        shard: int,
        home: int,
        kind: EventKind = EventKind.DELIVERY,
        at: float = 1.0,
        *,
        account: int = 1,
        detail: str = "{}",
        count: int = 1,
    ) -> None:
        """Events in ``shard`` about the message of ``home``."""
        connection = self.writers[shard]
        connection.execute("BEGIN")
        events = [Event(at, kind, self.ids[home - 1], account, detail)] * count
        rows.write(connection, [Change(events=events)])
        connection.execute("COMMIT")

    def close(self) -> None:
        """Close the databases."""
        for one in self.writers.values():
            one.close()
