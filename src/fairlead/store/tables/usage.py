"""Usage added up by minute, hour, day, week and month: what people look at. See control.usage.

A *series* is one combination of what usage is told apart by. Where a level does not tell something apart it
is empty. Sums are kept in rows of (account, level, start of the span, series), so that whatever is asked
about an account and a time is one range of the primary key. The account "" is the installation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import sqlalchemy as sa

from fairlead.store.tables.metadata import metadata

__all__ = [
    "ENDPOINT_COUNTS",
    "LATENCY_BUCKETS",
    "MEASURES",
    "PACE_BUCKETS",
    "apps",
    "endpoint_days",
    "endpoint_hours",
    "key_usage",
    "provider_days",
    "provider_hours",
    "usage_backlog",
    "usage_days",
    "usage_hours",
    "usage_minutes",
    "usage_months",
    "usage_series",
    "usage_weeks",
]

# What is added up, in this order everywhere. All are integers >= 0, but for cache_saved_nano.
MEASURES: Final = (
    "requests",
    "cancelled",  # ... of those, the caller left
    "failed",  # ... of those, the answer was an error
    "tool_calls",  # ... of those, the answer called tools
    "prompt_tokens",  # all of the prompt's
    "cached_tokens",  # ... of those, read from a cache
    "cache_write_tokens",  # ... of those, written to one
    "completion_tokens",  # all that were produced
    "reasoning_tokens",  # ... of those
    "web_searches",
    "cost_nano",  # what the caller was charged
    "byok_nano",  # list price of calls with a credential of the caller's own
    "upstream_nano",  # what providers say they charged, where they do
    "cache_saved_nano",  # what caching took off; negative where writing cost more
    "web_nano",  # ... of the cost, for web searches
    "discount_nano",
    "waived_nano",
    "latency_ms",  # to the first token, of `latencies` calls that had one
    "latencies",
    "paced_ms",  # between the first token and the end, in which `paced_tokens` came
    "paced_tokens",
    "duration_ms",  # of all calls, from beginning to end
)

# Of one endpoint. A call is one attempt there; see core.health.outcome for what it may say.
ENDPOINT_COUNTS: Final = (
    "successes",
    "outages",
    "limited",
    "caller_faults",
    "latency_ms",  # to the first token, of all successes
    "paced_ms",
    "paced_tokens",
    "tool_calls",
    "prompt_tokens",
    "completion_tokens",
)
LATENCY_BUCKETS: Final = 20  # how many successes began within control.usage.histograms' bounds
PACE_BUCKETS: Final = 16  # and how many came how fast


def _sums(name: str) -> sa.Table:
    return sa.Table(
        name,
        metadata,
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("level", sa.SmallInteger, primary_key=True),
        sa.Column("start_ms", sa.BigInteger, primary_key=True),
        sa.Column("series_id", sa.BigInteger, primary_key=True),
        *(sa.Column(measure, sa.BigInteger, nullable=False) for measure in MEASURES),
        # What belongs together lies together.
        sqlite_with_rowid=False,
        # Rows of the present are changed again and again: room for that on their own page.
        postgresql_with={"fillfactor": 80},
    )


usage_minutes: Final = _sums("usage_minutes")
usage_hours: Final = _sums("usage_hours")
usage_days: Final = _sums("usage_days")
usage_weeks: Final = _sums("usage_weeks")
usage_months: Final = _sums("usage_months")

usage_series: Final = sa.Table(
    "usage_series",
    metadata,
    # From the rest, by control.usage.rules.series_id: whoever needs it knows it.
    sa.Column(
        "id",
        sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("level", sa.SmallInteger, nullable=False),
    sa.Column("workspace_id", sa.Text, nullable=False),
    sa.Column("key_id", sa.Text, nullable=False),
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("endpoint", sa.Text, nullable=False),
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("api_type", sa.Text, nullable=False),
    sa.Column("is_byok", sa.Boolean, nullable=False),
    sa.Column("app_id", sa.BigInteger, nullable=False),  # 0: none
    sa.Index(None, "account_id", "level", "model"),
)

# One row for each key, so that asking what it has used costs the same for ever. A span's sum counts from the
# start beside it: it is nought once another span has begun.
key_usage: Final = sa.Table(
    "key_usage",
    metadata,
    sa.Column("key_id", sa.Text, primary_key=True),
    sa.Column("requests", sa.BigInteger, nullable=False),
    sa.Column("last_used_ms", sa.BigInteger, nullable=False),
    sa.Column("cost_nano", sa.BigInteger, nullable=False),
    sa.Column("byok_nano", sa.BigInteger, nullable=False),
    sa.Column("day_ms", sa.BigInteger, nullable=False),
    sa.Column("day_cost_nano", sa.BigInteger, nullable=False),
    sa.Column("day_byok_nano", sa.BigInteger, nullable=False),
    sa.Column("week_ms", sa.BigInteger, nullable=False),
    sa.Column("week_cost_nano", sa.BigInteger, nullable=False),
    sa.Column("week_byok_nano", sa.BigInteger, nullable=False),
    sa.Column("month_ms", sa.BigInteger, nullable=False),
    sa.Column("month_cost_nano", sa.BigInteger, nullable=False),
    sa.Column("month_byok_nano", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
    postgresql_with={"fillfactor": 80},
)


def _what_endpoints_did() -> Iterator[sa.Column[Any]]:
    names = (
        *ENDPOINT_COUNTS,
        *(f"latency_{bucket}" for bucket in range(LATENCY_BUCKETS)),
        *(f"pace_{bucket}" for bucket in range(PACE_BUCKETS)),
    )
    return (sa.Column(name, sa.BigInteger, nullable=False) for name in names)


def _endpoint_sums(name: str, *more: sa.Index) -> sa.Table:
    return sa.Table(
        name,
        metadata,
        sa.Column("model", sa.Text, primary_key=True),
        sa.Column("start_ms", sa.BigInteger, primary_key=True),
        sa.Column("endpoint", sa.Text, primary_key=True),
        sa.Column("provider", sa.Text, nullable=False),
        *_what_endpoints_did(),
        sa.Index(None, "start_ms"),
        *more,
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 80},
    )


endpoint_hours: Final = _endpoint_sums(
    "endpoint_hours",
    # Incidents are made of those few hours in which something failed.
    sa.Index(
        "ix_endpoint_hours_outages",
        "start_ms",
        sqlite_where=sa.text("outages > 0"),
        postgresql_where=sa.text("outages > 0"),
    ),
)
endpoint_days: Final = _endpoint_sums("endpoint_days")


def _provider_sums(name: str) -> sa.Table:
    """The same of all endpoints of a provider together: there are hundreds of them, each hour."""
    return sa.Table(
        name,
        metadata,
        sa.Column("start_ms", sa.BigInteger, primary_key=True),
        sa.Column("provider", sa.Text, primary_key=True),
        *_what_endpoints_did(),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 80},
    )


provider_hours: Final = _provider_sums("provider_hours")
provider_days: Final = _provider_sums("provider_days")

# Programs that say who they are when they call; see control.usage.apps.
apps: Final = sa.Table(
    "apps",
    metadata,
    sa.Column(
        "id",
        sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    sa.Column("identity", sa.Text, nullable=False),
    sa.Column("account_id", sa.Text, nullable=False),  # the first that called with it
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("categories", sa.Text, nullable=False),  # with commas between them
    sa.Column("is_public", sa.Boolean, nullable=False),
    sa.Column("first_seen_ms", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("identity"),
    sa.Index(None, "account_id"),
)

# Generations that were settled before there were sums, and are not in them yet.
usage_backlog: Final = sa.Table(
    "usage_backlog",
    metadata,
    sa.Column("generation_id", sa.Text, primary_key=True),
    sqlite_with_rowid=False,
)
