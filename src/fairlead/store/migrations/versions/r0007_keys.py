"""Keys belong to a workspace and a person; apps get keys by consent; people say what they think of answers.

A key without a workspace belongs to the default one of its account: programs of the earlier version, which may
still be running, know of none.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("workspace_id", sa.Text(), nullable=True))
    op.add_column("api_keys", sa.Column("creator_user_id", sa.Text(), nullable=True))
    op.add_column(
        "api_keys",
        sa.Column("include_byok_in_limit", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column("api_keys", sa.Column("app_id", sa.BigInteger(), nullable=True))
    op.add_column("api_keys", sa.Column("updated_ms", sa.BigInteger(), nullable=True))
    op.add_column("api_keys", sa.Column("deleted_ms", sa.BigInteger(), nullable=True))
    op.create_index(op.f("ix_api_keys_workspace_id"), "api_keys", ["workspace_id"], unique=False)
    op.execute(
        "UPDATE api_keys SET"
        " workspace_id = (SELECT w.id FROM workspaces w"
        " WHERE w.account_id = api_keys.account_id AND w.is_default),"
        " creator_user_id = (SELECT u.id FROM users u WHERE u.account_id = api_keys.account_id)"
    )
    create_authorization_codes()
    create_feedback()


def create_authorization_codes() -> None:
    op.create_table(
        "authorization_codes",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("app_id", sa.BigInteger(), nullable=False),
        sa.Column("challenge", sa.Text(), nullable=True),
        sa.Column("challenge_method", sa.Text(), nullable=True),
        sa.Column("key_name", sa.Text(), nullable=False),
        sa.Column("key_workspace_id", sa.Text(), nullable=False),
        sa.Column("key_limit_nano", sa.BigInteger(), nullable=True),
        sa.Column("key_limit_reset", sa.Text(), nullable=True),
        sa.Column("key_expires_ms", sa.BigInteger(), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("wrong_count", sa.Integer(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "challenge_method IN ('S256', 'plain')",
            name=op.f("ck_authorization_codes_challenge_method"),
        ),
        sa.CheckConstraint(
            "key_limit_reset IN ('daily', 'weekly', 'monthly')",
            name=op.f("ck_authorization_codes_key_limit_reset"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_authorization_codes_account_id")
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_authorization_codes")),
    )
    op.create_index(
        op.f("ix_authorization_codes_account_id_expires_ms"),
        "authorization_codes",
        ["account_id", "expires_ms"],
        unique=False,
    )
    op.create_index(
        op.f("ix_authorization_codes_expires_ms"),
        "authorization_codes",
        ["expires_ms"],
        unique=False,
    )


def create_feedback() -> None:
    op.create_table(
        "generation_feedback",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("generation_id", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_generation_feedback")),
    )
    op.create_index(
        op.f("ix_generation_feedback_account_id_id"),
        "generation_feedback",
        ["account_id", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_generation_feedback_generation_id"),
        "generation_feedback",
        ["generation_id"],
        unique=False,
    )
