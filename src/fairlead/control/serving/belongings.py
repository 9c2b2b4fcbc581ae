"""What accounts have that their calls make use of, nearly always without waiting.

As with keys: every account in use is in memory, a refresher asks the database about all of them at once every
second, and what has changed is known within two seconds. An answer that was not renewed in time is not given
out by `peek`; `find` then asks.

When the database is away, what it confirmed holds for `known_max_s` after that; one that has said nothing for
a second counts as away. An account that we know nothing of gets Overloaded, as does one whose credentials do
not open: to go on without them could mean to spend credits, or to send prompts, where the account does not want
it.

Keys are opened when they are first seen and again when they have changed, and are in memory only as long as
their account calls.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from fairlead.control.contents import queries as content_queries
from fairlead.control.credentials.service import Credentials
from fairlead.control.credentials.types import SealedCredential
from fairlead.core.belongings import NOTHING, Belongings, OwnCredential
from fairlead.core.byok import DEFAULT_TERMS, ByokTerms, byok_charge
from fairlead.core.caller import Caller
from fairlead.core.catalog import ProviderInfo
from fairlead.core.discount import discount_of
from fairlead.core.errors import Overloaded
from fairlead.core.ids import AccountId, ProviderSlug, UserId
from fairlead.core.money import NanoUSD
from fairlead.core.own_keys import OwnKey, OwnKeyInvalid, read_own_key
from fairlead.store.database import Database, DatabaseUnreadable
from fairlead.store.sealing import MasterKeyUnknown, Unsealable

__all__ = ["BelongingsDirectory", "BelongingsReader"]

REFRESH_EVERY_S: Final = 0.8
FRESH_MAX_S: Final = 2.0  # an answer this old is confirmed before it is given
KNOWN_MAX_S: Final = 600.0
ANSWER_MAX_S: Final = 1.0  # together with REFRESH_EVERY_S less than FRESH_MAX_S, as with keys
FIND_MAX_S: Final = 5.0  # for an account that only the database knows, its caller waits so long
IDLE_MAX_S: Final = 60.0
ACCOUNTS_MAX: Final = 10_000
LOOK_UPS_MAX: Final = 256
_NOTHING: Final = NanoUSD(0)

_LOG: Final = logging.getLogger(__name__)


class Found(NamedTuple):
    """What an account has; None: something of it does not open.

    list_cost, requests: of its calls with own credentials, this month, as far as they are settled.
    """

    belongings: Belongings | None
    list_cost: int = 0
    requests: int = 0


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

    def read_all(self, accounts: Sequence[AccountId]) -> dict[AccountId, Found]:
        """Of all accounts in use; whatever else was open is forgotten."""
        found, opened = self._read(accounts)
        self._opened = opened
        return found

    def read(self, account: AccountId) -> Found:
        found, _ = self._read([account])
        return found[account]

    def _read(
        self, accounts: Sequence[AccountId]
    ) -> tuple[dict[AccountId, Found], dict[str, tuple[int, tuple[OwnKey, ...]]]]:
        opened: dict[str, tuple[int, tuple[OwnKey, ...]]] = {}
        own: defaultdict[AccountId, list[OwnCredential]] = defaultdict(list)
        broken: set[AccountId] = set()
        with self._database.read() as connection:
            sealed = self._credentials.usable(connection, accounts)
            bringing = list(dict.fromkeys([one.credential.account for one in sealed]))
            used = self._credentials.used_this_month(connection, bringing)
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
        found: dict[AccountId, Found] = {}
        for account in accounts:
            contents, shared = policies.get(account, ({}, frozenset()))
            if account in broken:
                found[account] = Found(None)
            elif account in own or contents or shared:
                has = Belongings(tuple(own.get(account, ())), contents, shared)
                found[account] = Found(has, *used.get(account, (0, 0)))
            else:
                found[account] = Found(NOTHING)
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

    __slots__ = ("belongings", "checked_s", "list_cost", "requests", "used_s")

    def __init__(self, belongings: Belongings, found: Found, now_s: float) -> None:
        self.belongings = belongings
        self.list_cost = found.list_cost
        self.requests = found.requests
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
        terms: ByokTerms = DEFAULT_TERMS,
        discount_permille: int = 0,
        known_max_s: float = KNOWN_MAX_S,
        accounts_max: int = ACCOUNTS_MAX,
    ) -> None:
        self._reader = reader
        self._database = database
        self._monotonic_s = monotonic_s
        self._terms = terms
        self._discount_permille = discount_permille
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

    def fee(self, caller: Caller, list_cost: NanoUSD) -> NanoUSD:
        """For a call with a credential of the account's own.

        What its calls have used of the month's allowance is known as far as they are settled, a second or two
        ago: calls of that time are judged alike, so that an account may have a little more free than it was
        promised, and never less.
        """
        terms = self._terms
        known = self._known.get(caller.account)
        if terms.is_free or known is None:
            return _NOTHING
        whole = terms.allowance_units
        used = known.list_cost if terms.allowance_requests is None else known.requests
        left = None if whole is None else whole - used
        return byok_charge(list_cost, left_units=left, terms=terms).fee

    def discount(self, caller: Caller, has: Belongings, cost: NanoUSD) -> NanoUSD:
        """What is taken off for a workspace that lets us use what it sends."""
        if caller.workspace not in has.shared:
            return _NOTHING
        return discount_of(cost, self._discount_permille)

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
        overdue = asyncio.get_running_loop().call_later(ANSWER_MAX_S, self._database_is_away)
        try:
            found = await self._database.run(self._reader.read_all, accounts)
        except DatabaseUnreadable:
            self._database_is_away()
            return
        finally:
            overdue.cancel()
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
        is_away = self._age_max_s != FRESH_MAX_S
        patience_s = ANSWER_MAX_S if is_away or account in self._known else FIND_MAX_S
        try:
            found = await self._database.run(self._reader.read, account, timeout_s=patience_s)
        except DatabaseUnreadable as error:
            self._database_is_away()
            known = self._known.get(account)
            if known is None or asked_s - known.checked_s > self._known_max_s:
                raise Overloaded("Your account cannot be looked up at the moment.") from error
            return known.belongings
        self._age_max_s = FRESH_MAX_S
        self._learn(account, found, asked_s=asked_s)
        if found.belongings is None:
            raise Overloaded("Your own provider keys cannot be opened at the moment.")
        return self._known[account].belongings

    def _database_is_away(self) -> None:
        self._age_max_s = self._known_max_s

    def _learn(self, account: AccountId, found: Found, *, asked_s: float) -> None:
        """asked_s: when the question left; the answer cannot be newer than that."""
        has = found.belongings
        if has is None:
            self._known.pop(account, None)
            return
        known = self._known.get(account)
        if known is None:
            if len(self._known) >= self._accounts_max:
                del self._known[next(iter(self._known))]
            self._known[account] = _Known(has, found, asked_s)
        elif asked_s >= known.checked_s:
            known.checked_s = asked_s
            known.list_cost, known.requests = found.list_cost, found.requests
            if known.belongings != has:
                known.belongings = has
