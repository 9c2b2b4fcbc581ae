"""API keys: create, show once, list, disable, revoke, find by digest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from fairlead.control.keys import queries, rules
from fairlead.control.keys.types import ApiKey, FoundKey, KeyUnknown, LimitReset, NewKey
from fairlead.core.ids import AccountId, KeyId
from fairlead.core.money import NanoUSD
from fairlead.store.database import Database

__all__ = ["Keys"]

PAGE_MAX: Final = 1000


class Keys:
    """All API keys. Methods block: call them from a thread, or `await database.run(keys.page, ...)`.

    keys = Keys(database, now_ms=clock.now_ms, entropy=os.urandom)
    new = keys.create(account.id, name="laptop")
    print(new.secret)  # the only time that it exists outside the caller's hands

    now_ms: wall-clock time. entropy: that many unpredictable bytes.
    All raise DatabaseUnreadable if the database is away; those that name a key raise KeyUnknown.
    """

    def __init__(
        self,
        database: Database,
        *,
        now_ms: Callable[[], int],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._database = database
        self._now_ms = now_ms
        self._entropy = entropy

    def create(
        self,
        account: AccountId,
        *,
        name: str,
        is_management: bool = False,
        limit: NanoUSD | None = None,
        limit_reset: LimitReset | None = None,
        expires_ms: int | None = None,
        requests_per_minute: int | None = None,
        requests_per_day: int | None = None,
    ) -> NewKey:
        """requests_per_*: at least 1.

        Raises KeyNameInvalid; sqlalchemy.exc.IntegrityError if there is no such account.
        """
        assert requests_per_minute is None or requests_per_minute > 0
        assert requests_per_day is None or requests_per_day > 0
        now_ms = self._now_ms()
        secret = rules.secret(
            self._entropy(rules.SECRET_ENTROPY_BYTES), is_management=is_management
        )
        key = ApiKey(
            id=rules.key_id(now_ms, self._entropy(rules.ID_ENTROPY_BYTES)),
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
        )
        with self._database.begin() as connection:
            queries.insert(connection, key)
        return NewKey(key, secret)

    def find(self, account: AccountId, key: KeyId) -> ApiKey:
        with self._database.read() as connection:
            found = queries.by_id(connection, account, key)
        if found is None:
            raise KeyUnknown(f"this account has no key {key}")
        return found

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

    def revoke(self, account: AccountId, key: KeyId) -> ApiKey:
        """For good. Again is fine. Gateways stop honouring it within two seconds."""
        with self._database.begin() as connection:
            queries.revoke(connection, account, key, now_ms=self._now_ms())
        return self.find(account, key)

    def disable(self, account: AccountId, key: KeyId) -> ApiKey:
        """Until `enable`."""
        with self._database.begin() as connection:
            queries.set_disabled(connection, account, key, is_disabled=True)
        return self.find(account, key)

    def enable(self, account: AccountId, key: KeyId) -> ApiKey:
        """Undoes `disable`; a revoked key stays revoked."""
        with self._database.begin() as connection:
            queries.set_disabled(connection, account, key, is_disabled=False)
        return self.find(account, key)

    def by_digests(self, digests: Sequence[bytes]) -> dict[bytes, FoundKey]:
        """Those that exist, in one consistent view, revoked ones too."""
        found: dict[bytes, FoundKey] = {}
        with self._database.read() as connection:
            for start in range(0, len(digests), queries.DIGESTS_MAX):
                chunk = digests[start : start + queries.DIGESTS_MAX]
                found |= queries.by_digests(connection, chunk)
        return found
