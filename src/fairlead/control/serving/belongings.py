"""What accounts have that their calls make use of, nearly always without waiting.

As with keys: every account in use is in memory (see lookups.py), a refresher asks the database about all of
them at once every second, and what has changed is known within two seconds.

An account that we know nothing of while the database is away gets Overloaded, as does one whose credentials do
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
from dataclasses import dataclass
from typing import Final

from fairlead.control.contents import queries as content_queries
from fairlead.control.credentials.service import Credentials
from fairlead.control.credentials.types import SealedCredential
from fairlead.control.serving.lookups import Absent, LookUps, Terms
from fairlead.core.belongings import NOTHING, Belongings, OwnCredential
from fairlead.core.byok import DEFAULT_TERMS, ByokTerms, byok_charge
from fairlead.core.caller import Caller
from fairlead.core.catalog import ProviderInfo
from fairlead.core.discount import discount_of
from fairlead.core.errors import Overloaded
from fairlead.core.ids import AccountId, ProviderSlug, UserId
from fairlead.core.money import NanoUSD
from fairlead.core.own_keys import OwnKey, OwnKeyInvalid, read_own_key
from fairlead.store.database import Database
from fairlead.store.sealing import MasterKeyUnknown, Unsealable

__all__ = ["BelongingsDirectory", "BelongingsReader"]

LOOK_UP_TERMS: Final = Terms(
    things="accounts",
    unknown="Your account cannot be looked up at the moment.",
    known_entries_max=10_000,
)
REFRESH_EVERY_S: Final = 0.8  # and answer_max_s, together: less than fresh_max_s
_NOTHING: Final = NanoUSD(0)

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """What an account has.

    list_cost, requests: of its calls with own credentials, this month, as far as they are settled.
    """

    belongings: Belongings
    list_cost: int = 0
    requests: int = 0


class BelongingsReader:
    """Asks the database, blocking; None: something of an account does not open.

    providers: of the catalogue in force.
    """

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

    def read_all(self, accounts: Sequence[AccountId]) -> dict[AccountId, Found | None]:
        """Of all accounts in use; whatever else was open is forgotten."""
        found, opened = self._read(accounts)
        self._opened = opened
        return found

    def read(self, account: AccountId) -> Found | None:
        found, _ = self._read([account])
        return found[account]

    def _read(
        self, accounts: Sequence[AccountId]
    ) -> tuple[dict[AccountId, Found | None], dict[str, tuple[int, tuple[OwnKey, ...]]]]:
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
        found: dict[AccountId, Found | None] = {}
        for account in accounts:
            contents, shared = policies.get(account, ({}, frozenset()))
            if account in broken:
                found[account] = None
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


_Answer = Found | Absent[str]


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
    ) -> None:
        self._reader = reader
        self._database = database
        self._monotonic_s = monotonic_s
        self._terms = terms
        self._discount_permille = discount_permille
        self._look_ups: LookUps[AccountId, Found, str] = LookUps(
            self._load, terms=LOOK_UP_TERMS, monotonic_s=monotonic_s
        )
        self._known = self._look_ups.known

    def peek(self, caller: Caller) -> Belongings | None:
        """What is known without waiting; None: ask `find`."""
        try:
            known = self._known[caller.account]  # for every call: hence no call of look_ups.peek
        except KeyError:
            return None
        now_s = self._monotonic_s()
        if now_s - known.checked_s >= self._look_ups.age_max_s:
            return None
        known.used_s = now_s
        return known.value.belongings

    async def find(self, caller: Caller) -> Belongings:
        """Asks the database, once for all who ask at the same time. Raises Overloaded."""
        found = await self._look_ups.find(caller.account)
        if isinstance(found, Absent):
            raise Overloaded(found.why)
        return found.belongings

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
        has = known.value
        used = has.list_cost if terms.allowance_requests is None else has.requests
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
        await self._look_ups.confirm(self._load_all)

    async def _load(self, account: AccountId, known: Found | None, timeout_s: float) -> _Answer:
        found = await self._database.run(self._reader.read, account, timeout_s=timeout_s)
        return _answer(found, known)

    async def _load_all(self, accounts: Sequence[AccountId]) -> dict[AccountId, _Answer]:
        known = {account: self._known[account].value for account in accounts}
        found = await self._database.run(self._reader.read_all, accounts)
        return {account: _answer(found[account], known[account]) for account in accounts}


def _answer(found: Found | None, known: Found | None) -> _Answer:
    """What is found. What it has in common with what is known stays the same object."""
    if found is None:
        return Absent("Your own provider keys cannot be opened at the moment.")
    if known is not None and known.belongings == found.belongings:
        return Found(known.belongings, found.list_cost, found.requests)
    return found
