"""Usage is added up as it arrives."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

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
ENDPOINT_COUNTS = (
    "successes",
    "outages",
    "limited",
    "caller_faults",
    "latency_ms",
    "paced_ms",
    "paced_tokens",
    "tool_calls",
    "prompt_tokens",
    "completion_tokens",
)
LATENCY_BUCKETS = 20
PACE_BUCKETS = 16

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TOGETHER: dict[str, Any] = {"sqlite_with_rowid": False}
CHANGING: dict[str, Any] = {**TOGETHER, "postgresql_with": {"fillfactor": 80}}


def upgrade() -> None:
    for span in ("minutes", "hours", "days", "weeks", "months"):
        create_sums(f"usage_{span}")
    op.create_table(
        "usage_series",
        sa.Column("id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("api_type", sa.Text(), nullable=False),
        sa.Column("is_byok", sa.Boolean(), nullable=False),
        sa.Column("app_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage_series")),
    )
    op.create_index(
        op.f("ix_usage_series_account_id_level_model"),
        "usage_series",
        ["account_id", "level", "model"],
    )
    op.create_table(
        "key_usage",
        sa.Column("key_id", sa.Text(), nullable=False),
        *(count(name) for name in ("requests", "last_used_ms", "cost_nano", "byok_nano")),
        *(
            count(f"{span}_{name}")
            for span in ("day", "week", "month")
            for name in ("ms", "cost_nano", "byok_nano")
        ),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_key_usage")),
        **CHANGING,
    )
    for span in ("hours", "days"):
        create_endpoint_sums(f"endpoint_{span}")
    op.create_table(
        "apps",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("categories", sa.Text(), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("first_seen_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_apps")),
        sa.UniqueConstraint("identity", name=op.f("uq_apps_identity")),
    )
    op.create_index(op.f("ix_apps_account_id"), "apps", ["account_id"])
    op.create_table(
        "usage_backlog",
        sa.Column("generation_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("generation_id", name=op.f("pk_usage_backlog")),
        **TOGETHER,
    )
    # A job adds them up afterwards, a batch at a time: nobody waits for it.
    op.execute("INSERT INTO usage_backlog (generation_id) SELECT id FROM generations")


def create_sums(name: str) -> None:
    op.create_table(
        name,
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("series_id", sa.BigInteger(), nullable=False),
        *map(count, MEASURES),
        sa.PrimaryKeyConstraint(
            "account_id", "level", "start_ms", "series_id", name=op.f(f"pk_{name}")
        ),
        **CHANGING,
    )


def create_endpoint_sums(name: str) -> None:
    op.create_table(
        name,
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        *map(count, ENDPOINT_COUNTS),
        *(count(f"latency_{bucket}") for bucket in range(LATENCY_BUCKETS)),
        *(count(f"pace_{bucket}") for bucket in range(PACE_BUCKETS)),
        sa.PrimaryKeyConstraint("model", "start_ms", "endpoint", name=op.f(f"pk_{name}")),
        **CHANGING,
    )
    op.create_index(op.f(f"ix_{name}_start_ms"), name, ["start_ms"])


def count(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=False)
