"""SQL that adds a batch to what is kept, and throws away what is old."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import add as add_numbers
from typing import Final

import msgspec
import sqlalchemy as sa

from fairlead.control.usage.rules import Rolled, Spans
from fairlead.control.usage.types import PRIVATE, Resolution, Series
from fairlead.core.pricing import PriceSheet
from fairlead.store.sums import SumTable
from fairlead.store.tables.catalogue import price_sheets
from fairlead.store.tables.usage import (
    ENDPOINT_COUNTS,
    LATENCY_BUCKETS,
    MEASURES,
    PACE_BUCKETS,
    endpoint_days,
    endpoint_hours,
    key_usage,
    provider_days,
    provider_hours,
    usage_days,
    usage_hours,
    usage_minutes,
    usage_months,
    usage_series,
    usage_weeks,
)

__all__ = ["TABLES", "add", "sheets"]

TABLES: Final[dict[Resolution, sa.Table]] = {
    Resolution.MINUTE: usage_minutes,
    Resolution.HOUR: usage_hours,
    Resolution.DAY: usage_days,
    Resolution.WEEK: usage_weeks,
    Resolution.MONTH: usage_months,
}
_ENDPOINT_SUMS: Final = (
    *ENDPOINT_COUNTS,
    *(f"latency_{bucket}" for bucket in range(LATENCY_BUCKETS)),
    *(f"pace_{bucket}" for bucket in range(PACE_BUCKETS)),
)


def _later(span: str, column: str) -> str:
    """A span's sum, of which the later span counts: as rules.key_sums_added."""
    return (
        f"CASE WHEN excluded.{span}_ms > {{table}}.{span}_ms THEN excluded.{column}"
        f" WHEN excluded.{span}_ms < {{table}}.{span}_ms THEN {{table}}.{column}"
        f" ELSE {{table}}.{column} + excluded.{column} END"
    )


def _latest(column: str) -> str:
    return (
        f"CASE WHEN excluded.{column} > {{table}}.{column} THEN excluded.{column}"
        f" ELSE {{table}}.{column} END"
    )


_SUMS: Final = {name: SumTable(table, summed=MEASURES) for name, table in TABLES.items()}
_ENDPOINT_HOURS: Final = SumTable(endpoint_hours, summed=_ENDPOINT_SUMS)
_ENDPOINT_DAYS: Final = SumTable(endpoint_days, summed=_ENDPOINT_SUMS)
_PROVIDER_HOURS: Final = SumTable(provider_hours, summed=_ENDPOINT_SUMS)
_PROVIDER_DAYS: Final = SumTable(provider_days, summed=_ENDPOINT_SUMS)
_KEYS: Final = SumTable(
    key_usage,
    summed=("requests", "cost_nano", "byok_nano"),
    otherwise={
        "last_used_ms": _latest("last_used_ms"),
        **{
            f"{span}_{amount}_nano": _later(span, f"{span}_{amount}_nano")
            for span in ("day", "week", "month")
            for amount in ("cost", "byok")
        },
        **{f"{span}_ms": _latest(f"{span}_ms") for span in ("day", "week", "month")},
    },
)
_SERIES: Final = SumTable(usage_series, summed=(), otherwise={"level": "excluded.level"})
_KNOWN_SQLITE: Final = "SELECT id FROM usage_series WHERE id IN (SELECT value FROM json_each(?))"
_KNOWN_POSTGRESQL: Final = "SELECT id FROM usage_series WHERE id = ANY(%b::bigint[])"
_SHEET: Final = msgspec.json.Decoder(PriceSheet)


def add(connection: sa.Connection, rolled: Rolled) -> None:
    """Rows that everybody adds to come last, so that others wait as short as can be."""
    every: dict[int, Series] = {}
    for family in rolled.families.values():
        every |= family.series
    _add_series(connection, every)
    _KEYS.add(connection, ((key, *sums) for key, sums in rolled.keys.items()))
    for resolution, spans in rolled.sums.items():
        _SUMS[resolution].add(connection, _rows(spans, every))
    _SUMS[Resolution.DAY].add(
        connection, ((PRIVATE, *at, *counted) for at, counted in rolled.private.items())
    )
    _ENDPOINT_HOURS.add(connection, _endpoint_rows(rolled.endpoint_hours, rolled.providers))
    _ENDPOINT_DAYS.add(connection, _endpoint_rows(rolled.endpoint_days, rolled.providers))
    _PROVIDER_HOURS.add(connection, _provider_rows(rolled.endpoint_hours, rolled.providers))
    _PROVIDER_DAYS.add(connection, _provider_rows(rolled.endpoint_days, rolled.providers))


def _rows(spans: Spans, every: Mapping[int, Series]) -> Iterable[tuple[object, ...]]:
    for start_ms, sums in spans.items():
        for number, counted in sums.items():
            series = every[number]
            yield (series.account, int(series.level), start_ms, number, *counted)


def _endpoint_rows(
    sums: Mapping[tuple[str, int, str], Sequence[int]], providers: Mapping[str, str]
) -> Iterable[tuple[object, ...]]:
    for (model, start_ms, endpoint), counted in sums.items():
        yield (model, start_ms, endpoint, providers[endpoint], *counted)


def _provider_rows(
    sums: Mapping[tuple[str, int, str], Sequence[int]], providers: Mapping[str, str]
) -> Iterable[tuple[object, ...]]:
    """All endpoints of a provider together."""
    found: dict[tuple[int, str], Sequence[int]] = {}
    for (_, start_ms, endpoint), counted in sums.items():
        at = (start_ms, providers[endpoint])
        before = found.get(at)
        found[at] = counted if before is None else list(map(add_numbers, before, counted))
    return ((*at, *counted) for at, counted in found.items())


def _add_series(connection: sa.Connection, every: Mapping[int, Series]) -> None:
    """Most are there already: asking costs a tenth of trying."""
    if connection.dialect.name == "postgresql":
        found = connection.exec_driver_sql(_KNOWN_POSTGRESQL, (list(every),))
    else:
        found = connection.exec_driver_sql(
            _KNOWN_SQLITE, (msgspec.json.encode(list(every)).decode(),)
        )
    known = set(found.scalars())
    new = (
        (number, series.account, int(series.level), *series[2:])
        for number, series in every.items()
        if number not in known
    )
    _SERIES.add(connection, new)


def sheets(connection: sa.Connection, versions: Iterable[str]) -> dict[str, PriceSheet]:
    """Those of these versions that are kept."""
    rows = connection.execute(
        sa.select(price_sheets.c.version, price_sheets.c.sheet).where(
            price_sheets.c.version.in_(list(versions))
        )
    )
    return {row.version: _SHEET.decode(row.sheet) for row in rows}
