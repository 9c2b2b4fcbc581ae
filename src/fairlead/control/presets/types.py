"""Values about presets."""

from __future__ import annotations

from dataclasses import dataclass, field

from fairlead.core.ids import AccountId, UserId, WorkspaceId
from fairlead.core.presets import PresetStatus

__all__ = [
    "KeptPreset",
    "PresetInWay",
    "PresetInvalid",
    "PresetPlace",
    "PresetUnknown",
    "PresetVersion",
    "PresetsPage",
    "VersionsPage",
]


@dataclass(frozen=True, slots=True)
class PresetPlace:
    """Whose presets are meant: those of one workspace of one account."""

    account: AccountId
    workspace: WorkspaceId


@dataclass(frozen=True, slots=True)
class PresetVersion:
    """What a preset says, or said. number: from 1. config: JSON, fields of a chat request.

    What people have written is theirs, so it is in no `repr`.
    """

    id: str
    preset: str
    number: int
    system_prompt: str | None = field(repr=False)
    config: str = field(repr=False)
    creator: UserId | None
    created_ms: int


@dataclass(frozen=True, slots=True)
class KeptPreset:
    """designated: the version that calls get. status_updated_ms: None: it was never anything but active."""

    id: str
    place: PresetPlace
    slug: str
    name: str
    description: str | None
    status: PresetStatus
    status_updated_ms: int | None
    creator: UserId | None
    created_ms: int
    updated_ms: int
    designated: PresetVersion


@dataclass(frozen=True, slots=True)
class PresetsPage:
    """total: of all of them, on this page or not."""

    presets: tuple[KeptPreset, ...]
    total: int


@dataclass(frozen=True, slots=True)
class VersionsPage:
    versions: tuple[PresetVersion, ...]
    total: int


class PresetUnknown(LookupError):
    """The workspace has no such preset, or the preset no such version."""


class PresetInvalid(ValueError):
    """It cannot be like that. path: of the field."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path


class PresetInWay(Exception):
    """As things are it cannot be done: the slug is taken, the preset archived, or a bound reached."""
