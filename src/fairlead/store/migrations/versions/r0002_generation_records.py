"""Generations keep their record as the journal wrote it, and a column only for what is queried."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ROWS_AT_ONCE = 1000

# What is copied, and what is added up, by their old names.
KEPT = (
    "id",
    "account_id",
    "key_id",
    "created_ms",
    "model",
    "endpoint",
    "provider",
    "outcome",
    "cost_nano",
)
COUNTS = (
    "prompt",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "prompt_audio",
    "prompt_image",
    "prompt_video",
    "completion",
    "reasoning",
    "completion_audio",
    "completion_image",
    "requests",
    "web_searches",
    "accepted_prediction",
    "rejected_prediction",
)
PROMPT_SIDE = COUNTS[:7]
COMPLETION_SIDE = COUNTS[7:11]
TOKENS_MAX = 2**63 - 1


def upgrade() -> None:
    for columns in ("account_id_created_ms", "key_id_created_ms"):
        op.drop_index(f"ix_generations_{columns}", "generations")
    op.rename_table("generations", "generations_before_0002")
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":  # where the key's index keeps its old name
        op.execute("ALTER INDEX pk_generations RENAME TO pk_generations_before_0002")
    table = op.create_table(
        "generations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cached_tokens", sa.BigInteger(), nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_nano", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_generations")),
    )
    rows = old_rows(connection)
    while batch := list(islice(rows, ROWS_AT_ONCE)):
        connection.execute(sa.insert(table), [new_row(row) for row in batch])
    op.drop_table("generations_before_0002")
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


def old_rows(connection: sa.Connection) -> Iterator[sa.RowMapping]:
    """In order of their ids, and never all of them in memory."""
    after = ""
    query = sa.text(
        "SELECT * FROM generations_before_0002 WHERE id > :after ORDER BY id LIMIT :count"
    )
    while True:
        rows = connection.execute(query, {"after": after, "count": ROWS_AT_ONCE}).mappings().all()
        if not rows:
            return
        yield from rows
        after = rows[-1]["id"]


def new_row(old: sa.RowMapping) -> dict[str, object]:
    def total(names: tuple[str, ...]) -> int:
        return min(sum(int(old[f"usage_{name}"]) for name in names), TOKENS_MAX)

    return {
        **{name: old[name] for name in KEPT},
        "prompt_tokens": total(PROMPT_SIDE),
        "cached_tokens": old["usage_cache_read"],
        "completion_tokens": total(COMPLETION_SIDE),
        "reasoning_tokens": old["usage_reasoning"],
        "record": msgspec.msgpack.encode(record(old)),
    }


def record(old: sa.RowMapping) -> list[object]:
    """The record by position, as the fields stand in this revision."""
    categories = msgspec.json.decode(old["app_categories"]) if old["app_categories"] else []
    app = [old["app_referer"], old["app_title"], categories, old["app_user_agent"]]
    return [
        old["id"],
        old["account_id"],
        old["key_id"],
        old["created_ms"] / 1000,
        old["model"],
        old["endpoint"],
        old["provider"],
        old["outcome"],
        [*(old[f"usage_{name}"] for name in COUNTS), old["usage_source"]],
        old["cost_nano"],
        old["api_type"],
        old["requested_model"],
        old["price_version"],
        old["cost_prompt_nano"],
        old["cost_completion_nano"],
        bool(old["streamed"]),
        msgspec.json.decode(old["attempts"]),
        old["latency_ms"],
        old["duration_ms"],
        old["finish_reason"],
        old["native_finish_reason"],
        old["upstream_id"],
        old["upstream_cost_nano"],
        old["service_tier"],
        old["session_id"],
        old["external_user"],
        app if any(app) else None,
        old["error_type"],
        old["catalog_version"],
    ]
