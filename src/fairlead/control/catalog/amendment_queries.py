"""SQL about what the operator changes of the catalogue."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import sqlalchemy as sa

from fairlead.control.catalog.types import Change, Noted
from fairlead.core.catalog_amendments import AS_LISTED, Amendments, EndpointAmendment
from fairlead.core.ids import EndpointId, ModelId
from fairlead.core.money import PicoUSD
from fairlead.store.database import Database
from fairlead.store.tables.catalogue import endpoint_amendments, hidden_models
from fairlead.store.tables.installation import meta

__all__ = [
    "amendment_count",
    "endpoint_amendment",
    "hide",
    "is_hidden",
    "next_revision",
    "noted",
    "revision",
    "save",
    "show",
]

_REVISION: Final = "catalog_amendments"  # the row of `meta`
_PRICES: Final = msgspec.json.Decoder(dict[str, PicoUSD])
_ENDPOINTS: Final = endpoint_amendments.c
_HIDDEN: Final = hidden_models.c


def revision(connection: sa.Connection) -> int:
    """0: nothing was ever changed."""
    query = sa.select(meta.c.value).where(meta.c.name == _REVISION)
    return int(connection.execute(query).scalar() or 0)


def next_revision(database: Database, connection: sa.Connection) -> None:
    """For who has the lock."""
    query = database.insert(meta).values(name=_REVISION, value=str(revision(connection) + 1))
    connection.execute(
        query.on_conflict_do_update(index_elements=["name"], set_={"value": query.excluded.value})
    )


def noted(connection: sa.Connection) -> Noted:
    endpoints = connection.execute(sa.select(endpoint_amendments)).all()
    hidden = connection.execute(sa.select(hidden_models)).all()
    return Noted(
        revision=revision(connection),
        amendments=Amendments(
            endpoints={EndpointId(row.endpoint): _amendment(row) for row in endpoints},
            hidden=frozenset(ModelId(row.model) for row in hidden),
        ),
        endpoints={
            EndpointId(row.endpoint): Change(row.changed_by, row.changed_ms) for row in endpoints
        },
        hidden={ModelId(row.model): Change(row.changed_by, row.changed_ms) for row in hidden},
    )


def endpoint_amendment(connection: sa.Connection, endpoint: EndpointId) -> EndpointAmendment:
    query = sa.select(endpoint_amendments).where(_ENDPOINTS.endpoint == endpoint)
    row = connection.execute(query).first()
    return AS_LISTED if row is None else _amendment(row)


def amendment_count(connection: sa.Connection) -> int:
    count: int = connection.execute(
        sa.select(
            sa.select(sa.func.count()).select_from(endpoint_amendments).scalar_subquery()
            + sa.select(sa.func.count()).select_from(hidden_models).scalar_subquery()
        )
    ).scalar_one()
    return count


def save(
    database: Database,
    connection: sa.Connection,
    endpoint: EndpointId,
    amendment: EndpointAmendment,
    change: Change,
) -> None:
    """One that amends nothing is no row."""
    if amendment == AS_LISTED:
        connection.execute(sa.delete(endpoint_amendments).where(_ENDPOINTS.endpoint == endpoint))
        return
    values = {
        "is_off": amendment.is_off,
        "prices": msgspec.json.encode(amendment.prices, order="sorted").decode(),
        "changed_ms": change.at_ms,
        "changed_by": change.by,
    }
    query = database.insert(endpoint_amendments).values(endpoint=endpoint, **values)
    connection.execute(query.on_conflict_do_update(index_elements=["endpoint"], set_=values))


def is_hidden(connection: sa.Connection, model: ModelId) -> bool:
    query = sa.select(_HIDDEN.model).where(_HIDDEN.model == model)
    return connection.execute(query).first() is not None


def hide(connection: sa.Connection, model: ModelId, change: Change) -> None:
    """One that is not hidden."""
    connection.execute(
        sa.insert(hidden_models).values(model=model, changed_ms=change.at_ms, changed_by=change.by)
    )


def show(connection: sa.Connection, model: ModelId) -> None:
    connection.execute(sa.delete(hidden_models).where(_HIDDEN.model == model))


def _amendment(row: sa.Row[Any]) -> EndpointAmendment:
    return EndpointAmendment(is_off=bool(row.is_off), prices=_PRICES.decode(row.prices))
