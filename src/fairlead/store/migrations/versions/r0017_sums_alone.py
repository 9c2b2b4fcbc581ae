"""What accounts used by provider, by app and by model alone, and by key in each hour: few sums, for charts.

A server of the version before, should one still run, adds to the other sums alone: what it settles is missing
in these.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, NamedTuple

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

SERIES_AT_ONCE = 1000
FULL, MODEL, KEY, MODEL_ALONE, APP_ALONE, PROVIDER_ALONE = 0, 1, 2, 5, 6, 7

# Sums of which level become whose, in hours, days and months; those by key are there, but for hours.
FROM = {APP_ALONE: FULL, MODEL_ALONE: MODEL, PROVIDER_ALONE: MODEL, KEY: FULL}
KEPT = {
    "usage_hours": (APP_ALONE, MODEL_ALONE, PROVIDER_ALONE, KEY),
    "usage_days": (APP_ALONE, MODEL_ALONE, PROVIDER_ALONE),
    "usage_months": (APP_ALONE, MODEL_ALONE, PROVIDER_ALONE),
}
MEASURES = (
    "requests",
    "cancelled",
    "failed",
    "tool_calls",
    "prompt_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "web_searches",
    "cost_nano",
    "byok_nano",
    "upstream_nano",
    "cache_saved_nano",
    "web_nano",
    "discount_nano",
    "waived_nano",
    "latency_ms",
    "latencies",
    "paced_ms",
    "paced_tokens",
    "duration_ms",
)
NEW_SERIES = sa.text(
    "INSERT INTO usage_series (id, account_id, level, workspace_id, key_id, user_id, model, endpoint, provider,"
    " api_type, is_byok, app_id) VALUES (:id, :account_id, :level, :workspace_id, :key_id, :user_id, :model,"
    " '', :provider, '', :is_byok, :app_id) ON CONFLICT (id) DO NOTHING"
)
NEW_COUNTED = sa.text(
    "INSERT INTO usage_counted_in (level, series_id, other_id) VALUES (:level, :series_id, :other_id)"
)


class Series(NamedTuple):
    account_id: str
    level: int
    workspace_id: str = ""
    key_id: str = ""
    user_id: str = ""
    model: str = ""
    endpoint: str = ""
    provider: str = ""
    api_type: str = ""
    is_byok: bool = False
    app_id: int = 0

    @property
    def id(self) -> int:
        text = "\x1f".join(map(str, self))
        digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return int.from_bytes(digest, "big") >> 1


def upgrade() -> None:
    # Of this step alone.
    op.create_table(
        "usage_counted_in",
        sa.Column("level", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("series_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("other_id", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    connection = op.get_bind()
    for rows in series(connection):
        add(connection, rows)
    for table, levels in KEPT.items():
        for level in levels:
            add_up(connection, table, level)
    op.drop_table("usage_counted_in")


def series(connection: sa.Connection) -> Iterator[list[sa.RowMapping]]:
    """Those of accounts that other sums are made of, some at a time."""
    query = sa.text(
        "SELECT * FROM usage_series WHERE id > :after AND account_id != '' AND level IN (0, 1)"
        " ORDER BY id LIMIT :count"
    )
    after = -1
    while rows := list(
        connection.execute(query, {"after": after, "count": SERIES_AT_ONCE}).mappings()
    ):
        yield rows
        after = rows[-1]["id"]


def add(connection: sa.Connection, rows: list[sa.RowMapping]) -> None:
    counted: list[dict[str, Any]] = []
    new: set[Series] = set()
    for row in rows:
        for level, source in FROM.items():
            if row["level"] == source:
                other = of_level(level, row)
                new.add(other)
                counted.append({"level": level, "series_id": row["id"], "other_id": other.id})
    connection.execute(NEW_SERIES, [{"id": one.id, **one._asdict()} for one in new])
    connection.execute(NEW_COUNTED, counted)


def of_level(level: int, row: sa.RowMapping) -> Series:
    account = row["account_id"]
    if level == APP_ALONE:
        return Series(account, level, app_id=row["app_id"])
    if level == MODEL_ALONE:
        return Series(account, level, model=row["model"])
    if level == PROVIDER_ALONE:
        return Series(account, level, provider=row["provider"])
    return Series(account, level, row["workspace_id"], row["key_id"], row["user_id"])


def add_up(connection: sa.Connection, table: str, level: int) -> None:
    # CAST: PostgreSQL's sums of 64 bits are numeric.
    sums = ", ".join(f"CAST(SUM(s.{name}) AS BIGINT)" for name in MEASURES)
    statement = (
        f"INSERT INTO {table} (account_id, level, start_ms, series_id, {', '.join(MEASURES)})"  # noqa: S608 - our names
        f" SELECT s.account_id, :level, s.start_ms, c.other_id, {sums}"
        f" FROM {table} s JOIN usage_counted_in c ON c.series_id = s.series_id AND c.level = :level"
        " WHERE s.level = :source AND s.account_id != ''"
        " GROUP BY s.account_id, s.start_ms, c.other_id"
    )
    connection.execute(sa.text(statement), {"level": level, "source": FROM[level]})
