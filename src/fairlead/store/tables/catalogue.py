"""Prices and catalogues that were in force, and what the operator changes of the catalogue."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from fairlead.store.tables.metadata import metadata

__all__ = ["catalog_versions", "endpoint_amendments", "hidden_models", "price_sheets"]

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

# What the operator changed of endpoints while servers ran; see core.catalog_amendments.
endpoint_amendments: Final = sa.Table(
    "endpoint_amendments",
    metadata,
    sa.Column("endpoint", sa.Text, primary_key=True),
    sa.Column("is_off", sa.Boolean, nullable=False),
    sa.Column("prices", sa.Text, nullable=False),  # JSON: picodollars by the sheet's names
    sa.Column("changed_ms", sa.BigInteger, nullable=False),
    sa.Column("changed_by", sa.Text, nullable=False),  # as in the audit log
)

hidden_models: Final = sa.Table(
    "hidden_models",
    metadata,
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("changed_ms", sa.BigInteger, nullable=False),
    sa.Column("changed_by", sa.Text, nullable=False),
)
