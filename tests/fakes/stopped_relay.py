"""A relay that is not running, with mail in its spool: configuration, keys, directory, two shards.

stopped = StoppedRelay(tmp_path / "relay")
ids = await stopped.fill(small=5, large=2)      # messages that wait, in shard 1 and 2 by turns
"""

from contextlib import AsyncExitStack
from pathlib import Path

from relay.base.message import Message
from relay.daemon import first
from relay.daemon.settings.config import Config, load
from relay.directory.store import Directory
from relay.spool import recover, schema
from relay.spool.content import file_of
from relay.spool.shard import Shard, SpoolLimits
from tests.fakes.clock import ManualClock
from tests.fakes.prepared import HOSTNAME
from tests.fakes.spool import message, storing

LIMITS = SpoolLimits(disk_reserve_bytes=0, large_bytes=5000)


class StoppedRelay:
    """See above."""

    def __init__(self, folder: Path) -> None:
        self._use(load(first.make(folder, first.Choices(HOSTNAME))))

    @classmethod
    def at(cls, config: Config) -> "StoppedRelay":
        """One that is there."""
        relay = cls.__new__(cls)
        relay._use(config)
        return relay

    def _use(self, config: Config) -> None:
        self.folder = config.path.parent
        self.config = config
        self.spool = self.config.spool.path
        self.ids: list[str] = []

    def directory(self) -> Directory:
        section = self.config.directory
        return Directory(section.url, section.key_file, section.region)

    def shard(self, number: int = 1) -> Path:
        return recover.shard_folder(self.spool, number)

    async def opened(self, number: int, stack: AsyncExitStack) -> Shard:
        return await Shard.open(self.spool, number, LIMITS, ManualClock(), stack)

    async def fill(self, small: int = 4, large: int = 2) -> list[Message]:
        """Messages that wait; returns them."""
        made = [message(content=b"s" * (100 + n)) for n in range(small)]
        made += [message("x@example.org", "y@example.org", content=b"L" * (9000 + n)) for n in range(large)]
        async with AsyncExitStack() as stack:
            shards = [await self.opened(number, stack) for number in (1, 2)]
            for number, one in enumerate(made):
                await shards[number % 2].commit(storing(one))
        self.ids += [one.id for one in made]
        return made


def waiting(spool: Path) -> dict[str, dict[int, int]]:
    """By message id, the state of each recipient; a large one must have its content."""
    found: dict[str, dict[int, int]] = {}
    for number in recover.shards_in(spool):
        folder = recover.shard_folder(spool, number)
        connection = schema.open_reader(folder)
        for message_id, flags, recipient, state in connection.execute(
            "SELECT m.id, m.flags, r.number, r.state FROM message m JOIN recipient r ON r.message = m.key"
        ):
            assert not flags & 1 or file_of(folder, message_id).exists(), message_id
            found.setdefault(message_id, {})[recipient] = state
        connection.close()
    return found
