"""Kept prompts and answers: seal them, show them to those who may see them, delete them in time."""

from __future__ import annotations

import logging
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final

import msgspec
import sqlalchemy as sa

from fairlead.control.contents import queries
from fairlead.control.contents.types import KeptContent, Reader
from fairlead.core.content import Content
from fairlead.core.errors import Overloaded, PermissionDenied
from fairlead.core.ids import AccountId, GenerationId
from fairlead.store.database import Database
from fairlead.store.sealing import MasterKeyUnknown, Unsealable
from fairlead.store.secrets import Secrets

__all__ = ["Contents", "lock_name"]

DELETED_AT_ONCE_MAX: Final = 1000  # a transaction of some ten milliseconds
MS_PER_DAY: Final = 86_400_000
COMPRESSION: Final = 6
BYTES_MAX: Final = 16 * 1024 * 1024  # of one, unpacked: far above what core.content lets through

_LOG: Final = logging.getLogger(__name__)
_pack: Final = msgspec.msgpack.Encoder().encode
_unpack: Final = msgspec.msgpack.Decoder(Content).decode


class Contents:
    """All that is kept. Methods block.

    retention_days: how long, after which `delete_old` deletes it.
    """

    def __init__(
        self,
        database: Database,
        secrets: Secrets,
        *,
        retention_days: int,
        now_ms: Callable[[], int],
    ) -> None:
        self._database = database
        self._secrets = secrets
        self._retention_days = retention_days
        self._now_ms = now_ms

    def keep(self, batch: Iterable[Content]) -> int:
        """Seal and store. Returns how many were new. Raises DatabaseUnreadable, MasterKeyUnusable.

        What belongs to an account that there is not any more is left out.
        """
        by_account: defaultdict[AccountId, list[Content]] = defaultdict(list)
        for content in batch:
            by_account[content.account].append(content)
        count = 0
        with self._database.begin() as connection:
            # Who deletes an account waits for this, and this for who deletes it.
            self._database.lock(connection, *[lock_name(account) for account in by_account])
            for account, found in by_account.items():
                if not queries.may_have_contents(connection, account):
                    continue
                key = self._secrets.data_key_for(connection, account)
                rows = [
                    (
                        one.generation,
                        account,
                        one.workspace,
                        one.created_ms,
                        self._secrets.seal(
                            key, zlib.compress(_pack(one), COMPRESSION), _place(one.generation)
                        ),
                    )
                    for one in found
                ]
                count += queries.insert_new(self._database, connection, rows)
        return count

    def find(self, reader: Reader, generation: GenerationId) -> Content | None:
        """None: nothing of it is kept, or it is not for this reader's workspace.

        In an organisation admins alone may read: signed in, with a key of theirs or a management key. A key
        that was given to an app reads what was called with it, once that is recorded. Raises PermissionDenied;
        Overloaded if it cannot be opened.
        """
        account, key = reader.account, reader.key
        with self._database.read() as connection:
            if not reader.may_manage and not queries.is_reader(connection, account, reader.user):
                raise PermissionDenied(
                    "In an organisation only admins can read prompts and answers: use a management key."
                )
            found = queries.by_generation(connection, account, generation)
            if found is None or not (reader.may_manage or found.workspace == reader.workspace):
                return None
            if (
                key is not None
                and queries.is_apps(connection, account, key)
                and not queries.is_of_key(connection, generation, key)
            ):
                return None
            try:
                return self._opened(connection, found)
            except (MasterKeyUnknown, Unsealable) as error:
                _LOG.error("the content of generation %s cannot be opened: %s", generation, error)
                raise Overloaded("What was kept cannot be opened at the moment.") from error

    def opened_within(
        self, connection: sa.Connection, account: AccountId, generation: GenerationId
    ) -> Content | None:
        """For whom it belongs to, who has been let in before. Raises MasterKeyUnknown, Unsealable."""
        found = queries.by_generation(connection, account, generation)
        return None if found is None else self._opened(connection, found)

    def _opened(self, connection: sa.Connection, found: KeptContent) -> Content | None:
        key = self._secrets.data_key(connection, found.account)
        if key is None:
            return None
        packed = key.unseal(found.sealed, _place(found.generation))
        return _unpack(zlib.decompressobj().decompress(packed, BYTES_MAX))

    def delete_old(self) -> int:
        """What is older than the retention. Returns how many."""
        before_ms = self._now_ms() - self._retention_days * MS_PER_DAY
        count = 0
        while True:
            with self._database.begin() as connection:
                deleted = queries.delete_before(connection, before_ms, limit=DELETED_AT_ONCE_MAX)
            count += deleted
            if deleted < DELETED_AT_ONCE_MAX:
                return count


def lock_name(account: AccountId) -> str:
    """What who keeps an account's contents and who deletes the account agree on."""
    return f"contents {account}"


def _place(generation: GenerationId) -> str:
    return f"contents/{generation}"
