"""Which providers we can open, and with what. Pure.

`resolve` turns what an operator configured for one provider into a `Credential`, or says what is lacking.
`CredentialBook` is the port `Credentials` over the results. A running gateway has them in its keyring.py,
which also signs in where no key opens the door.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

from fairlead.core.catalog import ProviderInfo
from fairlead.core.data_regions import region_of, region_of_address
from fairlead.core.ids import ProviderSlug
from fairlead.core.routing.types import INSTALLATION, Access, Opening
from fairlead.gateway.google_sign_in import Account, SignInInvalid, home_project
from fairlead.providers.base import Credential

__all__ = ["Configured", "CredentialBook", "Lacking", "blanks", "first_step", "resolve"]


class Configured(Protocol):
    """What an operator said about one provider. key_text: "" if nothing; enabled: None if nothing."""

    @property
    def key_text(self) -> str: ...

    @property
    def base_url(self) -> str | None: ...

    @property
    def enabled(self) -> bool | None: ...

    @property
    def option_texts(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class Lacking:
    """Why a provider cannot be used. remedy: what to do about it, as "set OPENAI_API_KEY".

    is_mistake: something was configured, but not enough; otherwise the provider is simply not in use.
    """

    remedy: str
    is_mistake: bool = False


def resolve(
    info: ProviderInfo,
    configured: Configured | None,
    account: Account | SignInInvalid | None = None,
) -> Credential | Lacking:
    """What opens this provider.

    The sandbox is always open. A local engine is open once anything was said about it, because an engine
    that nobody mentioned is probably not running. Any other needs its key, and `enabled = true` if the
    catalogue has it off.

    account: what the provider's file of credentials holds, where it has one; the credential then lacks its
        key, which is had by signing in.
    """
    section = f"providers.{info.slug}"
    if configured is not None and configured.enabled is False:
        return Lacking(f"remove {section}.enabled = false")
    if info.kind == "sandbox":
        return Credential(base_url=info.base_url, api_key="", options={})
    if configured is None:
        return Lacking(first_step(info))
    if configured.enabled is None and not info.enabled_by_default:
        return Lacking(f"set {section}.enabled = true", is_mistake=bool(configured.key_text))
    if isinstance(account, SignInInvalid):
        return Lacking(str(account).rstrip("."), is_mistake=True)
    if account is None and not _has_key(info, configured):
        return Lacking(first_step(info), is_mistake=True)
    options = dict(_ASSUMED.get(info.auth_type, {}))
    if account is not None and (project := home_project(account)) is not None:
        options["project"] = project
    options.update(configured.option_texts)
    base_url = configured.base_url or info.base_url
    for name in blanks(base_url):
        if name not in options:
            return Lacking(f"set {section}.{name}, or {section}.base_url", is_mistake=True)
        base_url = base_url.replace(f"{{{name}}}", options[name])
    return Credential(
        base_url=base_url.rstrip("/"),
        api_key=configured.key_text,
        options=MappingProxyType(options),
    )


# What blanks of an address are filled with when nobody says otherwise, by the way of signing in.
_ASSUMED: Final[Mapping[str, Mapping[str, str]]] = {"gcp-oauth": {"location": "global"}}


def _has_key(info: ProviderInfo, configured: Configured) -> bool:
    match info.auth_type:
        case "none":
            return True
        case "aws-sigv4":
            keys = {"access_key_id", "secret_access_key"}
            return bool(configured.key_text) or keys <= set(configured.option_texts)
        case "gcp-oauth":
            return bool(configured.key_text)
        case _:
            # A stand-in at another address (a test server, a company's proxy) may want no key at all,
            # but then the operator says so; a base URL alone is more often a forgotten key.
            return bool(configured.key_text) or configured.enabled is True


def blanks(base_url: str) -> list[str]:
    """The names in an address that settings fill in: `https://{region}.example.com` has one."""
    return re.findall(r"\{(\w+)\}", base_url)


def first_step(info: ProviderInfo) -> str:
    """What to set so that a provider opens: "set GROQ_API_KEY, or providers.groq.api_key"."""
    section = f"providers.{info.slug}"
    match info.auth_type:
        case "none":
            return f"set {section}.base_url (the catalogue says {info.base_url})"
        case "aws-sigv4":
            # One variable is easier to set right than three.
            return (
                "set AWS_BEARER_TOKEN_BEDROCK, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or"
                f" {section}.api_key"
            )
        case "gcp-oauth":
            return f"set {info.auth_env[0]}, or {section}.credentials_file"
        case _:
            return f"set {info.auth_env[0]}, or {section}.api_key"


class CredentialBook:
    """`gateway.ports.Credentials` over a mapping. Replacing it is atomic: a call that has its credential
    keeps it."""

    __slots__ = ("_access", "_entries")

    def __init__(self, entries: Mapping[ProviderSlug, Credential]) -> None:
        self._entries: Mapping[ProviderSlug, Credential] = {}
        self._access: Access = {}
        self.replace(entries)

    @property
    def access(self) -> Access:
        return self._access

    def find(self, provider: ProviderSlug) -> Credential:
        """Raises KeyError without one: `access` says for whom there is."""
        return self._entries[provider]

    def replace(self, entries: Mapping[ProviderSlug, Credential]) -> None:
        self._entries = entries
        self._access = {slug: _openings(one) for slug, one in entries.items()}


def _openings(credential: Credential) -> tuple[Opening, ...]:
    """Our own one; where nothing is known of its region, the constant that the planner knows it by."""
    options = credential.options
    where = region_of(options.get("region") or options.get("location") or "")
    where = where or region_of_address(credential.base_url)
    return INSTALLATION if where is None else (Opening(region=where),)
