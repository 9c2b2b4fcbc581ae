"""SQL about price sheets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
import sqlalchemy as sa

from fairlead.core.pricing import PriceSheet
from fairlead.store.database import Database
from fairlead.store.tables.catalogue import price_sheets

__all__ = ["find", "insert_new"]

_SHEET: Final = msgspec.json.Decoder(PriceSheet)


def insert_new(
    database: Database,
    connection: sa.Connection,
    sheets: Mapping[str, PriceSheet],
    *,
    now_ms: int,
) -> None:
    rows = [
        {"version": version, "sheet": msgspec.json.encode(sheet).decode(), "first_seen_ms": now_ms}
        for version, sheet in sheets.items()
    ]
    if rows:
        connection.execute(database.insert(price_sheets).on_conflict_do_nothing(), rows)


def find(connection: sa.Connection, version: str) -> PriceSheet | None:
    text = connection.execute(
        sa.select(price_sheets.c.sheet).where(price_sheets.c.version == version)
    ).scalar_one_or_none()
    return None if text is None else _SHEET.decode(text)
