"""OpenID Connect as the one who relies on it: what is sent, and what an answer must be. Pure.

Everything that must not be guessed (state, nonce, verifier) follows from one secret that lies in a cookie of
the browser that began, so nothing is stored meanwhile. OpenID Connect Core 1.0, RFC 7636 (PKCE), RFC 9207 (the
issuer in the answer), read in November 2026.
"""

from __future__ import annotations

import hmac
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from fairlead.control.people.entrance import Elsewhere

__all__ = [
    "ALGORITHMS",
    "Begun",
    "Discovery",
    "OidcFailed",
    "OpenIdProvider",
    "TokenAnswer",
    "authorization_url",
    "basic",
    "begun",
    "check_address",
    "check_answer",
    "check_claims",
    "check_discovery",
    "who",
]

# Signed with a key of the provider's; never "none", never with our own secret.
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA", "Ed25519")
CLOCK_SKEW_S: Final = 120
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class OidcFailed(Exception):
    """The message is for the log: what the provider said or sent. It holds no token."""


@dataclass(frozen=True, slots=True)
class OpenIdProvider:
    """One that the operator has set up. may_create: whoever it knows may have an account here."""

    name: str
    title: str
    issuer: str
    client_id: str
    client_secret: str | None
    scopes: str
    may_create: bool

    def __repr__(self) -> str:
        return f"OpenIdProvider({self.name})"


class Discovery(msgspec.Struct, frozen=True):
    """Of `/.well-known/openid-configuration`, what we need."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class TokenAnswer(msgspec.Struct, frozen=True):
    id_token: str
    access_token: str | None = None


@dataclass(frozen=True, slots=True)
class Begun:
    """What one attempt is recognised by."""

    state: str
    nonce: str
    verifier: str


def begun(secret: str, provider: str) -> Begun:
    """The same at the beginning and at the end. provider: an answer of another one does not fit."""

    def part(name: str) -> str:
        return _base64(sha256(f"fairlead oidc {name}\0{provider}\0{secret}".encode()).digest())

    return Begun(state=part("state"), nonce=part("nonce"), verifier=part("verifier"))


def check_discovery(provider: OpenIdProvider, found: Discovery) -> None:
    """Raises OidcFailed."""
    if found.issuer.rstrip("/") != provider.issuer.rstrip("/"):
        raise OidcFailed(f"it calls itself {found.issuer[:200]}, not {provider.issuer}")
    for address in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri):
        check_address(address)


def check_address(address: str) -> None:
    """Encrypted, or on this machine. Raises OidcFailed."""
    parts = urlsplit(address)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return
    raise OidcFailed(f"{address[:200]} is not encrypted")


def authorization_url(
    provider: OpenIdProvider, found: Discovery, attempt: Begun, *, redirect_uri: str
) -> str:
    challenge = _base64(sha256(attempt.verifier.encode()).digest())
    query = urlencode(
        {
            "response_type": "code",
            "client_id": provider.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(dict.fromkeys(["openid", *provider.scopes.split()])),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
    )
    separator = "&" if urlsplit(found.authorization_endpoint).query else "?"
    return f"{found.authorization_endpoint}{separator}{query}"


def basic(client_id: str, client_secret: str) -> str:
    """What authorizes us. Both are form-encoded first: RFC 6749, section 2.3.1."""
    pair = f"{quote(client_id, safe='')}:{quote(client_secret, safe='')}"
    return f"Basic {b64encode(pair.encode()).decode()}"


def check_answer(provider: OpenIdProvider, attempt: Begun, answer: Mapping[str, str]) -> str:
    """The code that the browser came back with. Raises OidcFailed."""
    if not hmac.compare_digest(answer.get("state", "").encode(), attempt.state.encode()):
        raise OidcFailed("the answer belongs to another attempt")
    if "error" in answer:
        raise OidcFailed(f"it refused: {answer['error'][:200]}")
    if answer.get("iss", provider.issuer).rstrip("/") != provider.issuer.rstrip("/"):
        raise OidcFailed("the answer comes from another issuer")
    if not answer.get("code"):
        raise OidcFailed("the answer has no code")
    return answer["code"]


def check_claims(
    provider: OpenIdProvider,
    found: Discovery,
    claims: Mapping[str, object],
    *,
    nonce: str,
    now_s: float,
) -> None:
    """Of an ID token whose signature was checked; section 3.1.3.7. Raises OidcFailed."""
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    expires_s, issued_s = claims.get("exp"), claims.get("iat")
    if claims.get("iss") != found.issuer:
        raise OidcFailed("the ID token has another issuer")
    if provider.client_id not in audiences:
        raise OidcFailed("the ID token is for somebody else")
    if len(audiences) > 1 and claims.get("azp") != provider.client_id:
        raise OidcFailed("the ID token was issued to somebody else")
    if not isinstance(expires_s, int | float) or expires_s <= now_s - CLOCK_SKEW_S:
        raise OidcFailed("the ID token has expired")
    if not isinstance(issued_s, int | float) or issued_s > now_s + CLOCK_SKEW_S:
        raise OidcFailed("the ID token is from the future")
    said = claims.get("nonce")
    if not isinstance(said, str) or not hmac.compare_digest(said.encode(), nonce.encode()):
        raise OidcFailed("the ID token belongs to another attempt")
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise OidcFailed("the ID token names nobody")


def who(provider: OpenIdProvider, found: Discovery, claims: Mapping[str, object]) -> Elsewhere:
    """claims: checked. An address that the provider does not vouch for is none."""
    email, is_verified = claims.get("email"), claims.get("email_verified")
    name = claims.get("name")
    is_vouched_for = is_verified is True or is_verified == "true"
    return Elsewhere(
        provider=provider.name,
        issuer=found.issuer,
        subject=str(claims["sub"]),
        email=email if isinstance(email, str) and is_vouched_for else None,
        name=name if isinstance(name, str) else "",
        may_create=provider.may_create,
    )


def _base64(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
