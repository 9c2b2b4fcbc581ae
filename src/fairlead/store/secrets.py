"""Secrets at rest: each account's data key, wrapped by the master key, in the table `data_keys`.

    secrets, keys = open_secrets(database, None, data, now_ms=clock.now_ms, entropy=os.urandom)
    with database.begin() as connection:
        key = secrets.data_key_for(connection, account)     # made if there is none yet
        sealed = secrets.seal(key, b"...", "provider_credentials/<id>/key")
    with database.read() as connection:
        key = secrets.data_key(connection, account)         # None: nothing was ever sealed, or it was destroyed

`check_value` in `meta` names the master key that this database's data keys are wrapped with: a process with
another one is told so before it does anything. It is written with the first data key, not earlier: until then
any key will do.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from fairlead.core.ids import AccountId
from fairlead.store.database import Database
from fairlead.store.master_key import KnownMasterKeys, MasterKeyUnusable
from fairlead.store.sealing import KEY_BYTES, DataKey, Entropy, MasterKeys
from fairlead.store.tables.installation import meta
from fairlead.store.tables.secrets import data_keys

__all__ = ["Secrets", "check_value", "open_secrets"]

CHECK_NAME: Final = "master_key"
ROTATED_AT_ONCE_MAX: Final = 500  # data keys in one transaction: milliseconds


def open_secrets(
    database: Database,
    configured: str | None,
    data: Path,
    *,
    now_ms: Callable[[], int],
    entropy: Entropy,
) -> tuple[Secrets, KnownMasterKeys]:
    """The secrets of a database with the configured master key, or that of the data directory.

    The first start makes one. Raises MasterKeyUnusable, also for one that is not this database's.
    """
    may_create = check_value(database) is None
    keys = KnownMasterKeys(configured, data, entropy=entropy, may_create=may_create)
    secrets = Secrets(database, keys, now_ms=now_ms, entropy=entropy)
    secrets.check()
    return secrets, keys


def check_value(database: Database) -> str | None:
    """The id of the master key that is in use here; None: nothing was sealed yet. Raises DatabaseUnreadable."""
    with database.read() as connection:
        return _check_value(connection)


def _check_value(connection: sa.Connection) -> str | None:
    return connection.execute(sa.select(meta.c.value).where(meta.c.name == CHECK_NAME)).scalar()


class Secrets:
    """The data keys of all accounts. Methods block, and raise DatabaseUnreadable if the database is away.

    keys: asked for whenever they are used, because they may be renewed while we run.
    """

    def __init__(
        self,
        database: Database,
        keys: Callable[[], MasterKeys],
        *,
        now_ms: Callable[[], int],
        entropy: Entropy,
    ) -> None:
        self._database = database
        self._keys = keys
        self._now_ms = now_ms
        self._entropy = entropy

    def check(self) -> None:
        """Raises MasterKeyUnusable if the database's secrets were sealed with a key that is not here."""
        found = check_value(self._database)
        keys = self._keys()
        if found is not None and not keys.knows(found):
            raise MasterKeyUnusable(
                f"the secrets in {self._database.name} were sealed with master key {found}, and this process"
                f" has {keys.current_id}: give every process the same one"
            )

    def data_key(self, connection: sa.Connection, account: AccountId) -> DataKey | None:
        """None: nothing of it was sealed, or its key was destroyed. Raises MasterKeyUnknown, Unsealable."""
        row = connection.execute(
            sa.select(data_keys.c.wrapped, data_keys.c.master_key_id).where(
                data_keys.c.account_id == account
            )
        ).one_or_none()
        return None if row is None else self._keys().unwrap(row.wrapped, account, row.master_key_id)

    def data_key_for(self, connection: sa.Connection, account: AccountId) -> DataKey:
        """The account's data key, made if there is none. In a transaction that writes.

        Raises MasterKeyUnusable if the database's other keys are wrapped with a master key that is not here.
        """
        found = self.data_key(connection, account)
        if found is not None:
            return found
        keys = self._keys()
        self._note(connection, keys)
        connection.execute(
            self._database.insert(data_keys)
            .values(
                account_id=account,
                master_key_id=keys.current_id,
                wrapped=keys.wrap(self._entropy(KEY_BYTES), account, self._entropy),
                created_ms=self._now_ms(),
            )
            .on_conflict_do_nothing()  # another process was quicker: its key counts
        )
        made = self.data_key(connection, account)
        assert made is not None
        return made

    def seal(self, key: DataKey, value: bytes, place: str) -> bytes:
        return key.seal(value, place, self._entropy)

    def destroy(self, connection: sa.Connection, account: AccountId) -> None:
        """Everything that was ever sealed for the account is gone with it."""
        connection.execute(sa.delete(data_keys).where(data_keys.c.account_id == account))

    def rotate(self, progress: Callable[[int], None] = lambda _count: None) -> int:
        """Wrap every data key with the current master key. Returns how many were wrapped with another.

        Can be broken off and begun again; meanwhile both keys must be here. progress: how many are done.
        Raises MasterKeyUnknown for one that is wrapped with a key that is not here: then nothing of that
        batch has changed.
        """
        keys = self._keys()
        count = 0
        while True:
            with self._database.begin() as connection:
                rows = connection.execute(
                    sa.select(data_keys)
                    .where(data_keys.c.master_key_id != keys.current_id)
                    .limit(ROTATED_AT_ONCE_MAX)
                    .with_for_update()
                ).all()
                for row in rows:
                    data_key = keys.unwrapped(row.wrapped, row.account_id, row.master_key_id)
                    connection.execute(
                        sa.update(data_keys)
                        .where(data_keys.c.account_id == row.account_id)
                        .values(
                            master_key_id=keys.current_id,
                            wrapped=keys.wrap(data_key, row.account_id, self._entropy),
                        )
                    )
                if not rows and _check_value(connection) is not None:
                    connection.execute(
                        sa.update(meta)
                        .where(meta.c.name == CHECK_NAME)
                        .values(value=keys.current_id)
                    )
            if not rows:
                return count
            count += len(rows)
            progress(count)

    def _note(self, connection: sa.Connection, keys: MasterKeys) -> None:
        """The first to seal anything says with which master key."""
        connection.execute(
            self._database.insert(meta)
            .values(name=CHECK_NAME, value=keys.current_id)
            .on_conflict_do_nothing()
        )
        found = _check_value(connection)
        assert found is not None
        if not keys.knows(found):
            raise MasterKeyUnusable(
                f"secrets in {self._database.name} are sealed with master key {found}, and this process has"
                f" {keys.current_id}: give every process the same one"
            )
