"""Accounts bring credentials of their own, and may have prompts and answers kept; both are sealed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "data_keys",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("master_key_id", sa.Text(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_data_keys")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_data_keys_account_id")
        ),
    )
    op.create_index(op.f("ix_data_keys_master_key_id"), "data_keys", ["master_key_id"])
    op.create_table(
        "provider_credentials",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("is_disabled", sa.Boolean(), nullable=False),
        sa.Column("is_fallback", sa.Boolean(), nullable=False),
        sa.Column("is_required", sa.Boolean(), nullable=False),
        sa.Column("is_exclusive", sa.Boolean(), nullable=False),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("sort_order", sa.Integer(), nullable=False),
        sa.Column("allowed_models", sa.Text(), nullable=True),
        sa.Column("allowed_key_hashes", sa.Text(), nullable=True),
        sa.Column("allowed_users", sa.Text(), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.Column("deleted_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_credentials")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_provider_credentials_account_id")
        ),
        sa.CheckConstraint("region IN ('eu', 'us')", name=op.f("ck_provider_credentials_region")),
        sa.CheckConstraint(
            "deleted_ms IS NULL OR sealed IS NULL", name=op.f("ck_provider_credentials_wiped")
        ),
    )
    op.create_index(
        op.f("ix_provider_credentials_account_id_provider_sort_order"),
        "provider_credentials",
        ["account_id", "provider", "sort_order"],
    )
    op.create_table(
        "contents",
        sa.Column("generation_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("generation_id", name=op.f("pk_contents")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_contents_account_id")
        ),
    )
    op.create_index(
        op.f("ix_contents_account_id_created_ms"), "contents", ["account_id", "created_ms"]
    )
    op.create_index(op.f("ix_contents_created_ms"), "contents", ["created_ms"])
