"""Who signs in, and what people have in common: organisations, workspaces, and a record of what they did.

Of everything that opens something (sessions, one-time links) only the SHA-256 digest is here.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from fairlead.store.tables.metadata import metadata

__all__ = [
    "audit_entries",
    "identities",
    "invitations",
    "mails",
    "memberships",
    "one_time_tokens",
    "sessions",
    "users",
    "workspace_budgets",
    "workspace_members",
    "workspaces",
]

# A person. `account_id` is the account of their own; those they share are in `memberships`.
users: Final = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account_id", sa.Text, sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("email", sa.Text),  # lower case; none: the owner, perhaps, and who was deleted
    sa.Column("email_verified_ms", sa.BigInteger),
    sa.Column("password_hash", sa.Text),  # argon2's own text, parameters included
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("disabled_ms", sa.BigInteger),
    sa.Column("deleted_ms", sa.BigInteger),
    sa.UniqueConstraint("email"),
    sa.UniqueConstraint("account_id"),
)

# Who belongs to an organisation (an account of that kind).
memberships: Final = sa.Table(
    "memberships",
    metadata,
    sa.Column("account_id", sa.Text, sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("user_id", sa.Text, sa.ForeignKey("users.id"), primary_key=True),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("limit_nano", sa.BigInteger),
    sa.Column("limit_reset", sa.Text),
    sa.Column("joined_ms", sa.BigInteger, nullable=False),
    sa.CheckConstraint("role IN ('admin', 'member')", name="role"),
    sa.CheckConstraint("limit_reset IN ('daily', 'weekly', 'monthly')", name="limit_reset"),
    sa.Index(None, "user_id"),
)

# Open until accepted, revoked, or past `expires_ms`. The links to it are in `one_time_tokens`.
invitations: Final = sa.Table(
    "invitations",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account_id", sa.Text, sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("email", sa.Text, nullable=False),  # lower case
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("inviter_user_id", sa.Text, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("expires_ms", sa.BigInteger, nullable=False),
    sa.Column("accepted_ms", sa.BigInteger),
    sa.Column("revoked_ms", sa.BigInteger),
    sa.CheckConstraint("role IN ('admin', 'member')", name="role"),
    sa.Index(None, "account_id", "id"),
    sa.Index(None, "email"),
)
# One address is invited once at a time.
sa.Index(
    "ix_invitations_one_open",
    invitations.c.account_id,
    invitations.c.email,
    unique=True,
    sqlite_where=sa.text("accepted_ms IS NULL AND revoked_ms IS NULL"),
    postgresql_where=sa.text("accepted_ms IS NULL AND revoked_ms IS NULL"),
)

workspaces: Final = sa.Table(
    "workspaces",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),  # a UUID
    sa.Column("account_id", sa.Text, sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("is_default", sa.Boolean, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("slug", sa.Text, nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("default_text_model", sa.Text),
    sa.Column("default_image_model", sa.Text),
    sa.Column("default_provider_sort", sa.Text),
    sa.Column("io_logging", sa.Boolean, nullable=False),
    sa.Column("io_logging_sampling_rate", sa.Double, nullable=False),  # 0.0001 to 1
    sa.Column("io_logging_key_ids", sa.Text),  # JSON: ids of keys; none: all keys
    sa.Column("broadcast", sa.Boolean, nullable=False),
    sa.Column("data_discount_logging", sa.Boolean, nullable=False),
    sa.Column("include_byok_in_budgets", sa.Boolean, nullable=False),
    sa.Column("created_by", sa.Text),  # a user's id
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("updated_ms", sa.BigInteger),
    sa.Column("deleted_ms", sa.BigInteger),  # usage still names it
)
# Also how an account's workspaces are found.
sa.Index(
    "ix_workspaces_one_slug",
    workspaces.c.account_id,
    workspaces.c.slug,
    unique=True,
    sqlite_where=sa.text("deleted_ms IS NULL"),
    postgresql_where=sa.text("deleted_ms IS NULL"),
)
sa.Index(
    "ix_workspaces_one_default",
    workspaces.c.account_id,
    unique=True,
    sqlite_where=sa.text("is_default"),
    postgresql_where=sa.text("is_default"),
)

# Those who were added to a workspace; to the default one everybody belongs, without a row.
workspace_members: Final = sa.Table(
    "workspace_members",
    metadata,
    sa.Column("workspace_id", sa.Text, sa.ForeignKey("workspaces.id"), primary_key=True),
    sa.Column("user_id", sa.Text, sa.ForeignKey("users.id"), primary_key=True),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Index(None, "user_id"),
)

# What a workspace may spend, as people set it; that it is kept is the matter of `budgets`.
workspace_budgets: Final = sa.Table(
    "workspace_budgets",
    metadata,
    sa.Column("workspace_id", sa.Text, sa.ForeignKey("workspaces.id"), primary_key=True),
    sa.Column("span", sa.Text, primary_key=True),
    sa.Column("limit_nano", sa.BigInteger, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("updated_ms", sa.BigInteger, nullable=False),
    sa.CheckConstraint("span IN ('daily', 'weekly', 'monthly', 'lifetime')", name="span"),
    sa.CheckConstraint("limit_nano > 0", name="limit_nano"),
)

sessions: Final = sa.Table(
    "sessions",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("id", sa.Text, nullable=False),  # by which its person sees and ends it
    sa.Column("user_id", sa.Text, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("account_id", sa.Text, sa.ForeignKey("accounts.id"), nullable=False),  # active now
    sa.Column("method", sa.Text, nullable=False),  # how they signed in
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("user_agent", sa.Text, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("used_ms", sa.BigInteger, nullable=False),  # to about a minute
    sa.Column("expires_ms", sa.BigInteger, nullable=False),  # however much it is used
    sa.UniqueConstraint("id"),
    sa.Index(None, "user_id"),
    sa.Index(None, "expires_ms"),
)

# Links that work once. subject_id: of a user, or of an invitation, as the purpose has it.
one_time_tokens: Final = sa.Table(
    "one_time_tokens",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("subject_id", sa.Text, nullable=False),
    sa.Column("email", sa.Text),  # where it was sent: who has it, has that mailbox
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("expires_ms", sa.BigInteger, nullable=False),
    sa.Index(None, "subject_id"),
    sa.Index(None, "expires_ms"),
)

# Who a person is elsewhere (OpenID Connect).
identities: Final = sa.Table(
    "identities",
    metadata,
    sa.Column("issuer", sa.Text, primary_key=True),
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Index(None, "user_id"),
)

# What is to be sent, and what was. A link is made when its mail is sent, so none is kept here.
mails: Final = sa.Table(
    "mails",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("recipient", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("content", sa.Text, nullable=False),  # JSON: control.mail.types.Letter
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("due_ms", sa.BigInteger),  # none: it was sent, or given up
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("sent_ms", sa.BigInteger),
    sa.Column("problem", sa.Text),  # why the last attempt failed
    sa.Index(None, "due_ms"),
    sa.Index(None, "created_ms"),
)

# Who did what, for people to read; nothing refers to it and it refers to nothing.
audit_entries: Final = sa.Table(
    "audit_entries",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),  # sorts by time
    sa.Column("account_id", sa.Text, nullable=False),  # to whom it happened
    sa.Column("actor", sa.Text, nullable=False),  # of a user, a key, or "operator"
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("details", sa.Text, nullable=False),  # JSON
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Index(None, "account_id", "id"),
)
