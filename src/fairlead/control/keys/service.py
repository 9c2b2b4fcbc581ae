"""API keys: create, show once, list, change, disable, revoke, rotate, delete, find by digest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Final

import sqlalchemy as sa

from fairlead.control.accounts.rules import default_workspace
from fairlead.control.audit.service import Audit
from fairlead.control.audit.types import OPERATOR, Actor
from fairlead.control.keys import queries, rules
from fairlead.control.keys.types import (
    ApiKey,
    FoundKey,
    KeyChange,
    KeyUnknown,
    LimitReset,
    NewKey,
)
from fairlead.control.workspaces.types import SpendingLimits
from fairlead.core.budgets.types import key_budget
from fairlead.core.ids import ID_ENTROPY_BYTES, AccountId, KeyId, UserId, WorkspaceId
from fairlead.core.money import NanoUSD
from fairlead.store.database import Database

__all__ = ["Keys", "LiveKeys"]

PAGE_MAX: Final = 1000


class Keys:
    """All API keys. Methods block: call them from a thread, or `await database.run(keys.page, ...)`.

    keys = Keys(database, now_ms=clock.now_ms, entropy=os.urandom, audit=audit, limits=budgets)
    new = keys.create(account.id, name="laptop")
    print(new.secret)  # the only time that it exists outside the caller's hands

    now_ms: wall-clock time. entropy: that many unpredictable bytes.
    audit: where changes are noted; None: nowhere. limits: what keeps keys within theirs; None: they are
    written down only. actor: who does it.
    All raise DatabaseUnreadable if the database is away; those that name a key raise KeyUnknown, also for
    one that was deleted.
    """

    def __init__(
        self,
        database: Database,
        *,
        now_ms: Callable[[], int],
        entropy: Callable[[int], bytes],
        audit: Audit | None = None,
        limits: SpendingLimits | None = None,
    ) -> None:
        self._database = database
        self._now_ms = now_ms
        self._entropy = entropy
        self._audit = audit
        self._limits = limits

    def create(
        self,
        account: AccountId,
        *,
        name: str,
        is_management: bool = False,
        limit: NanoUSD | None = None,
        limit_reset: LimitReset | None = None,
        includes_byok: bool = False,
        expires_ms: int | None = None,
        requests_per_minute: int | None = None,
        requests_per_day: int | None = None,
        workspace: WorkspaceId | None = None,
        creator: UserId | None = None,
        actor: Actor = OPERATOR,
    ) -> NewKey:
        """workspace: one of the account's; None: its default one. requests_per_*: at least 1.
        creator: None: the person whose account it is.

        Raises KeyInvalid, which names the field; sqlalchemy.exc.IntegrityError if there is no such account.
        """
        with self._database.begin() as connection:
            return self.create_within(
                connection,
                account,
                name=name,
                is_management=is_management,
                limit=limit,
                limit_reset=limit_reset,
                includes_byok=includes_byok,
                expires_ms=expires_ms,
                requests_per_minute=requests_per_minute,
                requests_per_day=requests_per_day,
                workspace=workspace,
                creator=creator,
                actor=actor,
            )

    def create_within(
        self,
        connection: sa.Connection,
        account: AccountId,
        *,
        name: str,
        is_management: bool = False,
        limit: NanoUSD | None = None,
        limit_reset: LimitReset | None = None,
        includes_byok: bool = False,
        expires_ms: int | None = None,
        requests_per_minute: int | None = None,
        requests_per_day: int | None = None,
        workspace: WorkspaceId | None = None,
        creator: UserId | None = None,
        app_id: int | None = None,
        actor: Actor = OPERATOR,
    ) -> NewKey:
        """The same in a transaction of yours. app_id: of the app that it is for."""
        assert requests_per_minute is None or requests_per_minute > 0
        assert requests_per_day is None or requests_per_day > 0
        now_ms = self._now_ms()
        rules.check_limit(limit)
        rules.check_expiry(expires_ms, now_ms=now_ms)
        secret = rules.secret(
            self._entropy(rules.SECRET_ENTROPY_BYTES), is_management=is_management
        )
        key = ApiKey(
            id=rules.key_id(now_ms, self._entropy(ID_ENTROPY_BYTES)),
            account=account,
            digest=rules.digest(secret),
            label=rules.label(secret),
            name=rules.name(name),
            is_management=is_management,
            is_disabled=False,
            limit=limit,
            limit_reset=limit_reset,
            created_ms=now_ms,
            expires_ms=expires_ms,
            revoked_ms=None,
            requests_per_minute=requests_per_minute,
            requests_per_day=requests_per_day,
            workspace=workspace or default_workspace(account),
            creator=creator or queries.person_of(connection, account),
            includes_byok=includes_byok,
            app_id=app_id,
        )
        queries.insert(connection, key)
        self._keep_limit(connection, key)
        self._note(connection, actor, "key.create", key)
        return NewKey(key, secret)

    def find(self, account: AccountId, key: KeyId) -> ApiKey:
        with self._database.read() as connection:
            return _there(queries.by_id(connection, account, key))

    def find_by_digest(self, account: AccountId, digest: bytes) -> ApiKey:
        with self._database.read() as connection:
            return _there(queries.by_digest(connection, account, digest))

    def page(
        self,
        account: AccountId,
        *,
        after: KeyId | None = None,
        limit: int = PAGE_MAX,
    ) -> list[ApiKey]:
        """The account's keys in the order of creation, at most `limit` behind the key `after`."""
        with self._database.read() as connection:
            return queries.page(
                connection, account, after=after or KeyId(""), limit=min(limit, PAGE_MAX)
            )

    def page_of_workspace(
        self,
        account: AccountId,
        workspace: WorkspaceId,
        *,
        creator: UserId | None = None,
        with_disabled: bool = False,
        offset: int = 0,
        limit: int = PAGE_MAX,
    ) -> list[ApiKey]:
        """The workspace's keys, the newest first. creator: only theirs. with_disabled: and revoked ones."""
        with self._database.read() as connection:
            return queries.page_of_workspace(
                connection,
                account,
                workspace,
                creator=creator,
                with_disabled=with_disabled,
                offset=offset,
                limit=min(limit, PAGE_MAX),
            )

    def find_all(self, account: AccountId, ids: Collection[KeyId]) -> list[ApiKey]:
        """Those of the account, deleted ones too. ids: at most 500."""
        with self._database.read() as connection:
            return queries.by_ids(connection, account, ids)

    def page_of_management(
        self, account: AccountId, *, offset: int = 0, limit: int = PAGE_MAX
    ) -> list[ApiKey]:
        """The account's keys for managing, the newest first, disabled and revoked ones too."""
        with self._database.read() as connection:
            return queries.page_of_management(
                connection, account, offset=offset, limit=min(limit, PAGE_MAX)
            )

    def update(
        self,
        account: AccountId,
        key: KeyId,
        change: KeyChange,
        *,
        only_stricter: bool = False,
        actor: Actor = OPERATOR,
    ) -> ApiKey:
        """Gateways follow within two seconds. only_stricter: it may do no more than before.

        Raises KeyInvalid, which names the field.
        """
        with self._database.begin() as connection:
            before = self._locked(connection, account, key)
            if only_stricter:
                rules.check_stricter(before, change)
            after = rules.changed(before, change, now_ms=self._now_ms())
            queries.save(connection, after)
            if _limits(before) != _limits(after):
                self._keep_limit(connection, after)
            self._note(connection, actor, "key.update", after)
        return after

    def revoke(self, account: AccountId, key: KeyId, *, actor: Actor = OPERATOR) -> ApiKey:
        """For good. Again is fine. Gateways stop honouring it within two seconds."""
        with self._database.begin() as connection:
            found = self._locked(connection, account, key)
            if found.revoked_ms is None:
                found = replace(found, revoked_ms=self._now_ms(), updated_ms=self._now_ms())
                queries.save(connection, found)
                self._note(connection, actor, "key.revoke", found)
        return found

    def delete(self, account: AccountId, key: KeyId, *, actor: Actor = OPERATOR) -> None:
        """For good, and nobody sees it any more; what it used stays."""
        with self._database.begin() as connection:
            found = self._locked(connection, account, key)
            now_ms = self._now_ms()
            gone = replace(
                found,
                revoked_ms=now_ms if found.revoked_ms is None else found.revoked_ms,
                updated_ms=now_ms,
                deleted_ms=now_ms,
            )
            queries.save(connection, gone)
            self._note(connection, actor, "key.delete", gone)

    def disable(self, account: AccountId, key: KeyId, *, actor: Actor = OPERATOR) -> ApiKey:
        """Until `enable`."""
        return self.update(account, key, KeyChange(is_disabled=True), actor=actor)

    def enable(self, account: AccountId, key: KeyId, *, actor: Actor = OPERATOR) -> ApiKey:
        """Undoes `disable`. Raises KeyInvalid for a revoked key, which stays revoked."""
        return self.update(account, key, KeyChange(is_disabled=False), actor=actor)

    def rotate(self, account: AccountId, key: KeyId, *, actor: Actor = OPERATOR) -> NewKey:
        """Another secret for the same key: what it has spent and may spend stays. The old one opens nothing
        after two seconds. Raises KeyInvalid for a revoked key."""
        with self._database.begin() as connection:
            found = self._locked(connection, account, key)
            rules.check_rotation(found)
            secret = rules.secret(
                self._entropy(rules.SECRET_ENTROPY_BYTES), is_management=found.is_management
            )
            rotated = replace(
                found,
                digest=rules.digest(secret),
                label=rules.label(secret),
                updated_ms=self._now_ms(),
            )
            queries.save(connection, rotated)
            self._note(connection, actor, "key.rotate", rotated)
        return NewKey(rotated, secret)

    def by_digests(self, digests: Sequence[bytes]) -> dict[bytes, FoundKey]:
        """Those that exist, in one consistent view, revoked and deleted ones too."""
        found: dict[bytes, FoundKey] = {}
        with self._database.read() as connection:
            for start in range(0, len(digests), queries.DIGESTS_MAX):
                chunk = digests[start : start + queries.DIGESTS_MAX]
                found |= queries.by_digests(connection, chunk)
        return found

    def _locked(self, connection: sa.Connection, account: AccountId, key: KeyId) -> ApiKey:
        """Of those that change a key, one at a time."""
        self._database.lock(connection, f"key {key}")
        return _there(queries.by_id(connection, account, key))

    def _keep_limit(self, connection: sa.Connection, key: ApiKey) -> None:
        if self._limits is None:
            return
        budget = key_budget(key.id)
        if key.limit is None:
            self._limits.remove(connection, budget)
            return
        self._limits.define(
            connection,
            budget=budget,
            account=key.account,
            limit=key.limit,
            reset=None if key.limit_reset is None else key.limit_reset.value,
            counts_byok=key.includes_byok,
        )

    def _note(self, connection: sa.Connection, actor: Actor, action: str, key: ApiKey) -> None:
        if self._audit is not None:
            self._audit.note(
                connection, key.account, actor, action, key.id, name=key.name, label=key.label
            )


class LiveKeys:
    """Implements control.workspaces.types.ActiveKeys."""

    def __init__(self, *, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms

    def count(
        self,
        connection: sa.Connection,
        workspace: WorkspaceId,
        *,
        creators: Collection[UserId] | None = None,
    ) -> int:
        return queries.count_live(connection, workspace, creators=creators)

    def delete_chat(
        self,
        connection: sa.Connection,
        account: AccountId,
        workspace: WorkspaceId,
        *,
        creators: Collection[UserId] | None = None,
    ) -> None:
        queries.delete_chat(
            connection,
            account=account,
            workspace=workspace,
            creators=creators,
            now_ms=self._now_ms(),
        )

    def digests(self, connection: sa.Connection, workspace: WorkspaceId) -> dict[KeyId, bytes]:
        return queries.live_digests(connection, workspace)


def _there(key: ApiKey | None) -> ApiKey:
    if key is None or key.deleted_ms is not None:
        raise KeyUnknown("this account has no such key")
    return key


def _limits(key: ApiKey) -> tuple[NanoUSD | None, LimitReset | None, bool]:
    return key.limit, key.limit_reset, key.includes_byok
