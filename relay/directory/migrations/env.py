"""What Alembic runs: the migrations, on the connection and in the transaction that ``database`` opened.

There is no offline mode and no alembic.ini: the relay migrates its own directory.
"""

from __future__ import annotations

from alembic import context

from relay.directory.models import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    render_as_batch=True,  # SQLite cannot alter a column in place
)
context.run_migrations()
