"""What all endpoints of a provider did together, and where something failed.

A server of the version before, should one still run, adds to endpoints' sums alone: what it settles is missing
in those of providers.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

COUNTS = (
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
    *(f"latency_{bucket}" for bucket in range(20)),
    *(f"pace_{bucket}" for bucket in range(16)),
)
CHANGING: dict[str, Any] = {"sqlite_with_rowid": False, "postgresql_with": {"fillfactor": 80}}


def upgrade() -> None:
    sums = ", ".join(f"SUM({name})" for name in COUNTS)
    for span in ("hours", "days"):
        name = f"provider_{span}"
        op.create_table(
            name,
            sa.Column("start_ms", sa.BigInteger(), nullable=False),
            sa.Column("provider", sa.Text(), nullable=False),
            *(sa.Column(count, sa.BigInteger(), nullable=False) for count in COUNTS),
            sa.PrimaryKeyConstraint("start_ms", "provider", name=op.f(f"pk_{name}")),
            **CHANGING,
        )
        op.execute(
            f"INSERT INTO {name} (start_ms, provider, {', '.join(COUNTS)})"  # noqa: S608 - our names
            f" SELECT start_ms, provider, {sums} FROM endpoint_{span} GROUP BY start_ms, provider"
        )
    op.create_index(
        "ix_endpoint_hours_outages",
        "endpoint_hours",
        ["start_ms"],
        sqlite_where=sa.text("outages > 0"),
        postgresql_where=sa.text("outages > 0"),
    )
