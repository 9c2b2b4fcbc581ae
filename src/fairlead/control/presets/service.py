"""Presets: make them, add versions, choose the one that calls get, switch them off.

Who may do it is decided by those who ask: whoever works in the workspace may.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import msgspec
import sqlalchemy as sa

from fairlead.control.audit.service import Audit
from fairlead.control.audit.types import Actor
from fairlead.control.presets import queries, rules
from fairlead.control.presets.types import (
    KeptPreset,
    PresetInWay,
    PresetPlace,
    PresetsPage,
    PresetUnknown,
    PresetVersion,
    VersionsPage,
)
from fairlead.core.ids import UUID_ENTROPY_BYTES, UserId, random_uuid
from fairlead.core.presets import PresetDraft, PresetStatus
from fairlead.store.database import Database

__all__ = ["Presets"]

PAGE_MAX: Final = 100


class Presets:
    """The presets of all workspaces. Methods block.

    presets = Presets(database, audit, now_ms=..., entropy=...)
    place = PresetPlace(account, workspace)
    presets.put(place, "support", draft, actor=actor)  # made, or a new version of it
    presets.designate(place, "support", 1, actor=actor)  # calls get the first version again

    A method that names a preset or a version raises PresetUnknown; one that changes something notes it in the
    audit log, without a word of what a preset says.
    """

    def __init__(
        self,
        database: Database,
        audit: Audit,
        *,
        now_ms: Callable[[], int],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._database = database
        self._audit = audit
        self._now_ms = now_ms
        self._entropy = entropy

    # What there is.

    def page(self, place: PresetPlace, *, offset: int = 0, limit: int = PAGE_MAX) -> PresetsPage:
        """What was changed last goes first."""
        with self._database.read() as connection:
            found = queries.page(connection, place, offset=offset, limit=min(limit, PAGE_MAX))
            return PresetsPage(tuple(found), queries.count(connection, place))

    def find(self, place: PresetPlace, slug: str) -> KeptPreset:
        with self._database.read() as connection:
            return _found(connection, place, slug)

    def versions(
        self,
        place: PresetPlace,
        slug: str,
        *,
        offset: int = 0,
        limit: int = PAGE_MAX,
        is_newest_first: bool = False,
    ) -> VersionsPage:
        with self._database.read() as connection:
            preset = _found(connection, place, slug)
            found = queries.versions(
                connection,
                preset.id,
                offset=offset,
                limit=min(limit, PAGE_MAX),
                is_newest_first=is_newest_first,
            )
            return VersionsPage(tuple(found), queries.version_count(connection, preset.id))

    def version(self, place: PresetPlace, slug: str, number: int) -> PresetVersion:
        with self._database.read() as connection:
            return _version(connection, _found(connection, place, slug), number)

    # What is done to it.

    def create(
        self,
        place: PresetPlace,
        slug: str,
        draft: PresetDraft,
        *,
        name: str | None = None,
        description: str | None = None,
        creator: UserId | None = None,
        actor: Actor,
    ) -> KeptPreset:
        """name: None: as the slug. Raises PresetInvalid, and PresetInWay for a slug that is taken."""
        with self._changing(place) as connection:
            return self._create(
                connection,
                self._new(place, slug, draft, name or slug, description, creator),
                actor,
            )

    def put(
        self,
        place: PresetPlace,
        slug: str,
        draft: PresetDraft,
        *,
        creator: UserId | None = None,
        actor: Actor,
    ) -> KeptPreset:
        """Made, or a new version of the one that there is, which calls get from then on.

        Raises PresetInvalid, and PresetInWay for an archived one and beyond the bounds.
        """
        with self._changing(place) as connection:
            before = queries.by_slug(connection, place, slug)
            if before is None:
                new = self._new(place, slug, draft, slug, None, creator)
                return self._create(connection, new, actor)
            _check_open(before)
            return self._revise(connection, before, draft, creator, actor)

    def change(
        self,
        place: PresetPlace,
        slug: str,
        draft: PresetDraft,
        *,
        name: str,
        description: str | None,
        creator: UserId | None = None,
        actor: Actor,
    ) -> KeptPreset:
        """Its name, and what it says: a new version, unless it says that already. Raises as `put`."""
        with self._changing(place) as connection:
            before = replace(
                _open(connection, place, slug),
                name=rules.named(name),
                description=rules.described(description),
                updated_ms=self._now_ms(),
            )
            if not _says(before.designated, draft):
                return self._revise(connection, before, draft, creator, actor)
            queries.update(connection, before)
            self._note(connection, before, actor, "preset.rename")
            return before

    def designate(self, place: PresetPlace, slug: str, number: int, *, actor: Actor) -> KeptPreset:
        """Calls get this version from then on. Raises PresetInWay for an archived one."""
        with self._changing(place) as connection:
            before = _open(connection, place, slug)
            after = replace(
                before,
                designated=_version(connection, before, number),
                updated_ms=self._now_ms(),
            )
            queries.update(connection, after)
            self._note(connection, after, actor, "preset.designate", version=number)
        return after

    def set_status(
        self, place: PresetPlace, slug: str, status: PresetStatus, *, actor: Actor
    ) -> KeptPreset:
        """Again is fine."""
        now_ms = self._now_ms()
        with self._changing(place) as connection:
            before = _found(connection, place, slug)
            if before.status is status:
                return before
            after = replace(before, status=status, status_updated_ms=now_ms, updated_ms=now_ms)
            queries.update(connection, after)
            self._note(connection, after, actor, "preset.status", status=status.value)
        return after

    def delete(self, place: PresetPlace, slug: str, *, actor: Actor) -> None:
        """For ever, with all its versions. Raises PresetInWay for one that is not archived."""
        with self._changing(place) as connection:
            found = _found(connection, place, slug)
            if found.status is not PresetStatus.ARCHIVED:
                raise PresetInWay("Only an archived preset can be deleted.")
            queries.delete(connection, found.id)
            self._note(connection, found, actor, "preset.delete")

    # Details.

    @contextmanager
    def _changing(self, place: PresetPlace) -> Iterator[sa.Connection]:
        """A transaction; of those that change one workspace's presets, one runs at a time."""
        with self._database.begin() as connection:
            self._database.lock(connection, f"presets {place.workspace}")
            yield connection

    def _new(
        self,
        place: PresetPlace,
        slug: str,
        draft: PresetDraft,
        name: str,
        description: str | None,
        creator: UserId | None,
    ) -> KeptPreset:
        now_ms = self._now_ms()
        preset = random_uuid(self._entropy(UUID_ENTROPY_BYTES))
        return KeptPreset(
            id=preset,
            place=place,
            slug=rules.slug(slug),
            name=rules.named(name),
            description=rules.described(description),
            status=PresetStatus.ACTIVE,
            status_updated_ms=None,
            creator=creator,
            created_ms=now_ms,
            updated_ms=now_ms,
            designated=self._written(preset, 1, draft, creator),
        )

    def _written(
        self, preset: str, number: int, draft: PresetDraft, creator: UserId | None
    ) -> PresetVersion:
        return PresetVersion(
            id=random_uuid(self._entropy(UUID_ENTROPY_BYTES)),
            preset=preset,
            number=number,
            system_prompt=draft.system_prompt,
            config=draft.config,
            creator=creator,
            created_ms=self._now_ms(),
        )

    def _create(self, connection: sa.Connection, preset: KeptPreset, actor: Actor) -> KeptPreset:
        if queries.count(connection, preset.place) >= rules.PRESETS_MAX:
            raise PresetInWay(f"A workspace has at most {rules.PRESETS_MAX} presets.")
        if not queries.insert_if_free(self._database, connection, preset):
            raise PresetInWay(f"This workspace has a preset {preset.slug} already.")
        self._keep(connection, preset.place, preset.designated)
        self._note(connection, preset, actor, "preset.create")
        return preset

    def _revise(
        self,
        connection: sa.Connection,
        before: KeptPreset,
        draft: PresetDraft,
        creator: UserId | None,
        actor: Actor,
    ) -> KeptPreset:
        number = queries.version_count(connection, before.id) + 1
        if number > rules.VERSIONS_MAX:
            raise PresetInWay(f"A preset has at most {rules.VERSIONS_MAX} versions.")
        written = self._written(before.id, number, draft, creator)
        after = replace(before, designated=written, updated_ms=written.created_ms)
        self._keep(connection, before.place, written)
        queries.update(connection, after)
        self._note(connection, after, actor, "preset.revise", version=number)
        return after

    def _keep(self, connection: sa.Connection, place: PresetPlace, version: PresetVersion) -> None:
        kept = queries.kept_bytes(self._database, connection, place)
        if kept + rules.kept_bytes(version) > rules.KEPT_BYTES_MAX:
            raise PresetInWay(
                f"All versions of a workspace's presets take at most {rules.KEPT_BYTES_MAX} bytes together,"
                f" and {kept} are taken. Deleting an archived preset makes room."
            )
        queries.insert_version(connection, place, version)

    def _note(
        self,
        connection: sa.Connection,
        preset: KeptPreset,
        actor: Actor,
        action: str,
        **details: object,
    ) -> None:
        self._audit.note(
            connection,
            preset.place.account,
            actor,
            action,
            preset.id,
            slug=preset.slug,
            **details,
        )


def _says(version: PresetVersion, draft: PresetDraft) -> bool:
    """Whether it says the same, however it is written."""
    same = msgspec.json.decode(version.config) == msgspec.json.decode(draft.config)
    return same and version.system_prompt == draft.system_prompt


def _found(connection: sa.Connection, place: PresetPlace, slug: str) -> KeptPreset:
    found = queries.by_slug(connection, place, slug)
    if found is None:
        raise PresetUnknown("This workspace has no such preset.")
    return found


def _open(connection: sa.Connection, place: PresetPlace, slug: str) -> KeptPreset:
    """One that may be changed."""
    found = _found(connection, place, slug)
    _check_open(found)
    return found


def _check_open(preset: KeptPreset) -> None:
    if preset.status is PresetStatus.ARCHIVED:
        raise PresetInWay(f"The preset {preset.slug} is archived; restore it first.")


def _version(connection: sa.Connection, preset: KeptPreset, number: int) -> PresetVersion:
    found = queries.version_by_number(connection, preset.id, number)
    if found is None:
        raise PresetUnknown("This preset has no such version.")
    return found
