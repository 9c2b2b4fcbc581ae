"""People sign in, and share accounts: users, organisations, workspaces.

Every account so far is that of a person: it gets a user and a default workspace, under ids that follow from its
own, so that every copy of a database gets the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID, uuid5

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ROWS_AT_ONCE = 1000
DEFAULT_WORKSPACES = UUID("3f0e4c5d-6c9b-5f0e-9d55-0c8a6f2f7a31")


def upgrade() -> None:
    # In SQL, for a table that others refer to cannot be made anew on SQLite, as Alembic would.
    op.execute(
        "ALTER TABLE accounts ADD COLUMN kind TEXT DEFAULT 'person' NOT NULL"
        " CONSTRAINT ck_accounts_kind CHECK (kind IN ('person', 'organisation'))"
    )
    op.add_column("accounts", sa.Column("deleted_ms", sa.BigInteger(), nullable=True))
    op.add_column("accounts", sa.Column("scrubbed_ms", sa.BigInteger(), nullable=True))
    create_users()
    create_organisations()
    create_workspaces()
    create_sign_in()
    create_records()
    give_everybody_a_user_and_a_workspace(op.get_bind())


def create_users() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("email_verified_ms", sa.BigInteger(), nullable=True),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("disabled_ms", sa.BigInteger(), nullable=True),
        sa.Column("deleted_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_users_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("account_id", name=op.f("uq_users_account_id")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
    )
    op.create_table(
        "identities",
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_identities_user_id")),
        sa.PrimaryKeyConstraint("issuer", "subject", name=op.f("pk_identities")),
    )
    op.create_index(op.f("ix_identities_user_id"), "identities", ["user_id"])


def create_organisations() -> None:
    op.create_table(
        "memberships",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("limit_nano", sa.BigInteger(), nullable=True),
        sa.Column("limit_reset", sa.Text(), nullable=True),
        sa.Column("joined_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("role IN ('admin', 'member')", name=op.f("ck_memberships_role")),
        sa.CheckConstraint(
            "limit_reset IN ('daily', 'weekly', 'monthly')", name=op.f("ck_memberships_limit_reset")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_memberships_account_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_memberships_user_id")),
        sa.PrimaryKeyConstraint("account_id", "user_id", name=op.f("pk_memberships")),
    )
    op.create_index(op.f("ix_memberships_user_id"), "memberships", ["user_id"])
    op.create_table(
        "invitations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("inviter_user_id", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("accepted_ms", sa.BigInteger(), nullable=True),
        sa.Column("revoked_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("role IN ('admin', 'member')", name=op.f("ck_invitations_role")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_invitations_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["inviter_user_id"], ["users.id"], name=op.f("fk_invitations_inviter_user_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
    )
    op.create_index(op.f("ix_invitations_account_id_id"), "invitations", ["account_id", "id"])
    op.create_index(op.f("ix_invitations_email"), "invitations", ["email"])
    is_open = sa.text("accepted_ms IS NULL AND revoked_ms IS NULL")
    op.create_index(
        "ix_invitations_one_open",
        "invitations",
        ["account_id", "email"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )


def create_workspaces() -> None:
    op.create_table(
        "workspaces",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("default_text_model", sa.Text(), nullable=True),
        sa.Column("default_image_model", sa.Text(), nullable=True),
        sa.Column("default_provider_sort", sa.Text(), nullable=True),
        sa.Column("io_logging", sa.Boolean(), nullable=False),
        sa.Column("io_logging_sampling_rate", sa.Double(), nullable=False),
        sa.Column("io_logging_key_ids", sa.Text(), nullable=True),
        sa.Column("broadcast", sa.Boolean(), nullable=False),
        sa.Column("data_discount_logging", sa.Boolean(), nullable=False),
        sa.Column("include_byok_in_budgets", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=True),
        sa.Column("deleted_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_workspaces_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workspaces")),
    )
    op.create_index(
        "ix_workspaces_one_slug",
        "workspaces",
        ["account_id", "slug"],
        unique=True,
        sqlite_where=sa.text("deleted_ms IS NULL"),
        postgresql_where=sa.text("deleted_ms IS NULL"),
    )
    op.create_index(
        "ix_workspaces_one_default",
        "workspaces",
        ["account_id"],
        unique=True,
        sqlite_where=sa.text("is_default"),
        postgresql_where=sa.text("is_default"),
    )
    op.create_table(
        "workspace_members",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("fk_workspace_members_workspace_id")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_workspace_members_user_id")
        ),
        sa.PrimaryKeyConstraint("workspace_id", "user_id", name=op.f("pk_workspace_members")),
    )
    op.create_index(op.f("ix_workspace_members_user_id"), "workspace_members", ["user_id"])
    op.create_table(
        "workspace_budgets",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("span", sa.Text(), nullable=False),
        sa.Column("limit_nano", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "span IN ('daily', 'weekly', 'monthly', 'lifetime')",
            name=op.f("ck_workspace_budgets_span"),
        ),
        sa.CheckConstraint("limit_nano > 0", name=op.f("ck_workspace_budgets_limit_nano")),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("fk_workspace_budgets_workspace_id")
        ),
        sa.PrimaryKeyConstraint("workspace_id", "span", name=op.f("pk_workspace_budgets")),
    )


def create_sign_in() -> None:
    op.create_table(
        "sessions",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_sessions_account_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_sessions")),
        sa.UniqueConstraint("id", name=op.f("uq_sessions_id")),
    )
    op.create_index(op.f("ix_sessions_user_id"), "sessions", ["user_id"])
    op.create_index(op.f("ix_sessions_expires_ms"), "sessions", ["expires_ms"])
    op.create_table(
        "one_time_tokens",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_one_time_tokens")),
    )
    op.create_index(op.f("ix_one_time_tokens_subject_id"), "one_time_tokens", ["subject_id"])
    op.create_index(op.f("ix_one_time_tokens_expires_ms"), "one_time_tokens", ["expires_ms"])


def create_records() -> None:
    op.create_table(
        "mails",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("sent_ms", sa.BigInteger(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mails")),
    )
    op.create_index(op.f("ix_mails_due_ms"), "mails", ["due_ms"])
    op.create_index(op.f("ix_mails_created_ms"), "mails", ["created_ms"])
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
    )
    op.create_index(op.f("ix_audit_entries_account_id_id"), "audit_entries", ["account_id", "id"])


def give_everybody_a_user_and_a_workspace(connection: sa.Connection) -> None:
    user = sa.text(
        "INSERT INTO users (id, account_id, email, name, created_ms)"
        " VALUES (:user, :account, :email, :name, :created_ms)"
    )
    workspace = sa.text(
        "INSERT INTO workspaces (id, account_id, is_default, name, slug, io_logging,"
        " io_logging_sampling_rate, broadcast, data_discount_logging, include_byok_in_budgets,"
        " created_by, created_ms)"
        " VALUES (:workspace, :account, true, 'Default', 'default', false, 1, false, false, false,"
        " :user, :created_ms)"
    )
    for rows in pages(connection):
        values = [
            {
                "account": row.id,
                "user": f"user-{row.id.removeprefix('acc-')}",
                "workspace": str(uuid5(DEFAULT_WORKSPACES, row.id)),
                "email": row.email,
                "name": row.name,
                "created_ms": row.created_ms,
            }
            for row in rows
        ]
        connection.execute(user, values)
        connection.execute(workspace, values)


def pages(connection: sa.Connection) -> Iterator[list[sa.Row[tuple[str, str | None, str, int]]]]:
    """All accounts, in order of their ids, and never all of them in memory."""
    after = ""
    query = sa.text(
        "SELECT id, email, name, created_ms FROM accounts WHERE id > :after ORDER BY id LIMIT :count"
    )
    while True:
        rows = list(connection.execute(query, {"after": after, "count": ROWS_AT_ONCE}))
        if not rows:
            return
        yield rows
        after = rows[-1].id
