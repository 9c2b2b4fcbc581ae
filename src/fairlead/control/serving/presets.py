"""The presets that calls name, usually without waiting.

What a version says never changes, so it is read once; which version calls get, and whether they may, is asked
again after a second, by whoever calls then (see lookups.py). A change is followed within that second. A
database that is away is left alone for a second before it is asked again; of a preset that nobody knows, nobody
can say what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from fairlead.control.presets import queries
from fairlead.control.serving.lookups import Absent, LookUps, Terms
from fairlead.core.caller import Caller
from fairlead.core.ids import WorkspaceId
from fairlead.core.presets import Preset, PresetStatus
from fairlead.store.database import Database

__all__ = ["PresetDirectory", "PresetReader", "Read"]

LOOK_UP_TERMS: Final = Terms(
    things="presets",
    unknown="Presets cannot be looked up at the moment.",
    fresh_max_s=1.0,
    retry_after_s=1.0,
    known_entries_max=1000,  # of 128 KiB each at most, and a few hundred bytes as a rule
)
NAMES_MAX: Final = 200  # that may be meant by one that there is not

_Name = tuple[WorkspaceId, str]

_read_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Read(msgspec.Struct, frozen=True):
    """version: the designated one's id."""

    preset: Preset
    version: str


class PresetReader:
    """Reads presets as calls see them. Blocks.

    uncalled: fields that are kept of a preset and are none of a call.
    """

    def __init__(self, database: Database, uncalled: Sequence[str]) -> None:
        self._database = database
        self._uncalled = frozenset(uncalled)

    def read(
        self, workspace: WorkspaceId, slug: str, before: Read | None = None
    ) -> Read | Sequence[str]:
        """The preset, or names of some that there are. before: as it was; what a version says stays."""
        with self._database.read() as connection:
            row = queries.called(connection, workspace, slug)
            if row is None:
                return queries.slugs(connection, workspace, limit=NAMES_MAX)
            preset, status, version = row[0], PresetStatus(row[1]), row[2]
            if before is not None and before.version == version:
                return Read(msgspec.structs.replace(before.preset, status=status), version)
            said = queries.version_by_id(connection, version)
        assert said is not None, "a preset has the version that it is said to have"
        fields = _read_fields(said.config)
        return Read(
            Preset(
                id=preset,
                slug=slug,
                version=said.number,
                status=status,
                system_prompt=said.system_prompt,
                fields={name: raw for name, raw in fields.items() if name not in self._uncalled},
            ),
            version,
        )


class PresetDirectory:
    """Implements gateway.ports.Presets. Belongs to one event loop.

    reader = PresetReader(database, uncalled)
    directory = PresetDirectory(reader, database, monotonic_s=time.monotonic)
    found = await directory.find(caller, "support")
    """

    def __init__(
        self,
        reader: PresetReader,
        database: Database,
        *,
        monotonic_s: Callable[[], float],
    ) -> None:
        self._reader = reader
        self._database = database
        self._look_ups: LookUps[_Name, Read, Sequence[str]] = LookUps(
            self._load, terms=LOOK_UP_TERMS, monotonic_s=monotonic_s
        )

    async def find(self, caller: Caller, slug: str) -> Preset | Sequence[str]:
        """Asks the database if need be, once for all who ask at the same time. Raises Overloaded."""
        found = await self._look_ups.find((caller.workspace, slug))
        return found.why if isinstance(found, Absent) else found.preset

    async def _load(
        self, name: _Name, known: Read | None, timeout_s: float
    ) -> Read | Absent[Sequence[str]]:
        found = await self._database.run(self._reader.read, *name, known, timeout_s=timeout_s)
        return found if isinstance(found, Read) else Absent(found)
