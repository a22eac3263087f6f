"""Who looks after a row next: several nodes on one directory, and each row is looked after by one of them.

Contract: ``claim`` gives this caller the rows that are due and moves their time to ``until``, in one
transaction; no one else gets them before. Whoever has looked sets the next time itself, with ``until`` as the
proof that the claim is still its own. After a crash the rows are due again at ``until``.

A claim does not raise the revision: no snapshot depends on when something is looked at. One transaction a
batch; on PostgreSQL rows that another node is claiming at this moment are passed over, on SQLite writers wait
for one another.
"""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.orm import InstrumentedAttribute

from relay.directory.database import Database
from relay.directory.models import IdentityTable


def claim(
    database: Database, due: InstrumentedAttribute[float | None], now: float, until: float, limit: int
) -> tuple[int, ...]:
    """The ids of at most ``limit`` identities whose ``due`` (a column of theirs) has come, oldest first."""
    with database.reading() as session:  # nearly always nothing: no writer has to wait for that
        if session.scalar(select(IdentityTable.id).where(due <= now).limit(1)) is None:
            return ()
    with database.writing(is_visible=False) as session:
        ids = tuple(
            session.scalars(
                select(IdentityTable.id)
                .where(due <= now)
                .order_by(due, IdentityTable.id)
                .limit(limit)
                .with_for_update(skip_locked=True)
            )
        )
        session.execute(
            update(IdentityTable)
            .where(IdentityTable.id.in_(ids))
            .values({due: until})
            .execution_options(synchronize_session=False)
        )
        return ids
