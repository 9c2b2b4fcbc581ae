"""The catalogues that were in force are kept, so that routing decisions can be made again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "catalog_versions",
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("first_seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("in_force_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("version", "digest", name=op.f("pk_catalog_versions")),
    )
