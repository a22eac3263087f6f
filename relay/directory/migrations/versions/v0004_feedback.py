"""Who hears what became of mail: topics, what each identity tells them, and the suppression lists.

What was there keeps working as it did: identities tell by mail alone, and nothing is suppressed.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and the tables."""
    with op.batch_alter_table("account") as table:
        table.add_column(
            sa.Column("suppressed_reasons", sa.String(64), nullable=False, server_default="BOUNCE,COMPLAINT")
        )
    with op.batch_alter_table("identity") as table:
        table.add_column(sa.Column("is_forwarding", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.create_table(
        "topic",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column(
            "account_id", sa.Integer(), sa.ForeignKey("account.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("envelope", sa.String(16), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.UniqueConstraint("account_id", "name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "notification",
        sa.Column(
            "identity_id", sa.Integer(), sa.ForeignKey("identity.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("kind", sa.String(32), primary_key=True),
        sa.Column("topic_id", sa.Integer(), sa.ForeignKey("topic.id", ondelete="CASCADE"), nullable=True),
        sa.Column("has_headers", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "suppression",
        sa.Column("account_id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("address", sa.String(320), primary_key=True),
        sa.Column("reason", sa.String(16), nullable=False),
        sa.Column("since", sa.Float(53), nullable=False),
        sa.Column("message_id", sa.String(64), nullable=False),
        sa.Column("serial", sa.BigInteger(), nullable=False, index=True),
    )
    serial = op.create_table(
        "suppression_serial",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("value", sa.BigInteger(), nullable=False),
    )
    op.bulk_insert(serial, [{"id": 1, "value": 0}])
