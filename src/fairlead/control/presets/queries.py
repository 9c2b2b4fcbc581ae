"""SQL about presets."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from fairlead.control.presets import rules
from fairlead.control.presets.types import KeptPreset, PresetPlace, PresetVersion
from fairlead.core.ids import UserId, WorkspaceId
from fairlead.core.presets import PresetStatus
from fairlead.store.database import Database
from fairlead.store.tables.presets import preset_versions, presets

__all__ = [
    "by_slug",
    "called",
    "count",
    "delete",
    "insert_if_free",
    "insert_version",
    "kept_bytes",
    "page",
    "slugs",
    "update",
    "version_by_id",
    "version_by_number",
    "version_count",
    "versions",
]

_DESIGNATED = sa.and_(
    preset_versions.c.id == presets.c.designated_version_id,
    preset_versions.c.preset_id == presets.c.id,
)
_BOTH = sa.select(
    presets,
    preset_versions.c.version,
    preset_versions.c.system_prompt,
    preset_versions.c.config,
    preset_versions.c.creator_user_id.label("version_creator"),
    preset_versions.c.created_ms.label("version_created_ms"),
).join_from(presets, preset_versions, _DESIGNATED)


def insert_if_free(database: Database, connection: sa.Connection, preset: KeptPreset) -> bool:
    """False: the workspace has one of that slug. Its version is not inserted here."""
    done = connection.execute(
        database.insert(presets)
        .values(
            id=preset.id,
            account_id=preset.place.account,
            workspace_id=preset.place.workspace,
            slug=preset.slug,
            creator_user_id=preset.creator,
            created_ms=preset.created_ms,
            **_changeable(preset),
        )
        .on_conflict_do_nothing(index_elements=["workspace_id", "slug"])
        .returning(presets.c.id)
    )
    return done.one_or_none() is not None


def update(connection: sa.Connection, preset: KeptPreset) -> None:
    connection.execute(
        sa.update(presets).where(presets.c.id == preset.id).values(**_changeable(preset))
    )


def insert_version(connection: sa.Connection, place: PresetPlace, version: PresetVersion) -> None:
    connection.execute(
        sa.insert(preset_versions).values(
            id=version.id,
            account_id=place.account,
            preset_id=version.preset,
            version=version.number,
            system_prompt=version.system_prompt,
            config=version.config,
            creator_user_id=version.creator,
            created_ms=version.created_ms,
        )
    )


def delete(connection: sa.Connection, preset: str) -> None:
    """With all its versions."""
    connection.execute(sa.delete(preset_versions).where(preset_versions.c.preset_id == preset))
    connection.execute(sa.delete(presets).where(presets.c.id == preset))


def by_slug(connection: sa.Connection, place: PresetPlace, slug: str) -> KeptPreset | None:
    row = connection.execute(_BOTH.where(*_of(place), presets.c.slug == slug)).one_or_none()
    return None if row is None else _preset(row)


def page(
    connection: sa.Connection, place: PresetPlace, *, offset: int, limit: int
) -> list[KeptPreset]:
    """What was changed last goes first."""
    rows = connection.execute(
        _BOTH.where(*_of(place))
        .order_by(presets.c.updated_ms.desc(), presets.c.id)
        .offset(offset)
        .limit(limit)
    )
    return [_preset(row) for row in rows]


def count(connection: sa.Connection, place: PresetPlace) -> int:
    query = sa.select(sa.func.count()).select_from(presets).where(*_of(place))
    return connection.scalar(query) or 0


def kept_bytes(database: Database, connection: sa.Connection, place: PresetPlace) -> int:
    """Of all versions of a workspace, as `rules.kept_bytes` counts each."""
    said = database.byte_length(preset_versions.c.config) + sa.func.coalesce(
        database.byte_length(preset_versions.c.system_prompt), 0
    )
    query = (
        sa.select(sa.func.sum(said + rules.VERSION_BYTES))
        .join_from(presets, preset_versions, preset_versions.c.preset_id == presets.c.id)
        .where(*_of(place))
    )
    return connection.scalar(query) or 0


def slugs(connection: sa.Connection, workspace: WorkspaceId, *, limit: int) -> list[str]:
    """Of those that can be called."""
    query = (
        sa.select(presets.c.slug)
        .where(presets.c.workspace_id == workspace, presets.c.status == PresetStatus.ACTIVE.value)
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


def called(
    connection: sa.Connection, workspace: WorkspaceId, slug: str
) -> sa.Row[Any, Any, Any] | None:
    """The id, the status and the designated version's id."""
    return connection.execute(
        sa.select(presets.c.id, presets.c.status, presets.c.designated_version_id).where(
            presets.c.workspace_id == workspace, presets.c.slug == slug
        )
    ).one_or_none()


def version_by_id(connection: sa.Connection, version: str) -> PresetVersion | None:
    return _one_version(connection, preset_versions.c.id == version)


def version_by_number(connection: sa.Connection, preset: str, number: int) -> PresetVersion | None:
    return _one_version(
        connection, preset_versions.c.preset_id == preset, preset_versions.c.version == number
    )


def versions(
    connection: sa.Connection, preset: str, *, offset: int, limit: int, is_newest_first: bool
) -> list[PresetVersion]:
    number = preset_versions.c.version
    rows = connection.execute(
        sa.select(preset_versions)
        .where(preset_versions.c.preset_id == preset)
        .order_by(number.desc() if is_newest_first else number)
        .offset(offset)
        .limit(limit)
    )
    return [_version(row) for row in rows]


def version_count(connection: sa.Connection, preset: str) -> int:
    """They are numbered without a gap, so it is the last one's number, too."""
    query = sa.select(sa.func.count()).where(preset_versions.c.preset_id == preset)
    return connection.scalar(query) or 0


def _of(place: PresetPlace) -> tuple[sa.ColumnElement[bool], ...]:
    return (presets.c.account_id == place.account, presets.c.workspace_id == place.workspace)


def _one_version(
    connection: sa.Connection, *conditions: sa.ColumnElement[bool]
) -> PresetVersion | None:
    row = connection.execute(sa.select(preset_versions).where(*conditions)).one_or_none()
    return None if row is None else _version(row)


def _changeable(preset: KeptPreset) -> dict[str, object]:
    return {
        "name": preset.name,
        "description": preset.description,
        "status": preset.status.value,
        "status_updated_ms": preset.status_updated_ms,
        "designated_version_id": preset.designated.id,
        "updated_ms": preset.updated_ms,
    }


def _preset(row: sa.Row[Any]) -> KeptPreset:
    return KeptPreset(
        id=row.id,
        place=PresetPlace(row.account_id, row.workspace_id),
        slug=row.slug,
        name=row.name,
        description=row.description,
        status=PresetStatus(row.status),
        status_updated_ms=row.status_updated_ms,
        creator=row.creator_user_id,
        created_ms=row.created_ms,
        updated_ms=row.updated_ms,
        designated=PresetVersion(
            id=row.designated_version_id,
            preset=row.id,
            number=row.version,
            system_prompt=row.system_prompt,
            config=row.config,
            creator=row.version_creator,
            created_ms=row.version_created_ms,
        ),
    )


def _version(row: sa.Row[Any]) -> PresetVersion:
    creator = row.creator_user_id
    return PresetVersion(
        id=row.id,
        preset=row.preset_id,
        number=row.version,
        system_prompt=row.system_prompt,
        config=row.config,
        creator=None if creator is None else UserId(creator),
        created_ms=row.created_ms,
    )
