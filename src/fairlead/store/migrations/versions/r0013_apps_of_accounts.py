"""Which apps ever called for an account."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_usage_series_apps",
        "usage_series",
        ["account_id", "app_id"],
        sqlite_where=sa.text("app_id > 0"),
        postgresql_where=sa.text("app_id > 0"),
    )
