"""All that we have of an account: for itself to take away, or to be forgotten."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec
import sqlalchemy as sa

from fairlead.control.contents.service import Contents, lock_name
from fairlead.control.privacy import queries
from fairlead.control.privacy.fates import FATES
from fairlead.core.content import Content
from fairlead.core.ids import AccountId, GenerationId
from fairlead.store.database import Database
from fairlead.store.records import RecordUnreadable, pack, readable, unpack

__all__ = ["Privacy"]

RECORDS_AT_ONCE: Final = 500
ACCOUNTS_AT_ONCE: Final = 20
_MODE: Final = 0o600
# A record that comes later than this after its account was deleted, nobody scrubs.
LATE_MS: Final = 86_400_000

Progress = Callable[[str, int], None]


def _silent(_what: str, _count: int) -> None:
    """Nobody watches."""


class Privacy:
    """Methods block.

    privacy.export(account, Path("ada.zip"))       one file of JSON lines for each table
    privacy.forget(connection, account)            in the transaction that deletes the account
    privacy.scrub(account)                         afterwards: who the account's own users and apps were
    privacy.scrub_due(now_ms=...)                  the same in the background, for all that were deleted
    """

    def __init__(self, database: Database, contents: Contents) -> None:
        self._database = database
        self._contents = contents

    def export(self, account: AccountId, file: Path, progress: Progress = _silent) -> int:
        """Write everything, without what opens anything. Returns the number of rows.

        The file is for its owner alone (0600), and whole or not there. Raises OSError; MasterKeyUnknown,
        Unsealable for kept contents that do not open.
        """
        unfinished = file.with_name(f"{file.name}.unfinished")
        unfinished.unlink(missing_ok=True)
        unfinished.touch(mode=_MODE)
        count = 0
        try:
            with (
                zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as archive,
                self._database.read(statement_timeout_s=0) as connection,
            ):
                for name, fate in FATES.items():
                    if not fate.is_exported:
                        continue
                    with (
                        archive.open(f"{name}.jsonl", "w", force_zip64=True) as lines,
                        closing(queries.rows_of(connection, name, account)) as rows,
                    ):
                        for row in rows:
                            lines.write(self._line(connection, name, account, row))
                            count += 1
                            progress(name, count)
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)
        return count

    def forget(self, connection: sa.Connection, account: AccountId) -> None:
        """Delete what is only the account's, and overwrite what tells whose the rest was.

        The data key goes too: whatever copies there are of what was sealed, nobody reads them any more.
        """
        self._database.lock(connection, lock_name(account))
        queries.forget(connection, account)

    def scrub(self, account: AccountId, progress: Progress = _silent) -> int:
        """Take the account's own users, sessions and apps out of the records of its calls. Returns how many.

        Some hundred at a time; can be broken off and begun again. What a call used and cost stays.
        """
        count = 0
        after = (0, "")
        while True:
            with self._database.begin() as connection:
                found = queries.next_records(
                    connection, account, after=after, limit=RECORDS_AT_ONCE
                )
                if not found:
                    return count
                count += _scrub(connection, account, found)
            after = found[-1][:2]
            progress("generations", count)

    def scrub_due(self, *, now_ms: int) -> int:
        """The next part of that, for whichever account is deleted and still has records that tell of somebody.

        For who calls it again and again, in any process, until it returns 0. Calls that ended when the account
        did may still be on their way into the database for a while.
        """
        with self._database.begin() as connection:
            for account, reached_ms in queries.to_scrub(
                connection, late_ms=LATE_MS, limit=ACCOUNTS_AT_ONCE
            ):
                found = queries.next_records(
                    connection, account, after=(reached_ms, ""), limit=RECORDS_AT_ONCE
                )
                _scrub(connection, account, found)
                # Others of the last one's millisecond may follow.
                last_ms = found[-1][0] if found else now_ms
                queries.note_scrubbed(connection, account, max(last_ms, reached_ms + 1))
                if found:
                    return len(found)
        return 0

    def _line(
        self, connection: sa.Connection, name: str, account: AccountId, row: dict[str, object]
    ) -> bytes:
        if name == "generations":
            return _record(row) + b"\n"
        if name == "contents":
            found = self._contents.opened_within(
                connection, account, GenerationId(str(row["generation_id"]))
            )
            row |= {} if found is None else _told(found)
        return msgspec.json.encode(row) + b"\n"


def _record(row: dict[str, object]) -> bytes:
    record = row["record"]
    assert isinstance(record, bytes)
    try:
        return readable(unpack(record))
    except RecordUnreadable:
        return msgspec.json.encode(row)


def _told(content: Content) -> dict[str, object]:
    return {
        "messages": None if content.messages is None else msgspec.Raw(content.messages),
        "prompt": content.prompt,
        "completion": content.completion,
        "reasoning": content.reasoning,
    }


def _scrub(
    connection: sa.Connection,
    account: AccountId,
    found: Sequence[tuple[int, GenerationId, bytes]],
) -> int:
    """Returns how many of these records told of somebody."""
    changed = [
        (generation, scrubbed)
        for _, generation, record in found
        if (scrubbed := _scrubbed(record)) is not None
    ]
    queries.replace_records(connection, changed)
    if changed:
        # Those that came after the account was deleted have brought their sessions and apps again.
        queries.forget_groups(connection, account)
    return len(changed)


def _scrubbed(record: bytes) -> bytes | None:
    """None: there is nothing in it of anybody."""
    try:
        generation = unpack(record)
    except RecordUnreadable:
        return None
    if not (generation.external_user or generation.session_id or generation.attribution):
        return None
    return pack(
        msgspec.structs.replace(generation, external_user=None, session_id=None, attribution=None)
    )
