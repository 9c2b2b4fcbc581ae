"""SQL about calls, keys and endpoints, for whoever looks at them; see sum_queries for the sums."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa

from fairlead.control.usage.samples import Sample, sample
from fairlead.control.usage.types import Level, Resolution
from fairlead.core.ids import KeyId
from fairlead.store.tables.generations import generations
from fairlead.store.tables.usage import (
    ENDPOINT_COUNTS,
    LATENCY_BUCKETS,
    PACE_BUCKETS,
    endpoint_days,
    endpoint_hours,
    key_usage,
    provider_days,
    provider_hours,
    usage_series,
)

__all__ = [
    "ENDPOINT_COLUMNS",
    "endpoint_sums",
    "endpoint_wholes",
    "key_rows",
    "latest_samples",
    "provider_spans",
    "providers_of",
    "with_room",
]

ENDPOINT_ROWS_MAX: Final = 50_000  # of one answer; some 0.2 s of reading and 20 MB
KEYS_AT_ONCE: Final = 500
PAGES_KB: Final = 16_000  # that SQLite keeps in memory while it adds up
_PAGES_KB_OTHERWISE: Final = 2_000  # SQLite's own default

ENDPOINT_COLUMNS: Final = (
    *ENDPOINT_COUNTS,
    *(f"latency_{bucket}" for bucket in range(LATENCY_BUCKETS)),
    *(f"pace_{bucket}" for bucket in range(PACE_BUCKETS)),
)


@contextmanager
def with_room(connection: sa.Connection) -> Iterator[sa.Connection]:
    """Adding up goes back and forth between sums and series: with room for both it takes a third of the
    time. Only SQLite must be told, and only for as long: each connection has memory of its own."""
    if connection.dialect.name != "sqlite":
        yield connection
        return
    connection.exec_driver_sql(f"PRAGMA cache_size = -{PAGES_KB}")
    try:
        yield connection
    finally:
        connection.exec_driver_sql(f"PRAGMA cache_size = -{_PAGES_KB_OTHERWISE}")


def providers_of(connection: sa.Connection, account: str) -> dict[str, str]:
    """Of the endpoints that it has used."""
    rows = connection.execute(
        sa.select(usage_series.c.endpoint, usage_series.c.provider).where(
            usage_series.c.account_id == account, usage_series.c.level == int(Level.MODEL)
        )
    )
    return {row.endpoint: row.provider for row in rows}


def latest_samples(
    connection: sa.Connection,
    account: str,
    *,
    start_ms: int,
    end_ms: int,
    before: tuple[int, str] | None,
    limit: int,
) -> list[Sample]:
    """An account's calls, newest first, those behind `before` (when it began, and its id)."""
    columns = generations.c
    query = (
        sa.select(columns.record)
        .where(
            columns.account_id == account,
            columns.created_ms >= start_ms,
            columns.created_ms < end_ms,
        )
        .order_by(columns.created_ms.desc(), columns.id.desc())
        .limit(limit)
    )
    if before is not None:
        created_ms, generation = before
        query = query.where(
            columns.created_ms <= created_ms,
            sa.or_(columns.created_ms < created_ms, columns.id < generation),
        )
    return [sample(bytes(record)) for record in connection.execute(query).scalars()]


def key_rows(connection: sa.Connection, keys: Collection[KeyId]) -> dict[KeyId, sa.Row[Any]]:
    """What those have used that have used anything."""
    found: dict[KeyId, sa.Row[Any]] = {}
    wanted = list(keys)
    for start in range(0, len(wanted), KEYS_AT_ONCE):
        rows = connection.execute(
            sa.select(key_usage).where(key_usage.c.key_id.in_(wanted[start : start + KEYS_AT_ONCE]))
        )
        found |= {KeyId(row.key_id): row for row in rows}
    return found


def endpoint_sums(
    connection: sa.Connection,
    resolution: Resolution,
    *,
    model: str | None,
    start_ms: int,
    end_ms: int,
    counts: Sequence[str] = ENDPOINT_COLUMNS,
) -> list[sa.Row[Any]]:
    """Rows of a model's endpoints, or of all, in the order of time: model, start_ms, endpoint, provider and
    `counts`."""
    columns = _of_endpoints(resolution).c
    query = (
        sa.select(
            columns.model,
            columns.start_ms,
            columns.endpoint,
            columns.provider,
            *(columns[name] for name in counts),
        )
        .where(columns.start_ms >= start_ms, columns.start_ms < end_ms)
        # From the end: should there be more than anybody reads, the oldest are missing.
        .order_by(columns.start_ms.desc(), columns.model.desc(), columns.endpoint.desc())
        .limit(ENDPOINT_ROWS_MAX)
    )
    if model is not None:
        query = query.where(columns.model == model)
    return list(connection.execute(query))[::-1]


def provider_spans(
    connection: sa.Connection, resolution: Resolution, provider: str, *, start_ms: int, end_ms: int
) -> list[sa.Row[Any]]:
    """start_ms and ENDPOINT_COLUMNS, of all its endpoints together, in the order of time."""
    columns = _of_providers(resolution).c
    query = (
        sa.select(columns.start_ms, *(columns[name] for name in ENDPOINT_COLUMNS))
        .where(
            columns.start_ms >= start_ms,
            columns.start_ms < end_ms,
            columns.provider == provider,
        )
        .order_by(columns.start_ms)
    )
    return list(connection.execute(query))


def endpoint_wholes(
    connection: sa.Connection,
    resolution: Resolution,
    provider: str,
    models: Collection[str],
    *,
    start_ms: int,
    end_ms: int,
) -> list[sa.Row[Any]]:
    """model, endpoint and ENDPOINT_COLUMNS of a provider's endpoints, added up over the time.

    models: as many as a page shows.
    """
    columns = _of_endpoints(resolution).c
    query = (
        sa.select(
            columns.model,
            columns.endpoint,
            # Sums of BIGINT are NUMERIC in PostgreSQL.
            *(sa.cast(sa.func.sum(columns[name]), sa.BigInteger) for name in ENDPOINT_COLUMNS),
        )
        .where(
            columns.model.in_(models),
            columns.start_ms >= start_ms,
            columns.start_ms < end_ms,
            columns.provider == provider,
        )
        .group_by(columns.model, columns.endpoint)
    )
    return list(connection.execute(query))


def model_speeds(
    connection: sa.Connection, resolution: Resolution, *, start_ms: int, end_ms: int
) -> list[sa.Row[Any]]:
    """model, successes, latency_ms, paced_ms and paced_tokens, of all its endpoints together."""
    columns = _of_endpoints(resolution).c
    query = (
        sa.select(
            columns.model,
            *(
                sa.cast(sa.func.sum(columns[name]), sa.BigInteger).label(name)
                for name in ("successes", "latency_ms", "paced_ms", "paced_tokens")
            ),
        )
        .where(columns.start_ms >= start_ms, columns.start_ms < end_ms)
        .group_by(columns.model)
    )
    return list(connection.execute(query))


def _of_endpoints(resolution: Resolution) -> sa.Table:
    return endpoint_hours if resolution is Resolution.HOUR else endpoint_days


def _of_providers(resolution: Resolution) -> sa.Table:
    return provider_hours if resolution is Resolution.HOUR else provider_days
