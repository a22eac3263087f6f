"""Offsets that no event has."""

from contextlib import closing
from pathlib import Path

from relay.spool import schema
from relay.spool.gaps import unused


def test_unused_offsets_are_those_before_gaps(tmp_path: Path) -> None:
    with closing(schema.open_writer(tmp_path)) as connection:
        for offset, kind in ((3, "Send"), (4, "Send"), (100, "Gap"), (101, "Send"), (500, "Gap")):
            connection.execute("INSERT INTO event VALUES (?, 0, ?, '', 0, '{}')", (offset, kind))
        assert unused(connection, 2) == 95 + 398
        assert unused(connection, 50) == 49 + 398
        assert unused(connection, 100) == 398
        assert unused(connection, 500) == 0
