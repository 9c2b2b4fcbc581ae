"""SQL about feedback."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from fairlead.control.feedback.types import Category, Remark
from fairlead.core.ids import AccountId, GenerationId
from fairlead.store.tables.feedback import generation_feedback as feedback

__all__ = ["count_of", "insert", "page"]


def insert(connection: sa.Connection, remark: Remark) -> None:
    connection.execute(
        sa.insert(feedback).values(
            id=remark.id,
            account_id=remark.account,
            generation_id=remark.generation,
            author=remark.author,
            category=remark.category.value,
            comment=remark.comment,
            created_ms=remark.created_ms,
        )
    )


def count_of(connection: sa.Connection, generation: GenerationId) -> int:
    query = sa.select(sa.func.count()).where(feedback.c.generation_id == generation)
    return connection.scalar(query) or 0


def page(
    connection: sa.Connection, account: AccountId | None, *, before: str | None, limit: int
) -> list[Remark]:
    """The newest first. account: None: of all."""
    query = sa.select(feedback)
    if account is not None:
        query = query.where(feedback.c.account_id == account)
    if before is not None:
        query = query.where(feedback.c.id < before)
    return [
        _remark(row)
        for row in connection.execute(query.order_by(feedback.c.id.desc()).limit(limit))
    ]


def _remark(row: sa.Row[Any]) -> Remark:
    return Remark(
        id=row.id,
        account=row.account_id,
        generation=GenerationId(row.generation_id),
        author=row.author,
        category=Category(row.category),
        comment=row.comment,
        created_ms=row.created_ms,
    )
