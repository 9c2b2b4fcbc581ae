"""SQL about the catalogues that were in force."""

from __future__ import annotations

import sqlalchemy as sa

from fairlead.store.database import Database
from fairlead.store.tables.catalogue import catalog_versions

__all__ = [
    "contents_of",
    "drop_versions",
    "has_version",
    "insert_version",
    "note_in_force",
    "version_content",
]

_COLUMNS = catalog_versions.c


def has_version(connection: sa.Connection, version: str, digest: str) -> bool:
    query = sa.select(_COLUMNS.version).where(_is(version, digest))
    return connection.execute(query).first() is not None


def insert_version(
    database: Database,
    connection: sa.Connection,
    *,
    version: str,
    digest: str,
    content: bytes,
    now_ms: int,
) -> None:
    """One that is there already stays as it is."""
    connection.execute(
        database.insert(catalog_versions).on_conflict_do_nothing(),
        {
            "version": version,
            "digest": digest,
            "content": content,
            "first_seen_ms": now_ms,
            "in_force_ms": now_ms,
        },
    )


def note_in_force(connection: sa.Connection, version: str, digest: str, *, now_ms: int) -> None:
    connection.execute(
        sa.update(catalog_versions).where(_is(version, digest)).values(in_force_ms=now_ms)
    )


def drop_versions(connection: sa.Connection, *, keep_count: int) -> None:
    """Drop all but those that came into force last."""
    kept = (
        sa.select(_COLUMNS.version, _COLUMNS.digest)
        .order_by(_COLUMNS.in_force_ms.desc(), _COLUMNS.version, _COLUMNS.digest)
        .limit(keep_count)
    )
    connection.execute(
        sa.delete(catalog_versions).where(sa.tuple_(_COLUMNS.version, _COLUMNS.digest).not_in(kept))
    )


def contents_of(connection: sa.Connection, version: str) -> list[tuple[int, str]]:
    """When each content of a version was seen first, and its digest; the oldest first."""
    query = (
        sa.select(_COLUMNS.first_seen_ms, _COLUMNS.digest)
        .where(_COLUMNS.version == version)
        .order_by(_COLUMNS.first_seen_ms, _COLUMNS.digest)
    )
    return [(row.first_seen_ms, row.digest) for row in connection.execute(query)]


def version_content(connection: sa.Connection, version: str, digest: str) -> bytes | None:
    query = sa.select(_COLUMNS.content).where(_is(version, digest))
    content = connection.execute(query).scalar()
    return None if content is None else bytes(content)


def _is(version: str, digest: str) -> sa.ColumnElement[bool]:
    return sa.and_(_COLUMNS.version == version, _COLUMNS.digest == digest)
