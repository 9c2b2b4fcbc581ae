"""OpenID Connect: asks providers who somebody is. The rules are in `oidc_rules.py`.

Three calls at most for a sign-in, with time-outs and bounds. The HTTP client and the checker of signatures are
imported when somebody signs in that way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from fairlead.control.accounts import rules as account_rules
from fairlead.control.accounts.types import EmailInvalid
from fairlead.control.people import oidc_rules, rules
from fairlead.control.people.entrance import Elsewhere
from fairlead.control.people.oidc_rules import (
    ALGORITHMS,
    Begun,
    Discovery,
    OidcFailed,
    OpenIdProvider,
    TokenAnswer,
)

if TYPE_CHECKING:
    import aiohttp
    from joserfc.jwk import KeySet

__all__ = ["OpenId"]

CALL_TIMEOUT_S: Final = 10.0
ANSWER_BYTES_MAX: Final = 512 * 1024
KNOWN_FOR_S: Final = 3600.0  # what a provider says of itself, and its keys
KEYS_AGAIN_S: Final = 60.0  # before its keys are asked for again because one was not among them

_Struct = TypeVar("_Struct", bound=msgspec.Struct)


class OpenId:
    """Belongs to one event loop. providers: by name. address: ours, as the providers know it.

    url, secret = await openid.begin("company")  # send the browser there, the secret in a cookie
    elsewhere = await openid.finish("company", secret, query)  # when it comes back

    Both raise OidcFailed; KeyError for a provider that there is not.
    """

    def __init__(
        self,
        providers: Mapping[str, OpenIdProvider],
        *,
        address: str,
        now_s: Callable[[], float],
        entropy: Callable[[int], bytes],
    ) -> None:
        self.providers = providers
        self._address = address.rstrip("/")
        self._now_s = now_s
        self._entropy = entropy
        self._discovered: dict[str, tuple[float, Discovery]] = {}  # one for each provider
        self._keys: dict[str, tuple[float, KeySet]] = {}

    async def begin(self, name: str) -> tuple[str, str]:
        """Where to send the browser, and what it must bring back in a cookie."""
        provider = self.providers[name]
        found = await self._discovery(provider)
        secret = rules.token(self._entropy(rules.TOKEN_ENTROPY_BYTES))
        attempt = oidc_rules.begun(secret, name)
        url = oidc_rules.authorization_url(
            provider, found, attempt, redirect_uri=self._redirect_uri(name)
        )
        return url, secret

    async def finish(self, name: str, secret: str, answer: Mapping[str, str]) -> Elsewhere:
        """secret: of the cookie, "" without one. answer: the query with which the browser came back."""
        provider = self.providers[name]
        if not rules.is_token(
            secret
        ):  # anybody can tell what would follow from a guess, as from none
            raise OidcFailed("the browser brings nothing back from its beginning")
        attempt = oidc_rules.begun(secret, name)
        code = oidc_rules.check_answer(provider, attempt, answer)
        found = await self._discovery(provider)
        tokens = await self._redeem(provider, found, attempt, code)
        claims = await self._claims(provider, found, tokens.id_token)
        oidc_rules.check_claims(provider, found, claims, nonce=attempt.nonce, now_s=self._now_s())
        if "email" not in claims and found.userinfo_endpoint and tokens.access_token:
            more = await self._userinfo(found.userinfo_endpoint, tokens.access_token)
            if more.get("sub") != claims["sub"]:
                raise OidcFailed("its two answers are about different people")
            claims = {**more, **claims}
        elsewhere = oidc_rules.who(provider, found, claims)
        if elsewhere.email is None:
            return elsewhere
        try:
            address = account_rules.email(elsewhere.email)
        except EmailInvalid as error:
            raise OidcFailed("it says an address that cannot be one") from error
        return replace(elsewhere, email=address)

    def _redirect_uri(self, name: str) -> str:
        return f"{self._address}/auth/oidc/{name}/callback"

    async def _discovery(self, provider: OpenIdProvider) -> Discovery:
        known = self._discovered.get(provider.name)
        if known is not None and self._now_s() - known[0] < KNOWN_FOR_S:
            return known[1]
        oidc_rules.check_address(provider.issuer)
        url = f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration"
        found = _decoded(await self._call("GET", url), Discovery)
        oidc_rules.check_discovery(provider, found)
        self._discovered[provider.name] = (self._now_s(), found)
        return found

    async def _redeem(
        self, provider: OpenIdProvider, found: Discovery, attempt: Begun, code: str
    ) -> TokenAnswer:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri(provider.name),
            "code_verifier": attempt.verifier,
        }
        authorization: str | None = None
        if provider.client_secret is None:
            form["client_id"] = provider.client_id
        elif "client_secret_basic" in found.token_endpoint_auth_methods_supported:
            authorization = oidc_rules.basic(provider.client_id, provider.client_secret)
        else:
            form |= {"client_id": provider.client_id, "client_secret": provider.client_secret}
        answer = await self._call(
            "POST", found.token_endpoint, form=form, authorization=authorization
        )
        return _decoded(answer, TokenAnswer)

    async def _claims(
        self, provider: OpenIdProvider, found: Discovery, id_token: str
    ) -> dict[str, object]:
        """What the ID token says, once its signature was checked."""
        from joserfc import jwt
        from joserfc.errors import JoseError

        for is_last in (False, True):
            keys = await self._key_set(provider, found, is_again=is_last)
            try:
                return dict(jwt.decode(id_token, keys, algorithms=list(ALGORITHMS)).claims)
            except (JoseError, ValueError) as error:
                if is_last:
                    raise OidcFailed(
                        f"the ID token's signature is not good: {type(error).__name__}"
                    ) from error
        raise AssertionError("the last one returns or raises")

    async def _key_set(
        self, provider: OpenIdProvider, found: Discovery, *, is_again: bool
    ) -> KeySet:
        """is_again: what we had does not fit; perhaps there are new ones."""
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        known = self._keys.get(provider.name)
        good_for_s = KEYS_AGAIN_S if is_again else KNOWN_FOR_S
        if known is not None and self._now_s() - known[0] < good_for_s:
            return known[1]
        content = await self._call("GET", found.jwks_uri)
        try:
            keys = KeySet.import_key_set(msgspec.json.decode(content))
        except (msgspec.DecodeError, JoseError, KeyError, TypeError, ValueError) as error:
            raise OidcFailed("its keys cannot be read") from error
        self._keys[provider.name] = (self._now_s(), keys)
        return keys

    async def _userinfo(self, url: str, access_token: str) -> dict[str, object]:
        oidc_rules.check_address(url)
        content = await self._call("GET", url, authorization=f"Bearer {access_token}")
        try:
            return msgspec.json.decode(content, type=dict[str, object])
        except msgspec.DecodeError as error:
            raise OidcFailed("what it says of the person cannot be read") from error

    async def _call(
        self,
        method: str,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        authorization: str | None = None,
    ) -> bytes:
        import aiohttp

        headers = {"accept": "application/json"}
        if authorization is not None:
            headers["authorization"] = authorization
        timeout = aiohttp.ClientTimeout(total=CALL_TIMEOUT_S)
        place = url.partition("?")[0][:200]
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as client,
                client.request(
                    method, url, data=form, headers=headers, allow_redirects=False
                ) as answer,
            ):
                content = await _bounded(answer)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise OidcFailed(f"{place} does not answer: {type(error).__name__}") from error
        if answer.status != 200:
            raise OidcFailed(f"{place} answers {answer.status}{_refusal(content)}")
        return content


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in answer.content.iter_chunked(64 * 1024):
        content += chunk
        if len(content) > ANSWER_BYTES_MAX:
            raise OidcFailed("it answers more than we read")
    return bytes(content)


class _Refusal(msgspec.Struct):
    error: str = ""


def _refusal(content: bytes) -> str:
    """The one word of RFC 6749, section 5.2, if there is one."""
    try:
        said = msgspec.json.decode(content, type=_Refusal).error
    except msgspec.DecodeError:
        return ""
    return f": {said[:100]}" if said else ""


def _decoded(content: bytes, kind: type[_Struct]) -> _Struct:
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.DecodeError as error:
        raise OidcFailed(f"its {kind.__name__} cannot be read") from error
