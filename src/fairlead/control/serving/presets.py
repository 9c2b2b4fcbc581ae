"""The presets that calls name, usually without waiting.

What a version says never changes, so it is read once; which version calls get, and whether they may, is asked
again after a second, by whoever calls then. A change is followed within that second. When the database is away,
what it confirmed holds for `known_max_s` after that, and it is left alone for a second before it is asked
again; of a preset that nobody knows, nobody can say what it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from fairlead.control.presets import queries
from fairlead.core.caller import Caller
from fairlead.core.errors import Overloaded
from fairlead.core.ids import WorkspaceId
from fairlead.core.presets import Preset, PresetStatus
from fairlead.store.database import Database, DatabaseUnreadable

__all__ = ["PresetDirectory", "PresetReader", "Read"]

FRESH_MAX_S: Final = 1.0  # an answer this old is confirmed before it is given
KNOWN_MAX_S: Final = 600.0
KNOWN_ENTRIES_MAX: Final = 1000  # of 128 KiB each at most, and a few hundred bytes as a rule
ANSWER_MAX_S: Final = 1.0  # for one that is known, its caller does not wait longer
FIND_MAX_S: Final = 5.0
LOOK_UPS_MAX: Final = 256  # at the same time
NAMES_MAX: Final = 200  # that may be meant by one that there is not

_Name = tuple[WorkspaceId, str]
_Found = Preset | Sequence[str]

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


class _Known:
    """Changed in place. due_s: when it is asked about again."""

    __slots__ = ("checked_s", "due_s", "read")

    def __init__(self, read: Read, now_s: float) -> None:
        self.read = read
        self.checked_s = now_s
        self.due_s = now_s + FRESH_MAX_S


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
        known_max_s: float = KNOWN_MAX_S,
        known_entries_max: int = KNOWN_ENTRIES_MAX,
    ) -> None:
        self._reader = reader
        self._database = database
        self._monotonic_s = monotonic_s
        self._known_max_s = known_max_s
        self._known_entries_max = known_entries_max
        self._known: dict[_Name, _Known] = {}
        self._look_ups: dict[_Name, asyncio.Future[_Found]] = {}

    async def find(self, caller: Caller, slug: str) -> Preset | Sequence[str]:
        """Asks the database if need be, once for all who ask at the same time. Raises Overloaded."""
        name = (caller.workspace, slug)
        while True:
            known = self._known.get(name)
            if known is not None and self._monotonic_s() < known.due_s:
                return known.read.preset
            look_up = self._look_ups.get(name)
            if look_up is None:
                return await self._look_up(name, known)
            await asyncio.wait([look_up])
            if look_up.cancelled():
                continue  # the one who asked has left: another asks
            if isinstance(refusal := look_up.exception(), Overloaded):
                raise Overloaded(refusal.message)
            return look_up.result()

    async def _look_up(self, name: _Name, known: _Known | None) -> _Found:
        if len(self._look_ups) >= LOOK_UPS_MAX:
            raise Overloaded("Too many presets are being looked up at the moment.")
        look_up = self._look_ups[name] = asyncio.get_running_loop().create_future()
        try:
            found = await self._ask(name, known)
        except Overloaded as overloaded:
            look_up.set_exception(overloaded)
            look_up.exception()  # nobody may be waiting for it
            raise
        else:
            look_up.set_result(found)
            return found
        finally:
            look_up.cancel()  # unless it is done
            del self._look_ups[name]

    async def _ask(self, name: _Name, known: _Known | None) -> _Found:
        asked_s = self._monotonic_s()
        patience_s = FIND_MAX_S if known is None else ANSWER_MAX_S
        try:
            found = await self._database.run(
                self._reader.read, *name, known and known.read, timeout_s=patience_s
            )
        except DatabaseUnreadable as error:
            if known is None or asked_s - known.checked_s > self._known_max_s:
                self._known.pop(name, None)
                raise Overloaded("Presets cannot be looked up at the moment.") from error
            known.due_s = self._monotonic_s() + FRESH_MAX_S
            return known.read.preset
        if not isinstance(found, Read):
            self._known.pop(name, None)
            return found
        self._learn(name, found, asked_s)
        return found.preset

    def _learn(self, name: _Name, found: Read, asked_s: float) -> None:
        """asked_s: when the question left; the answer cannot be newer than that."""
        if name not in self._known and len(self._known) >= self._known_entries_max:
            del self._known[next(iter(self._known))]  # the oldest; it comes back if it is in use
        self._known[name] = _Known(found, asked_s)
