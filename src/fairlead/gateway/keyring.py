"""What opens the providers of a running gateway, and stays open: the port `Credentials`.

`open_providers` reads the files that the configuration names and says of each provider what opens it, or
what is lacking. A `Keyring` holds the result. Where a provider takes no lasting key but tokens of an hour,
the keyring signs in and keeps signed in, with one task for each account; `run` is their owner. The whole is
replaced when the configuration changes: an account that is still wanted keeps its token, one that is new or
other begins with none, and the task of one that is gone ends.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fairlead.core.catalog import ProviderInfo
from fairlead.core.ids import ProviderSlug
from fairlead.core.routing.types import Access
from fairlead.gateway.credentials import Configured, CredentialBook, Lacking, resolve
from fairlead.gateway.google_sign_in import (
    Account,
    GoogleSignIn,
    SignInInvalid,
    read_account_file,
)
from fairlead.gateway.ports import Clock
from fairlead.gateway.upstream import UpstreamClient
from fairlead.providers.base import Credential

__all__ = ["Keyring", "Opened", "open_providers"]


@dataclass(frozen=True, slots=True)
class Opened:
    """Every provider is in one of the two. accounts: who has to sign in for a credential to have its key.

    unreadable: the providers whose file of credentials is no use, out of `lacking`.
    """

    credentials: Mapping[ProviderSlug, Credential]
    lacking: Mapping[ProviderSlug, Lacking]
    accounts: Mapping[ProviderSlug, Account]
    unreadable: tuple[ProviderSlug, ...]

    def found(self, provider: ProviderSlug) -> Credential | Lacking:
        return self.credentials.get(provider) or self.lacking[provider]


def open_providers(
    providers: Mapping[ProviderSlug, ProviderInfo],
    configured: Mapping[ProviderSlug, Configured],
    *,
    spoken: Container[str],
) -> Opened:
    """What opens each provider. Reads files of credentials, a few KiB each.

    spoken: the providers that this version has an adapter for.
    """
    credentials: dict[ProviderSlug, Credential] = {}
    lacking: dict[ProviderSlug, Lacking] = {}
    accounts: dict[ProviderSlug, Account] = {}
    unreadable: list[ProviderSlug] = []
    for slug, info in providers.items():
        said = configured.get(slug)
        account = None if said is None else _account(said)
        found = resolve(info, said, account)
        if slug not in spoken and not isinstance(found, Lacking):
            found = Lacking("this version does not speak its format yet")
        if isinstance(found, Lacking):
            lacking[slug] = found
            if isinstance(account, SignInInvalid):
                unreadable.append(slug)
            continue
        credentials[slug] = found
        if account is not None and not isinstance(account, SignInInvalid):
            accounts[slug] = account
    return Opened(credentials, lacking, accounts, tuple(unreadable))


def _account(configured: Configured) -> Account | SignInInvalid | None:
    """None: there is nothing to sign in with, or no need, because a key was given as well."""
    path = configured.option_texts.get("credentials_file")
    if path is None or configured.key_text or configured.enabled is False:
        return None
    try:
        return read_account_file(Path(path))
    except SignInInvalid as error:
        return error


@dataclass(frozen=True, slots=True)
class _SignedIn:
    account: Account
    sign_in: GoogleSignIn
    task: asyncio.Task[None] | None


class Keyring:
    """`gateway.ports.Credentials` over what was opened; where there is a sign-in, its token is the key."""

    __slots__ = ("_book", "_client", "_clock", "_sign_ins", "_tasks")

    def __init__(self, opened: Opened, *, client: UpstreamClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._tasks: asyncio.TaskGroup | None = None
        self._book = CredentialBook({})
        self._sign_ins: dict[ProviderSlug, _SignedIn] = {}
        self.replace(opened)

    @property
    def access(self) -> Access:
        """A provider that we are not signed in to counts as one that we have no credential for."""
        access = self._book.access
        without = [s for s, one in self._sign_ins.items() if one.sign_in.token() is None]
        if without:
            return {slug: openings for slug, openings in access.items() if slug not in without}
        return access

    def has(self, provider: ProviderSlug) -> bool:
        """Whether anything opens the provider."""
        return provider in self.access

    def find(self, provider: ProviderSlug) -> Credential:
        """Raises KeyError without one: `access` says for whom there is."""
        credential = self._book.find(provider)
        signed_in = self._sign_ins.get(provider)
        if signed_in is None:
            return credential
        # A token that expired since `access` was asked is refused by the provider, as any other.
        return replace(credential, api_key=signed_in.sign_in.token() or "")

    def replace(self, opened: Opened) -> None:
        """Take over another configuration; a call that has its credential keeps it."""
        before, self._sign_ins = self._sign_ins, {}
        for slug, account in opened.accounts.items():
            kept = before.get(slug)
            if kept is not None and kept.account == account:
                self._sign_ins[slug] = before.pop(slug)
            else:
                sign_in = GoogleSignIn(account, client=self._client, clock=self._clock)
                self._sign_ins[slug] = _SignedIn(account, sign_in, self._started(sign_in))
        self._book.replace(opened.credentials)
        for gone in before.values():
            if gone.task is not None:
                gone.task.cancel()

    async def run(self) -> None:
        """Keep all accounts signed in until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                for slug, one in self._sign_ins.items():
                    self._sign_ins[slug] = replace(one, task=self._started(one.sign_in))
                await asyncio.Event().wait()
            finally:
                self._tasks = None

    async def signed_in(self, *, timeout_s: float) -> None:
        """Wait until every account has its first token, or has been refused it, but no longer than this."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                for one in list(self._sign_ins.values()):
                    await one.sign_in.was_tried.wait()

    def _started(self, sign_in: GoogleSignIn) -> asyncio.Task[None] | None:
        return None if self._tasks is None else self._tasks.create_task(sign_in.run())
