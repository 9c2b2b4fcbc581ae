"""What a batch of calls adds to the sessions that they say they belong to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa

from fairlead.control.usage.rules import MEASURE_MAX, MS_PER_S
from fairlead.control.usage.samples import Sample
from fairlead.core.generation import Outcome
from fairlead.store.sums import SumTable
from fairlead.store.tables.call_sessions import SESSION_SUMS, session_calls, session_sums

__all__ = ["SESSION_CHARACTERS_MAX", "add", "session_name"]

SESSION_CHARACTERS_MAX: Final = 256  # as callers may say; records of older versions may have more

_SUMS: Final = SumTable(
    session_sums,
    summed=SESSION_SUMS,
    otherwise={
        "first_ms": "CASE WHEN excluded.first_ms < {table}.first_ms THEN excluded.first_ms"
        " ELSE {table}.first_ms END",
        "last_ms": "CASE WHEN excluded.last_ms > {table}.last_ms THEN excluded.last_ms"
        " ELSE {table}.last_ms END",
    },
)
_CALLS: Final = SumTable(session_calls, summed=(), otherwise={"user_id": "excluded.user_id"})


def session_name(said: str | None) -> str:
    """As tables know it; "": none. Databases take no zero in a text."""
    return (said or "")[:SESSION_CHARACTERS_MAX].replace("\0", "\N{REPLACEMENT CHARACTER}")


def add(connection: sa.Connection, samples: Iterable[Sample]) -> None:
    """samples: of calls that are new to the database, each once."""
    calls: list[tuple[object, ...]] = []
    sums: dict[tuple[str, ...], list[int]] = {}
    for one in samples:
        if not one.session_id:
            continue
        session, user = session_name(one.session_id), one.user or ""
        began_ms = round(one.created_s * MS_PER_S)
        calls.append((one.account, session, began_ms, one.id, user))
        key = (one.account, session, user, one.model)
        counted = _counted(one)
        before = sums.get(key)
        if before is None:
            sums[key] = [began_ms, began_ms, *counted]
            continue
        before[0] = min(before[0], began_ms)
        before[1] = max(before[1], began_ms)
        for place, number in enumerate(counted, 2):
            before[place] += number
    if calls:
        _CALLS.add(connection, calls)
        _SUMS.add(connection, ((*key, *counted) for key, counted in sums.items()))


def _counted(one: Sample) -> tuple[int, ...]:
    """In the order of SESSION_SUMS."""
    usage = one.usage
    counted = (
        1,
        int(one.outcome == Outcome.FAILED),
        usage.prompt_tokens,
        usage.cache_read,
        usage.completion_tokens,
        one.cost,
        one.list_cost if one.is_byok else 0,
    )
    return tuple(min(number, MEASURE_MAX) for number in counted)
