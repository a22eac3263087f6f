"""Moving the write-ahead log into the database while the commit thread goes on committing.

A checkpoint of 48 MB writes and fsyncs for 30 to 100 milliseconds, in which no one would get a 250. SQLite
lets another connection do it beside the writer; what the writer added meanwhile is little, and the commit
thread moves that itself afterwards, so that the log starts again from its beginning instead of growing.

After a crash: a log that was moved in part is moved again; that is SQLite's affair.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

from relay.spool import schema

log = logging.getLogger(__name__)


class Checkpoint:
    """The checkpoints of one shard, one at a time. Owned by the commit thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        """One is at work."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def is_over(self) -> bool:
        """One was begun and has ended; ``forget`` makes room for the next."""
        return self._thread is not None and not self._thread.is_alive()

    def begin(self) -> None:
        """Begin one in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name=f"checkpoint-{self._folder.name}", daemon=True)
        self._thread.start()

    def forget(self) -> None:
        """The one that ended has been taken note of."""
        self._thread = None

    def wait(self) -> None:
        """Wait for the one at work: before the files of the database are moved or the shard is closed."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        try:
            with closing(schema.open_beside(self._folder)) as connection:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as error:  # the commit thread meets the same, and knows what to do
            log.warning("checkpoint failed", extra={"folder": str(self._folder), "error": str(error)})
