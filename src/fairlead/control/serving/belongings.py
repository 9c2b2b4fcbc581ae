"""What accounts have that their calls make use of, nearly always without waiting.

As with keys: every account in use is in memory, a refresher asks the database about all of them at once every
second, and what has changed is known within two seconds. An answer that was not renewed in time is not given
out by `peek`; `find` then asks.

When the database is away, what it confirmed holds for `known_max_s` after that. An account that we know
nothing of
gets Overloaded, as does one whose credentials do not open: to go on without them could mean to spend credits,
or to send prompts, where the account does not want it.

Keys are opened when they are first seen and again when they have changed, and are in memory only as long as
their account calls.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from fairlead.control.contents import queries as content_queries
from fairlead.control.credentials.service import Credentials
from fairlead.control.credentials.types import SealedCredential
from fairlead.core.belongings import NOTHING, Belongings, OwnCredential
from fairlead.core.caller import Caller
from fairlead.core.catalog import ProviderInfo
from fairlead.core.errors import Overloaded
from fairlead.core.ids import AccountId, ProviderSlug, UserId
from fairlead.core.own_keys import OwnKey, OwnKeyInvalid, read_own_key
from fairlead.store.database import Database, DatabaseUnreadable
from fairlead.store.sealing import MasterKeyUnknown, Unsealable

__all__ = ["BelongingsDirectory", "BelongingsReader"]

REFRESH_EVERY_S: Final = 0.8
FRESH_MAX_S: Final = 2.0  # an answer this old is confirmed before it is given
KNOWN_MAX_S: Final = 600.0
IDLE_MAX_S: Final = 60.0
ACCOUNTS_MAX: Final = 10_000
LOOK_UPS_MAX: Final = 256

_LOG: Final = logging.getLogger(__name__)


class BelongingsReader:
    """Asks the database, blocking. providers: of the catalogue in force."""

    def __init__(
        self,
        database: Database,
        credentials: Credentials,
        providers: Callable[[], Mapping[ProviderSlug, ProviderInfo]],
    ) -> None:
        self._database = database
        self._credentials = credentials
        self._providers = providers
        # By credential: when it was changed last, and its keys. Replaced as a whole, by `read_all`.
        self._opened: dict[str, tuple[int, tuple[OwnKey, ...]]] = {}

    def read_all(self, accounts: Sequence[AccountId]) -> dict[AccountId, Belongings | None]:
        """Of all accounts in use; whatever else was open is forgotten. None: something of it does not open."""
        found, opened = self._read(accounts)
        self._opened = opened
        return found

    def read(self, account: AccountId) -> Belongings | None:
        found, _ = self._read([account])
        return found[account]

    def _read(
        self, accounts: Sequence[AccountId]
    ) -> tuple[dict[AccountId, Belongings | None], dict[str, tuple[int, tuple[OwnKey, ...]]]]:
        opened: dict[str, tuple[int, tuple[OwnKey, ...]]] = {}
        own: defaultdict[AccountId, list[OwnCredential]] = defaultdict(list)
        broken: set[AccountId] = set()
        with self._database.read() as connection:
            sealed = self._credentials.usable(connection, accounts)
            policies = content_queries.policies_of(connection, accounts)
            callers = {
                one.credential.id: frozenset(
                    self._credentials.keys_by_hash(
                        connection, one.credential.account, one.credential.allowed_key_hashes
                    ).values()
                )
                for one in sealed
                if one.credential.allowed_key_hashes is not None
            }
        for one in sealed:
            credential = one.credential
            try:
                keys = self._keys_of(one)
            except (MasterKeyUnknown, Unsealable, OwnKeyInvalid) as error:
                _LOG.error("credential %s cannot be opened: %s", credential.id, error)
                broken.add(credential.account)
                continue
            if keys is None:
                continue
            opened[credential.id] = (credential.updated_ms, keys)
            own[credential.account].append(
                OwnCredential(
                    id=credential.id,
                    provider=credential.provider,
                    keys=keys,
                    name=credential.name,
                    is_fallback=credential.is_fallback,
                    is_required=credential.is_required,
                    is_exclusive=credential.is_exclusive,
                    models=credential.allowed_models,
                    region=credential.region,
                    workspace=credential.workspace,
                    callers=callers.get(credential.id),
                    users=None
                    if credential.allowed_users is None
                    else frozenset(map(UserId, credential.allowed_users)),
                )
            )
        found: dict[AccountId, Belongings | None] = {}
        for account in accounts:
            contents, shared = policies.get(account, ({}, frozenset()))
            if account in broken:
                found[account] = None
            elif account in own or contents or shared:
                found[account] = Belongings(tuple(own.get(account, ())), contents, shared)
            else:
                found[account] = NOTHING
        return found, opened

    def _keys_of(self, sealed: SealedCredential) -> tuple[OwnKey, ...] | None:
        """None: its provider has left the catalogue."""
        credential = sealed.credential
        known = self._opened.get(credential.id)
        if known is not None and known[0] == credential.updated_ms:
            return known[1]
        info = self._providers().get(credential.provider)
        if info is None:
            return None
        return read_own_key(info, self._credentials.opened(sealed))


class _Known:
    """Changed in place: `peek` must be cheap."""

    __slots__ = ("belongings", "checked_s", "used_s")

    def __init__(self, belongings: Belongings, now_s: float) -> None:
        self.belongings = belongings
        self.checked_s = now_s
        self.used_s = now_s


class BelongingsDirectory:
    """Implements gateway.ports.Belongings. Belongs to one event loop.

    directory = BelongingsDirectory(reader, database, monotonic_s=time.monotonic)
    tasks.start(directory.run())
    belongings = directory.peek(caller) or await directory.find(caller)

    What an account has is the same object as long as it stays the same.
    """

    def __init__(
        self,
        reader: BelongingsReader,
        database: Database,
        *,
        monotonic_s: Callable[[], float],
        known_max_s: float = KNOWN_MAX_S,
        accounts_max: int = ACCOUNTS_MAX,
    ) -> None:
        self._reader = reader
        self._database = database
        self._monotonic_s = monotonic_s
        self._known_max_s = known_max_s
        self._accounts_max = accounts_max
        self._known: dict[AccountId, _Known] = {}
        self._look_ups: dict[AccountId, asyncio.Future[Belongings]] = {}
        self._age_max_s = FRESH_MAX_S

    def peek(self, caller: Caller) -> Belongings | None:
        """What is known without waiting; None: ask `find`."""
        known = self._known.get(caller.account)
        if known is None:
            return None
        now_s = self._monotonic_s()
        if now_s - known.checked_s > self._age_max_s:
            return None
        known.used_s = now_s
        return known.belongings

    async def find(self, caller: Caller) -> Belongings:
        """Asks the database, once for all who ask at the same time. Raises Overloaded."""
        account = caller.account
        while True:
            found = self.peek(caller)
            if found is not None:
                return found
            look_up = self._look_ups.get(account)
            if look_up is None:
                return await self._look_up(account)
            await asyncio.wait([look_up])
            if look_up.cancelled():
                continue  # the one who asked has left: another asks
            if isinstance(refusal := look_up.exception(), Overloaded):
                raise Overloaded(refusal.message)
            return look_up.result()

    async def run(self) -> None:
        """Confirms what every account in use has, for ever. Cancel it to stop."""
        while True:
            await self.refresh()
            await asyncio.sleep(REFRESH_EVERY_S)

    async def refresh(self) -> None:
        """Confirm all that is in use, once; forget the rest."""
        now_s = self._monotonic_s()
        is_away = self._age_max_s != FRESH_MAX_S
        self._known = {
            account: known
            for account, known in self._known.items()
            if now_s - known.checked_s <= self._known_max_s
            and (is_away or now_s - known.used_s <= IDLE_MAX_S)
        }
        accounts = list(self._known)
        if not accounts and not is_away:
            return
        try:
            found = await self._database.run(self._reader.read_all, accounts)
        except DatabaseUnreadable:
            self._age_max_s = self._known_max_s
            return
        self._age_max_s = FRESH_MAX_S
        for account in accounts:
            self._learn(account, found[account], asked_s=now_s)

    async def _look_up(self, account: AccountId) -> Belongings:
        if len(self._look_ups) >= LOOK_UPS_MAX:
            raise Overloaded("Too many accounts are being looked up at the moment.")
        look_up = self._look_ups[account] = asyncio.get_running_loop().create_future()
        try:
            belongings = await self._ask(account)
        except Overloaded as overloaded:
            look_up.set_exception(Overloaded(overloaded.message))
            look_up.exception()  # nobody may be waiting for it
            raise
        else:
            look_up.set_result(belongings)
            return belongings
        finally:
            look_up.cancel()  # unless it is done
            del self._look_ups[account]

    async def _ask(self, account: AccountId) -> Belongings:
        asked_s = self._monotonic_s()
        try:
            found = await self._database.run(self._reader.read, account)
        except DatabaseUnreadable as error:
            self._age_max_s = self._known_max_s
            known = self._known.get(account)
            if known is None or asked_s - known.checked_s > self._known_max_s:
                raise Overloaded("Your account cannot be looked up at the moment.") from error
            return known.belongings
        self._age_max_s = FRESH_MAX_S
        self._learn(account, found, asked_s=asked_s)
        if found is None:
            raise Overloaded("Your own provider keys cannot be opened at the moment.")
        return self._known[account].belongings

    def _learn(self, account: AccountId, found: Belongings | None, *, asked_s: float) -> None:
        """asked_s: when the question left; the answer cannot be newer than that."""
        if found is None:
            self._known.pop(account, None)
            return
        known = self._known.get(account)
        if known is None:
            if len(self._known) >= self._accounts_max:
                del self._known[next(iter(self._known))]
            self._known[account] = _Known(found, asked_s)
        elif asked_s >= known.checked_s:
            known.checked_s = asked_s
            if known.belongings != found:
                known.belongings = found
