"""Accounts' own credentials for providers: create, list, change, rotate, delete; and open them for calls."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import sqlalchemy as sa

from fairlead.control.audit.service import Audit
from fairlead.control.audit.types import OPERATOR, Actor
from fairlead.control.credentials import queries, rules
from fairlead.control.credentials.types import (
    Changes,
    CredentialId,
    CredentialInvalid,
    CredentialPage,
    CredentialUnknown,
    ProviderCredential,
    SealedCredential,
)
from fairlead.control.usage.calendar import month_start_ms
from fairlead.core.catalog import Snapshot, UnknownModel
from fairlead.core.errors import Overloaded
from fairlead.core.ids import (
    UUID_ENTROPY_BYTES,
    AccountId,
    KeyId,
    ModelId,
    WorkspaceId,
    random_uuid,
)
from fairlead.store.database import Database
from fairlead.store.master_key import MasterKeyUnusable
from fairlead.store.sealing import MasterKeys, MasterKeyUnknown, Unsealable
from fairlead.store.secrets import Secrets

__all__ = ["Credentials"]

PAGE_MAX: Final = 100

_LOG: Final = logging.getLogger(__name__)


class Credentials:
    """All accounts' own credentials. Methods block.

    credentials = Credentials(database, secrets, keys, snapshot, now_ms=clock.now_ms, entropy=os.urandom)
    made = credentials.create(account, provider="openai", key="sk-...", workspace=None)
    page = credentials.page(account, workspace=None, provider=None, offset=0, limit=50)

    snapshot: the catalogue in force. keys: the master keys. audit: where changes are noted; None: nowhere.
    actor: who does it.
    All raise DatabaseUnreadable if the database is away; those that name a credential raise CredentialUnknown.
    """

    def __init__(
        self,
        database: Database,
        secrets: Secrets,
        keys: Callable[[], MasterKeys],
        snapshot: Callable[[], Snapshot],
        *,
        now_ms: Callable[[], int],
        entropy: Callable[[int], bytes],
        audit: Audit | None = None,
    ) -> None:
        self._database = database
        self._secrets = secrets
        self._keys = keys
        self._snapshot = snapshot
        self._now_ms = now_ms
        self._entropy = entropy
        self._audit = audit

    def create(
        self,
        account: AccountId,
        *,
        provider: str,
        key: str,
        workspace: WorkspaceId | None,
        is_global: bool = False,
        settings: Changes = Changes(),  # noqa: B008 - it is frozen
        actor: Actor = OPERATOR,
    ) -> ProviderCredential:
        """workspace: None: the default one, or with `is_global` all of them.

        Raises CredentialInvalid; Overloaded if nothing can be sealed here.
        """
        info = rules.provider_of(provider, self._snapshot().providers)
        label = rules.label_of(info, key)
        settings = rules.checked_changes(settings, model_named=self._model_named)
        now_ms = self._now_ms()
        with self._database.begin() as connection:
            self._database.lock(connection, f"credentials {account}")
            place = None if is_global else self._workspace(connection, account, workspace)
            if queries.count(connection, account) >= rules.CREDENTIALS_MAX:
                raise CredentialInvalid(
                    f"an account has at most {rules.CREDENTIALS_MAX} credentials", param="key"
                )
            new = ProviderCredential(
                id=CredentialId(random_uuid(self._entropy(UUID_ENTROPY_BYTES))),
                account=account,
                workspace=place,
                provider=info.slug,
                label=label,
                name=None,
                is_disabled=False,
                is_fallback=False,
                is_required=False,
                is_exclusive=False,
                region=None,
                sort_order=queries.next_order(connection, account, info.slug),
                allowed_models=None,
                allowed_key_hashes=None,
                allowed_users=None,
                created_ms=now_ms,
                updated_ms=now_ms,
            )
            credential = rules.changed(new, settings, label=None, now_ms=now_ms)
            self._check_owned(connection, account, settings)
            queries.insert(connection, credential, self._sealed(connection, credential, key))
            self._note(connection, actor, "credential.create", credential)
        return credential

    def page(
        self,
        account: AccountId,
        *,
        workspace: WorkspaceId | None,
        provider: str | None,
        offset: int,
        limit: int,
    ) -> CredentialPage:
        """Those usable in a workspace, by provider and order. workspace: None: the default one.

        Raises CredentialInvalid for a workspace that is not the account's.
        """
        with self._database.read() as connection:
            place = self._workspace(connection, account, workspace)
            found, total = queries.page(
                connection,
                account,
                workspace=place,
                provider=provider,
                offset=offset,
                limit=min(limit, PAGE_MAX),
            )
        return CredentialPage(tuple(found), total)

    def find(self, account: AccountId, credential: CredentialId) -> ProviderCredential:
        with self._database.read() as connection:
            found = queries.by_id(connection, account, credential)
        return _known(found, credential)

    def change(
        self,
        account: AccountId,
        credential: CredentialId,
        changes: Changes,
        *,
        actor: Actor = OPERATOR,
    ) -> ProviderCredential:
        """A new key takes the place of the old one, which is gone. Gateways follow within two seconds.

        Raises CredentialInvalid, Overloaded.
        """
        changes = rules.checked_changes(changes, model_named=self._model_named)
        key = changes.key
        with self._database.begin() as connection:
            before = _known(queries.by_id(connection, account, credential, locked=True), credential)
            label = None
            if isinstance(key, str):
                info = rules.provider_of(before.provider, self._snapshot().providers)
                label = rules.label_of(info, key)
            after = rules.changed(before, changes, label=label, now_ms=self._now_ms())
            self._check_owned(connection, account, changes)
            sealed = self._sealed(connection, after, key) if isinstance(key, str) else None
            queries.update(connection, after, sealed)
            self._note(connection, actor, "credential.update", after)
        return after

    def delete(
        self, account: AccountId, credential: CredentialId, *, actor: Actor = OPERATOR
    ) -> None:
        """For good: the row stays, for records that name it, and nothing secret is left in it."""
        with self._database.begin() as connection:
            found = _known(queries.by_id(connection, account, credential, locked=True), credential)
            if not queries.wipe(connection, account, credential, now_ms=self._now_ms()):
                raise _unknown(credential)
            self._note(connection, actor, "credential.delete", found)

    # For calls.

    def usable(
        self, connection: sa.Connection, accounts: Sequence[AccountId]
    ) -> list[SealedCredential]:
        """What calls of these accounts may use, still sealed, in the order of trying."""
        return [
            one
            for start in range(0, len(accounts), queries.ACCOUNTS_MAX)
            for one in queries.usable(connection, accounts[start : start + queries.ACCOUNTS_MAX])
        ]

    def keys_by_hash(
        self, connection: sa.Connection, account: AccountId, hashes: Sequence[str]
    ) -> Mapping[str, KeyId]:
        return queries.keys_by_hash(connection, account, hashes)

    def used_this_month(
        self, connection: sa.Connection, accounts: Sequence[AccountId]
    ) -> Mapping[AccountId, tuple[int, int]]:
        """List price (nanodollars) and number of calls with own credentials, as far as they are settled."""
        since_ms = month_start_ms(self._now_ms())
        return {
            account: used
            for start in range(0, len(accounts), queries.ACCOUNTS_MAX)
            for account, used in queries.byok_used(
                connection, accounts[start : start + queries.ACCOUNTS_MAX], since_ms=since_ms
            ).items()
        }

    def opened(self, sealed: SealedCredential) -> str:
        """What the account wrote as its key. Raises MasterKeyUnknown, Unsealable."""
        credential = sealed.credential
        data_key = self._keys().unwrap(sealed.wrapped, credential.account, sealed.master_key_id)
        return data_key.unseal(sealed.sealed, rules.place_of(credential.id)).decode()

    def _note(
        self, connection: sa.Connection, actor: Actor, action: str, credential: ProviderCredential
    ) -> None:
        """label: of the key that it has from now on, or had last."""
        if self._audit is not None:
            self._audit.note(
                connection, credential.account, actor, action, credential.id,
                provider=credential.provider, name=credential.name, label=credential.label,
            )  # fmt: skip

    def _sealed(self, connection: sa.Connection, credential: ProviderCredential, key: str) -> bytes:
        try:
            data_key = self._secrets.data_key_for(connection, credential.account)
        except (MasterKeyUnusable, MasterKeyUnknown, Unsealable) as error:
            _LOG.error("a credential cannot be sealed: %s", error)
            raise Overloaded("Credentials cannot be kept here at the moment.") from error
        return self._secrets.seal(data_key, key.strip().encode(), rules.place_of(credential.id))

    def _workspace(
        self, connection: sa.Connection, account: AccountId, workspace: WorkspaceId | None
    ) -> WorkspaceId:
        if workspace is None:
            found = queries.default_workspace(connection, account)
            if found is None:
                raise CredentialInvalid(
                    "the default workspace was deleted: name one", param="workspace_id"
                )
            return found
        if not queries.has_workspace(connection, account, workspace):
            raise CredentialInvalid("this account has no such workspace", param="workspace_id")
        return workspace

    def _check_owned(self, connection: sa.Connection, account: AccountId, changes: Changes) -> None:
        hashes, users = changes.allowed_key_hashes, changes.allowed_users
        if isinstance(hashes, tuple):
            known = queries.keys_by_hash(connection, account, hashes)
            for number, one in enumerate(hashes):
                if one not in known:
                    raise CredentialInvalid(
                        "this account has no live key with this hash",
                        param=f"allowed_api_key_hashes[{number}]",
                    )
        if isinstance(users, tuple):
            members = queries.known_users(connection, account, users)
            for number, user in enumerate(users):
                if user not in members:
                    raise CredentialInvalid(
                        "this account has no such member", param=f"allowed_user_ids[{number}]"
                    )

    def _model_named(self, name: str) -> ModelId | None:
        found = self._snapshot().resolve(name)
        return None if isinstance(found, UnknownModel) or found.variants else found.model.id


def _known(found: ProviderCredential | None, credential: CredentialId) -> ProviderCredential:
    if found is None:
        raise _unknown(credential)
    return found


def _unknown(credential: CredentialId) -> CredentialUnknown:
    return CredentialUnknown(f"this account has no credential {credential[:64]}")
