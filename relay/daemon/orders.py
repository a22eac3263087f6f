"""What the supervisor tells a worker at its start, through the environment and a memfd.

Descriptors are inherited under the numbers named here. The memfd has two texts of the configuration file: as
it was when the relay started, and as it is now; ``changes`` says what of the second is in force.
Through a memfd and not by reading the file again, so that all workers see the same.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from relay.daemon.settings.changes import in_force
from relay.daemon.settings.config import Config, parse

VARIABLE = "RELAY_WORKER"


@dataclass(frozen=True, slots=True)
class Orders:
    """What the supervisor tells a worker."""

    number: int
    count: int
    sockets: list[list[int]]  # per listener
    link: int
    board: int
    config: int
    path: str
    orphans: list[int]

    def to_environment(self) -> str:
        """The value of RELAY_WORKER."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__})

    @classmethod
    def from_environment(cls) -> Orders:
        """From RELAY_WORKER."""
        return cls(**json.loads(os.environ[VARIABLE]))

    def read_config(self) -> tuple[Config, Config]:
        """The configuration as the relay was started with it, and as it is in force. Closes the memfd.

        Raises ConfigError.
        """
        with open(self.config, "rb") as stream:
            stream.seek(0)
            boot_text, text = json.loads(stream.read())
        boot = parse(boot_text, Path(self.path))
        return boot, in_force(boot, parse(text, Path(self.path)))
