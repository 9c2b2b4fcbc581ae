"""SQL about generations and journal positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from fairlead.control.generations.types import KeyTotals
from fairlead.core.generation import Attempt, Attribution, Generation, Outcome
from fairlead.core.ids import AccountId, GenerationId, KeyId
from fairlead.core.money import NanoUSD
from fairlead.core.usage import Usage, UsageSource
from fairlead.store.database import Database
from fairlead.store.journal_format import Position
from fairlead.store.tables import generations, journal_positions

__all__ = [
    "find",
    "forget_position",
    "insert_new",
    "position",
    "row",
    "save_position",
    "totals_of_key",
]

_MS_PER_S: Final = 1000
_ATTEMPTS: Final = msgspec.json.Decoder(tuple[Attempt, ...])
_CATEGORIES: Final = msgspec.json.Decoder(tuple[str, ...])
_ENCODE: Final = msgspec.json.Encoder().encode
_COUNTS: Final = Usage.__struct_fields__[:-1]  # all but `source`
_COUNT_COLUMNS: Final = tuple(f"usage_{name}" for name in _COUNTS)
_PROMPT_SIDE: Final = (
    "usage_prompt",
    "usage_cache_read",
    "usage_cache_write",
    "usage_cache_write_1h",
    "usage_prompt_audio",
    "usage_prompt_image",
    "usage_prompt_video",
)
_COMPLETION_SIDE: Final = (
    "usage_completion",
    "usage_reasoning",
    "usage_completion_audio",
    "usage_completion_image",
)


def insert_new(
    database: Database, connection: sa.Connection, rows: Sequence[dict[str, Any]]
) -> None:
    """Insert those that are not there yet. rows: as `row` makes them."""
    database.insert_many_new(connection, generations, rows)


def find(
    connection: sa.Connection, generation: GenerationId, account: AccountId
) -> Generation | None:
    found = connection.execute(
        sa.select(generations).where(
            generations.c.id == generation, generations.c.account_id == account
        )
    ).one_or_none()
    return None if found is None else _generation(found)


def totals_of_key(connection: sa.Connection, key: KeyId, *, since_ms: int) -> KeyTotals:
    columns = generations.c
    count, cost, prompt, completion = connection.execute(
        sa.select(
            sa.func.count(),
            sa.func.coalesce(sa.func.sum(columns.cost_nano), 0),
            *(
                sa.func.coalesce(
                    sa.func.sum(sum((columns[name] for name in side), sa.literal(0))), 0
                )
                for side in (_PROMPT_SIDE, _COMPLETION_SIDE)
            ),
        ).where(columns.key_id == key, columns.created_ms >= since_ms)
    ).one()
    return KeyTotals(
        generations=int(count),
        cost=NanoUSD(int(cost)),
        prompt_tokens=int(prompt),
        completion_tokens=int(completion),
    )


def position(connection: sa.Connection, journal: str) -> Position | None:
    """How far the journal has been moved into the database; None: nothing yet."""
    found = connection.execute(
        sa.select(journal_positions.c.segment, journal_positions.c.offset_bytes).where(
            journal_positions.c.journal == journal
        )
    ).one_or_none()
    return None if found is None else Position(found.segment, found.offset_bytes)


def save_position(
    database: Database, connection: sa.Connection, journal: str, reached: Position
) -> None:
    values = {"segment": reached.segment, "offset_bytes": reached.offset}
    connection.execute(
        database.insert(journal_positions)
        .values(journal=journal, **values)
        .on_conflict_do_update(index_elements=["journal"], set_=values)
    )


def forget_position(connection: sa.Connection, journal: str) -> None:
    connection.execute(sa.delete(journal_positions).where(journal_positions.c.journal == journal))


def row(generation: Generation) -> dict[str, Any]:
    """One row. Times are rounded to milliseconds; an attribution that says nothing becomes none."""
    usage = generation.usage
    attribution = generation.attribution or Attribution()
    values: dict[str, Any] = {
        "id": generation.id,
        "account_id": generation.account,
        "key_id": generation.key,
        "created_ms": round(generation.created_s * _MS_PER_S),
        "api_type": generation.api_type,
        "requested_model": generation.requested_model,
        "model": generation.model,
        "endpoint": generation.endpoint,
        "provider": generation.provider,
        "price_version": generation.price_version,
        "catalog_version": generation.catalog_version,
        "outcome": generation.outcome.value,
        "streamed": generation.streamed,
        "latency_ms": generation.latency_ms,
        "duration_ms": generation.duration_ms,
        "finish_reason": generation.finish_reason,
        "native_finish_reason": generation.native_finish_reason,
        "upstream_id": generation.upstream_id,
        "service_tier": generation.service_tier,
        "session_id": generation.session_id,
        "external_user": generation.external_user,
        "error_type": generation.error_type,
        "cost_nano": generation.cost,
        "cost_prompt_nano": generation.cost_prompt,
        "cost_completion_nano": generation.cost_completion,
        "upstream_cost_nano": generation.upstream_cost,
        "usage_source": usage.source.value,
        "app_referer": attribution.referer,
        "app_title": attribution.title,
        "app_categories": _text(attribution.categories) if attribution.categories else None,
        "app_user_agent": attribution.user_agent,
        "attempts": _text(generation.attempts),
    }
    # Without `source`, the last of them, which has a column of another name above.
    values.update(zip(_COUNT_COLUMNS, msgspec.structs.astuple(usage), strict=False))
    return values


def _generation(found: sa.Row[Any]) -> Generation:
    counts = {name: getattr(found, f"usage_{name}") for name in _COUNTS}
    attribution = Attribution(
        referer=found.app_referer,
        title=found.app_title,
        categories=_CATEGORIES.decode(found.app_categories) if found.app_categories else (),
        user_agent=found.app_user_agent,
    )
    return Generation(
        id=found.id,
        account=found.account_id,
        key=found.key_id,
        created_s=found.created_ms / _MS_PER_S,
        api_type=found.api_type,
        requested_model=found.requested_model,
        model=found.model,
        endpoint=found.endpoint,
        provider=found.provider,
        price_version=found.price_version,
        outcome=Outcome(found.outcome),
        usage=Usage(**counts, source=UsageSource(found.usage_source)),
        cost=found.cost_nano,
        cost_prompt=found.cost_prompt_nano,
        cost_completion=found.cost_completion_nano,
        streamed=found.streamed,
        attempts=_ATTEMPTS.decode(found.attempts),
        latency_ms=found.latency_ms,
        duration_ms=found.duration_ms,
        finish_reason=found.finish_reason,
        native_finish_reason=found.native_finish_reason,
        upstream_id=found.upstream_id,
        upstream_cost=found.upstream_cost_nano,
        service_tier=found.service_tier,
        session_id=found.session_id,
        external_user=found.external_user,
        attribution=None if attribution == Attribution() else attribution,
        error_type=found.error_type,
        catalog_version=found.catalog_version,
    )


def _text(value: object) -> str:
    return _ENCODE(value).decode()
