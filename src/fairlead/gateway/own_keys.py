"""Callers' own credentials: what opens providers for a caller, and with what.

    belongings = services.belongings.peek(caller) or await services.belongings.find(caller)
    access = own_keys.access_of(belongings, caller, credentials.access)
    ...
    credential = await own_keys.open(belongings, choice.endpoint.provider, choice.key)

For each provider come the caller's prioritized credentials in their order, then the installation's, then the
caller's fallbacks. An opening is named by its credential's id, with a number where one credential holds
several keys.

Where a provider gives tokens for a statement, the first call of an account signs in, and so does the first one
after half of the token's life; nobody keeps accounts signed in that do not call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from fairlead.core.belongings import Belongings, OwnCredential
from fairlead.core.caller import Caller
from fairlead.core.catalog import ProviderInfo
from fairlead.core.data_regions import region_of
from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.core.ids import ProviderSlug
from fairlead.core.own_keys import OwnKey
from fairlead.core.routing.types import Access, Opening
from fairlead.gateway.credentials import Configured, blanks
from fairlead.gateway.google_sign_in import (
    GoogleSignIn,
    SignInFailed,
    SignInInvalid,
    Token,
    read_account,
)
from fairlead.gateway.ports import Clock
from fairlead.gateway.upstream import TransportFailure, UpstreamClient
from fairlead.providers.base import Credential

__all__ = ["OwnKeys"]

ACCESSES_MAX: Final = 4096  # of callers with credentials of their own; some hundred bytes each
SIGN_INS_MAX: Final = 1024  # a token of 1 KiB each

Providers = Callable[[], Mapping[ProviderSlug, ProviderInfo]]


@dataclass(slots=True)
class _SignedIn:
    sign_in: GoogleSignIn
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    renew_at_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _KnownAccess:
    """What an access was made of: as long as these are the same objects, so is it."""

    belongings: Belongings
    shared: Access
    access: Access


class OwnKeys:
    """Opens providers with what callers have. Belongs to one event loop.

    providers: of the catalogue in force. configured: what the operator said of providers: where they are, and
        which are never used.
    """

    def __init__(
        self,
        providers: Providers,
        configured: Callable[[], Mapping[ProviderSlug, Configured]],
        *,
        client: UpstreamClient,
        clock: Clock,
    ) -> None:
        self._providers = providers
        self._configured = configured
        self._client = client
        self._clock = clock
        self._accesses: dict[tuple[str, ...], _KnownAccess] = {}
        self._sign_ins: dict[bytes, _SignedIn] = {}

    def access_of(self, belongings: Belongings, caller: Caller, shared: Access) -> Access:
        """What opens each provider for a caller. shared: the installation's; it is it, for nearly everybody.

        The same object for all callers who may use the same credentials, as long as nothing changes: routing
        keeps what follows from it.
        """
        if not belongings.credentials:
            return shared
        own = [one for one in belongings.credentials if one.is_for(caller)]
        if not own:
            return shared
        key = tuple([one.id for one in own])
        known = self._accesses.get(key)
        if known is not None and known.belongings is belongings and known.shared is shared:
            return known.access
        access = self._joined(own, shared)
        self._accesses.pop(key, None)
        if len(self._accesses) >= ACCESSES_MAX:
            del self._accesses[next(iter(self._accesses))]
        self._accesses[key] = _KnownAccess(belongings, shared, access)
        return access

    async def open(self, belongings: Belongings, provider: ProviderSlug, key: str) -> Credential:
        """key: of a choice. Raises UpstreamFailure if it is not there any more, or does not sign in."""
        own = _found(belongings, key)
        info = self._providers().get(provider)
        credential = None if own is None or info is None else self._credential(info, own)
        if own is None or credential is None:
            raise UpstreamFailure(
                f"Your own key for {provider} (BYOK) was removed.", kind=FailureKind.AUTHENTICATION
            )
        if own.account is None:
            return credential
        return replace(credential, api_key=(await self._token(own.account)).text)

    def _joined(self, own: list[OwnCredential], shared: Access) -> Access:
        configured, providers = self._configured(), self._providers()
        joined: dict[ProviderSlug, tuple[Opening, ...]] = dict(shared)
        for provider in dict.fromkeys([one.provider for one in own]):
            info, said = providers.get(provider), configured.get(provider)
            if info is None or (said is not None and said.enabled is False):
                continue
            ours = [one for one in own if one.provider == provider]
            first = [
                opening
                for one in ours
                if not one.is_fallback
                for opening in self._openings(info, one)
            ]
            last = [
                opening for one in ours if one.is_fallback for opening in self._openings(info, one)
            ]
            installed = shared.get(provider, ())
            if any(one.is_exclusive for one in ours):
                installed = ()
            if openings := (*first, *installed, *last):
                joined[provider] = openings
            else:
                joined.pop(provider, None)
        return joined

    def _openings(self, info: ProviderInfo, credential: OwnCredential) -> list[Opening]:
        return [
            Opening(
                key=key,
                region=credential.region or _region(own),
                is_fallback=credential.is_fallback,
                is_exclusive=credential.is_required,
                models=models,
            )
            for key, own in _named(credential)
            if (models := _both(credential.models, own.models)) != ()
            and self._credential(info, own) is not None
        ]

    def _credential(self, info: ProviderInfo, own: OwnKey) -> Credential | None:
        """None: its address has a blank that nothing fills."""
        said = self._configured().get(info.slug)
        base_url = own.base_url or (None if said is None else said.base_url) or info.base_url
        for name in blanks(base_url):
            if name not in own.options:
                return None
            base_url = base_url.replace(f"{{{name}}}", own.options[name])
        return Credential(
            base_url=base_url.rstrip("/"),
            api_key=own.api_key,
            options=MappingProxyType(dict(own.options)),
        )

    async def _token(self, account: str) -> Token:
        """Of one who has signed in, now or before. Raises UpstreamFailure."""
        name = sha256(account.encode()).digest()
        known = self._sign_ins.get(name)
        if known is None:
            try:
                sign_in = GoogleSignIn(
                    read_account(account.encode()), client=self._client, clock=self._clock
                )
            except SignInInvalid as error:
                raise _refused(error) from None
            if len(self._sign_ins) >= SIGN_INS_MAX:
                del self._sign_ins[next(iter(self._sign_ins))]
            known = self._sign_ins[name] = _SignedIn(sign_in)
        async with known.lock:  # one signs in, the others wait for it
            token = known.sign_in.token()
            loop = asyncio.get_running_loop()
            if token is not None and loop.time() < known.renew_at_s:
                return Token(token, 0.0)
            try:
                fresh = await known.sign_in.sign_in()
            except SignInFailed as error:
                if token is not None:  # good for half of its life yet
                    return Token(token, 0.0)
                raise _refused(error) from error
            except TransportFailure as error:
                if token is not None:
                    return Token(token, 0.0)
                raise UpstreamFailure(
                    "Your own key (BYOK) could not be signed in with: nobody answered.",
                    kind=FailureKind.UNREACHABLE,
                ) from error
            known.renew_at_s = loop.time() + fresh.lifetime_s / 2
            return fresh


def _refused(error: Exception) -> UpstreamFailure:
    return UpstreamFailure(
        f"Your own key (BYOK) cannot be signed in with: {str(error).rstrip('.')}.",
        kind=FailureKind.AUTHENTICATION,
    )


def _named(credential: OwnCredential) -> list[tuple[str, OwnKey]]:
    """The keys of a credential with the names of their openings."""
    if len(credential.keys) == 1:
        return [(credential.id, credential.keys[0])]
    return [(f"{credential.id}/{number}", own) for number, own in enumerate(credential.keys)]


def _found(belongings: Belongings, key: str) -> OwnKey | None:
    wanted, _, _ = key.partition("/")
    for credential in belongings.credentials:
        if credential.id == wanted:
            return dict(_named(credential)).get(key)
    return None


def _both(one: tuple[str, ...] | None, other: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """What both allow; None: everything."""
    if one is None or other is None:
        return other if one is None else one
    return tuple([name for name in one if name in other])


def _region(own: OwnKey) -> str | None:
    return region_of(own.options.get("region") or own.options.get("location") or "")
