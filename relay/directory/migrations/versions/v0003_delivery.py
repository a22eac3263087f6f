"""From where an account's mail leaves, and what the operator has suspended.

What was there keeps working as it did: accounts leave from the default source, nothing is suspended.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and the table."""
    with op.batch_alter_table("account") as table:
        table.add_column(sa.Column("source", sa.String(64), nullable=False, server_default=""))
    op.create_table(
        "suspension",
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(1024), primary_key=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.Float(53), nullable=False),
    )
