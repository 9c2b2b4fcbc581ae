"""The first tables: accounts, keys, generations, the journals' positions, prices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("billing", sa.Text(), nullable=False),
        sa.Column("is_owner", sa.Boolean(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("billing IN ('prepaid', 'postpaid')", name=op.f("ck_accounts_billing")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("email", name=op.f("uq_accounts_email")),
    )
    op.create_index(
        "ix_accounts_one_owner",
        "accounts",
        ["is_owner"],
        unique=True,
        sqlite_where=sa.text("is_owner"),
        postgresql_where=sa.text("is_owner"),
    )
    op.create_table(
        "generations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("api_type", sa.Text(), nullable=False),
        sa.Column("requested_model", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("price_version", sa.Text(), nullable=False),
        sa.Column("catalog_version", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("streamed", sa.Boolean(), nullable=False),
        sa.Column("latency_ms", sa.Integer(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("finish_reason", sa.Text(), nullable=True),
        sa.Column("native_finish_reason", sa.Text(), nullable=True),
        sa.Column("upstream_id", sa.Text(), nullable=True),
        sa.Column("service_tier", sa.Text(), nullable=True),
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.Column("external_user", sa.Text(), nullable=True),
        sa.Column("error_type", sa.Text(), nullable=True),
        sa.Column("cost_nano", sa.BigInteger(), nullable=False),
        sa.Column("cost_prompt_nano", sa.BigInteger(), nullable=False),
        sa.Column("cost_completion_nano", sa.BigInteger(), nullable=False),
        sa.Column("upstream_cost_nano", sa.BigInteger(), nullable=True),
        sa.Column("usage_source", sa.Text(), nullable=False),
        sa.Column("usage_prompt", sa.BigInteger(), nullable=False),
        sa.Column("usage_cache_read", sa.BigInteger(), nullable=False),
        sa.Column("usage_cache_write", sa.BigInteger(), nullable=False),
        sa.Column("usage_cache_write_1h", sa.BigInteger(), nullable=False),
        sa.Column("usage_prompt_audio", sa.BigInteger(), nullable=False),
        sa.Column("usage_prompt_image", sa.BigInteger(), nullable=False),
        sa.Column("usage_prompt_video", sa.BigInteger(), nullable=False),
        sa.Column("usage_completion", sa.BigInteger(), nullable=False),
        sa.Column("usage_reasoning", sa.BigInteger(), nullable=False),
        sa.Column("usage_completion_audio", sa.BigInteger(), nullable=False),
        sa.Column("usage_completion_image", sa.BigInteger(), nullable=False),
        sa.Column("usage_requests", sa.BigInteger(), nullable=False),
        sa.Column("usage_web_searches", sa.BigInteger(), nullable=False),
        sa.Column("usage_accepted_prediction", sa.BigInteger(), nullable=False),
        sa.Column("usage_rejected_prediction", sa.BigInteger(), nullable=False),
        sa.Column("app_referer", sa.Text(), nullable=True),
        sa.Column("app_title", sa.Text(), nullable=True),
        sa.Column("app_categories", sa.Text(), nullable=True),
        sa.Column("app_user_agent", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_generations")),
    )
    op.create_index(
        op.f("ix_generations_account_id_created_ms"),
        "generations",
        ["account_id", "created_ms"],
        unique=False,
    )
    op.create_index(
        op.f("ix_generations_key_id_created_ms"),
        "generations",
        ["key_id", "created_ms"],
        unique=False,
    )
    op.create_table(
        "journal_positions",
        sa.Column("journal", sa.Text(), nullable=False),
        sa.Column("segment", sa.BigInteger(), nullable=False),
        sa.Column("offset_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("journal", name=op.f("pk_journal_positions")),
    )
    op.create_table(
        "meta",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_meta")),
    )
    op.create_table(
        "price_sheets",
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("sheet", sa.Text(), nullable=False),
        sa.Column("first_seen_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_price_sheets")),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("is_management", sa.Boolean(), nullable=False),
        sa.Column("is_disabled", sa.Boolean(), nullable=False),
        sa.Column("limit_nano", sa.BigInteger(), nullable=True),
        sa.Column("limit_reset", sa.Text(), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=True),
        sa.Column("revoked_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "limit_reset IN ('daily', 'weekly', 'monthly')", name=op.f("ck_api_keys_limit_reset")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_api_keys_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("digest", name=op.f("uq_api_keys_digest")),
    )
    op.create_index(
        op.f("ix_api_keys_account_id_created_ms"),
        "api_keys",
        ["account_id", "created_ms"],
        unique=False,
    )
