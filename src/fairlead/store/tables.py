"""Every table. Money is nanodollars in 64 bits; times are integer milliseconds since 1970, UTC (`_ms`).

A change here needs a revision in `migrations/versions`; a test compares the two.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

__all__ = [
    "accounts",
    "api_keys",
    "catalog_versions",
    "generations",
    "journal_positions",
    "meta",
    "metadata",
    "price_sheets",
]

metadata: Final = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

meta: Final = sa.Table(
    "meta",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

accounts: Final = sa.Table(
    "accounts",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("email", sa.Text),  # lower case; the owner may have none
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("billing", sa.Text, nullable=False),
    sa.Column("is_owner", sa.Boolean, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("preferences", sa.Text),  # JSON: those of core.routing.preferences that it has set
    sa.UniqueConstraint("email"),
    sa.CheckConstraint("billing IN ('prepaid', 'postpaid')", name="billing"),
)
# Two processes that start at once agree on one owner.
sa.Index(
    "ix_accounts_one_owner",
    accounts.c.is_owner,
    unique=True,
    sqlite_where=sa.text("is_owner"),
    postgresql_where=sa.text("is_owner"),
)

api_keys: Final = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account_id", sa.Text, sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column(
        "digest", sa.LargeBinary, nullable=False
    ),  # SHA-256 of the key; the key itself is nowhere
    sa.Column("label", sa.Text, nullable=False),  # "sk-fl-v1-abc...123"
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("is_management", sa.Boolean, nullable=False),
    sa.Column("is_disabled", sa.Boolean, nullable=False),
    sa.Column("limit_nano", sa.BigInteger),
    sa.Column("limit_reset", sa.Text),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("expires_ms", sa.BigInteger),
    sa.Column("revoked_ms", sa.BigInteger),
    sa.Column("requests_per_minute", sa.Integer),
    sa.Column("requests_per_day", sa.Integer),
    sa.UniqueConstraint("digest"),
    sa.CheckConstraint("limit_reset IN ('daily', 'weekly', 'monthly')", name="limit_reset"),
    sa.Index(None, "account_id", "created_ms"),
)

# One row for each core.generation.Generation. `record` is all of it, as the journal had it; the columns
# beside it are what queries choose by and add up, and can be had from it again when they want another.
# No foreign keys: what was used is recorded whatever has become of its account, key or price.
generations: Final = sa.Table(
    "generations",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("key_id", sa.Text, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("endpoint", sa.Text, nullable=False),
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("prompt_tokens", sa.BigInteger, nullable=False),  # all of them
    sa.Column("cached_tokens", sa.BigInteger, nullable=False),  # ... of those, read from a cache
    sa.Column("completion_tokens", sa.BigInteger, nullable=False),  # all of them
    sa.Column("reasoning_tokens", sa.BigInteger, nullable=False),  # ... of those
    sa.Column("cost_nano", sa.BigInteger, nullable=False),
    sa.Column("record", sa.LargeBinary, nullable=False),  # see store.records
    sa.Index(None, "account_id", "created_ms"),
    sa.Index(None, "key_id", "created_ms"),
)

# How far each usage journal has been moved into `generations`.
journal_positions: Final = sa.Table(
    "journal_positions",
    metadata,
    sa.Column("journal", sa.Text, primary_key=True),
    sa.Column("segment", sa.BigInteger, nullable=False),
    sa.Column("offset_bytes", sa.BigInteger, nullable=False),
)

# Every price that was ever in force, so that each charge can be explained and computed again.
price_sheets: Final = sa.Table(
    "price_sheets",
    metadata,
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("sheet", sa.Text, nullable=False),  # JSON: core.pricing.PriceSheet
    sa.Column("first_seen_ms", sa.BigInteger, nullable=False),
)

# The catalogues that were in force, for decisions that name them; see control.catalog.versions.
catalog_versions: Final = sa.Table(
    "catalog_versions",
    metadata,
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, primary_key=True),  # of the content before it was compressed
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Column("first_seen_ms", sa.BigInteger, nullable=False),
    sa.Column("in_force_ms", sa.BigInteger, nullable=False),  # when it last came into force
)
