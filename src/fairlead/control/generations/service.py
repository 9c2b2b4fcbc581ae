"""Finding finished calls, also in the moment before the settler has moved them into the database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fairlead.control.generations import queries
from fairlead.core.errors import Overloaded
from fairlead.core.generation import Generation
from fairlead.core.ids import AccountId, GenerationId, generation_id
from fairlead.store.database import Database, DatabaseUnreadable
from fairlead.store.journal_files import START, journals, read_batch
from fairlead.store.journal_format import JournalCorrupt
from fairlead.store.records import unpack

__all__ = ["GenerationStore"]

TAIL_RECORDS_MAX: Final = 50_000  # of all journals together: some 0.2 s of reading
READ_RECORDS: Final = 1000
PAGE_RECORDS: Final = 500  # of a long read: held at once, some 500 KB


class GenerationStore:
    """What finished calls used and cost.

    store = GenerationStore(database, journals=data / "journal")
    generation = await store.find(generation_id, account)  # None: this account has none by that id

    journals: where the processes on this machine keep their journals; None: look in the database only.
    """

    def __init__(self, database: Database, *, journals: Path | None) -> None:
        self._database = database
        self._journals = journals

    async def find(self, generation: GenerationId, account: AccountId) -> Generation | None:
        """A caller who has just got the last byte of an answer finds it, whoever served it on this machine.

        Raises Overloaded if we cannot tell.
        """
        try:
            return await self._database.run(self.look_up, generation, account)
        except DatabaseUnreadable as error:
            raise Overloaded("Generations cannot be looked up at the moment.") from error

    def look_up(self, generation: GenerationId, account: AccountId) -> Generation | None:
        """As `find`, but blocks; raises DatabaseUnreadable or Overloaded."""
        found = self._in_database(generation, account)
        if found is None and self._journals is not None:
            # The settler may move it, and delete the segment, between two looks: the database comes last.
            found = self._in_journals(generation, account) or self._in_database(generation, account)
        return found

    def records(self, *, since_ms: int) -> Iterator[bytes]:
        """Every settled record from then on, in the order of creation, as `store.records.unpack` reads them.

        Blocks, a page at a time, and holds no transaction in between. Raises DatabaseUnreadable.
        """
        after = generation_id(since_ms, 0)
        while True:
            with self._database.read() as connection:
                page = queries.records_after(connection, after, limit=PAGE_RECORDS)
            for _, record in page:
                yield record
            if len(page) < PAGE_RECORDS:
                return
            after, _ = page[-1]

    def _in_database(self, generation: GenerationId, account: AccountId) -> Generation | None:
        with self._database.read() as connection:
            return queries.find(connection, generation, account)

    def _in_journals(self, wanted: GenerationId, account: AccountId) -> Generation | None:
        assert self._journals is not None
        directories = journals(self._journals)
        with self._database.read() as connection:
            starts = [queries.position(connection, path.name) or START for path in directories]
        records_left = TAIL_RECORDS_MAX
        for directory, position in zip(directories, starts, strict=True):
            while True:
                try:
                    batch = read_batch(directory, position, records_max=READ_RECORDS)
                except JournalCorrupt:
                    break  # the settler reports it; what is whole before it has been looked at
                for front, record in zip(batch.fronts, batch.records, strict=True):
                    if front.id == wanted and front.account == account:
                        return unpack(record)
                records_left -= len(batch.records)
                if records_left <= 0:
                    raise Overloaded("Generations are being recorded with a delay at the moment.")
                if not batch.records:
                    break
                position = batch.end
        return None
