"""Limits of accounts; use of credentials; how identities, their DKIM and their MAIL FROM stand.

What was there keeps working as it did: accounts have no limits, verified identities and their keys stay
verified, and the first check of either is due at once.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    with op.batch_alter_table("account") as table:
        table.add_column(sa.Column("max_send_rate", sa.Float(53), nullable=False, server_default="-1"))
        table.add_column(sa.Column("max_24_hours", sa.Integer(), nullable=False, server_default="-1"))
        table.add_column(sa.Column("over_quota", sa.String(16), nullable=False, server_default="reject"))
    with op.batch_alter_table("credential") as table:
        table.add_column(sa.Column("state", sa.String(16), nullable=False, server_default="active"))
        table.add_column(sa.Column("last_used_at", sa.Float(53), nullable=True))
    with op.batch_alter_table("identity") as table:
        table.add_column(sa.Column("token", sa.String(64), nullable=False, server_default=""))
        table.add_column(sa.Column("key_origin", sa.String(16), nullable=False, server_default="relay"))
        table.add_column(sa.Column("dkim_state", sa.String(24), nullable=False, server_default="verified"))
        table.add_column(sa.Column("mail_from", sa.String(253), nullable=False, server_default=""))
        table.add_column(sa.Column("mail_from_state", sa.String(24), nullable=False, server_default=""))
        table.add_column(
            sa.Column("mail_from_on_failure", sa.String(24), nullable=False, server_default="use-default")
        )
        for name in (
            "pending_since",
            "missing_since",
            "next_check_at",
            "dkim_seen_at",
            "dkim_pending_since",
            "dkim_missing_since",
            "dkim_next_check_at",
            "mail_from_pending_since",
            "mail_from_missing_since",
            "mail_from_next_check_at",
        ):
            table.add_column(sa.Column(name, sa.Float(53), nullable=True))
    for name in ("next_check_at", "dkim_next_check_at", "mail_from_next_check_at"):
        op.create_index(f"ix_identity_{name}", "identity", [name])
    op.execute("UPDATE identity SET dkim_next_check_at = 0 WHERE kind = 'domain'")
    op.execute("UPDATE identity SET dkim_state = '' WHERE kind = 'address'")
    with op.batch_alter_table("dkim_key") as table:
        table.add_column(sa.Column("changed_at", sa.Float(53), nullable=False, server_default="0"))
        table.add_column(sa.Column("origin", sa.String(16), nullable=False, server_default="relay"))
        table.add_column(sa.Column("is_leaving", sa.Boolean(), nullable=False, server_default=sa.false()))
