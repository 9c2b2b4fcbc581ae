"""Signing in at Google: an access token out of a credentials file, kept fresh.

Google Cloud takes no keys but tokens that live for an hour. They are had for a signed statement of who asks
(a service account), or for a refresh token (a person signed in with `gcloud auth application-default login`).

One task per file (`GoogleSignIn.run`, whose owner is who starts it) signs in at once and again at half of
each token's life, so that an outage of half an hour is not noticed. When it fails it tries again, each time
a little later; the first failure in a row is logged, and the first success after it. A token that has
expired is none: its provider then counts as one that we have no credential for.

The statement is signed with `cryptography`. google-auth would do more than we need, and brings an HTTP client
of its own, past our time-outs, proxy and certificates.

Source: https://developers.google.com/identity/protocols/oauth2/service-account (read 2026-11-21).
"""

from __future__ import annotations

import asyncio
import base64
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import msgspec

from fairlead.gateway.ports import Clock
from fairlead.gateway.upstream import TransportFailure, UpstreamClient
from fairlead.providers.base import UpstreamRequest

__all__ = [
    "Account",
    "AuthorizedUser",
    "GoogleSignIn",
    "ServiceAccount",
    "SignInFailed",
    "SignInInvalid",
    "Token",
    "home_project",
    "read_account",
    "read_account_file",
    "read_token",
    "token_request",
]

SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
STATEMENT_LIFETIME_S: Final = 3600  # Google's longest
SIGN_IN_TIMEOUT_S: Final = 30.0
RETRY_FIRST_S: Final = 1.0
RETRY_MAX_S: Final = 60.0
REFRESH_MIN_S: Final = 30.0  # however short a token lives
EXPIRY_MARGIN_S: Final = 30.0  # a token is not sent so late that it may expire on its way
ANSWER_BYTES_MAX: Final = 64 * 1024
FILE_BYTES_MAX: Final = 64 * 1024  # a key of 4096 bits makes a file of 4 KiB
SAID_CHARACTERS_MAX: Final = 300  # of Google's words, in our message

_TOKEN_URI: Final = "https://oauth2.googleapis.com/token"
_LOOPBACK: Final = ("http://127.0.0.1:", "http://localhost:")

_log = logging.getLogger(__name__)
_encode: Final = msgspec.json.Encoder().encode


class SignInInvalid(ValueError):
    """The file does not say how to sign in. Messages show nothing of what is secret in it."""


class SignInFailed(Exception):
    """Google gave no token."""


class ServiceAccount(
    msgspec.Struct, frozen=True, kw_only=True, tag="service_account", tag_field="type"
):
    """An account of a program. private_key: PEM."""

    client_email: str
    private_key: str
    private_key_id: str | None = None
    project_id: str | None = None
    token_uri: str = _TOKEN_URI

    def __repr__(self) -> str:
        return f"ServiceAccount({self.client_email!r})"


class AuthorizedUser(
    msgspec.Struct, frozen=True, kw_only=True, tag="authorized_user", tag_field="type"
):
    """A person who signed in before."""

    client_id: str
    client_secret: str
    refresh_token: str
    quota_project_id: str | None = None
    token_uri: str = _TOKEN_URI

    def __repr__(self) -> str:
        return f"AuthorizedUser({self.client_id!r})"


Account = ServiceAccount | AuthorizedUser


@dataclass(frozen=True, slots=True)
class Token:
    """lifetime_s: from when it was given."""

    text: str
    lifetime_s: float

    def __repr__(self) -> str:
        return f"Token(***, lifetime_s={self.lifetime_s})"


# --- pure -------------------------------------------------------------------------------------------------


def read_account(data: bytes) -> Account:
    """The account in a credentials file. Raises SignInInvalid, also for a key that cannot sign."""
    try:
        account = msgspec.json.decode(data, type=ServiceAccount | AuthorizedUser)
    except (ValueError, RecursionError) as error:
        told = str(error) if isinstance(error, msgspec.ValidationError) else "it is not JSON"
        raise SignInInvalid(
            f"The file of credentials for Google is neither a service account's nor a user's: {told}."
        ) from None
    if not account.token_uri.startswith(("https://", *_LOOPBACK)):
        raise SignInInvalid("The address for tokens in the file of credentials is not https.")
    if isinstance(account, ServiceAccount):
        _signature(b"", account.private_key, is_checked=False)
    return account


def home_project(account: Account) -> str | None:
    """The project that an account belongs to, and works in unless told otherwise."""
    return account.project_id if isinstance(account, ServiceAccount) else account.quota_project_id


def token_request(account: Account, now_s: float) -> UpstreamRequest:
    """What asks for a token. now_s: Unix seconds."""
    if isinstance(account, ServiceAccount):
        fields = {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": _statement(account, int(now_s)),
        }
    else:
        fields = {
            "grant_type": "refresh_token",
            "client_id": account.client_id,
            "client_secret": account.client_secret,
            "refresh_token": account.refresh_token,
        }
    return UpstreamRequest(
        method="POST",
        url=account.token_uri,
        headers=(
            ("content-type", "application/x-www-form-urlencoded"),
            ("accept", "application/json"),
        ),
        body=urlencode(fields).encode(),
    )


def _statement(account: ServiceAccount, now_s: int) -> str:
    """A JSON web token, signed (RFC 7523)."""
    header: dict[str, object] = {"alg": "RS256", "typ": "JWT"}
    if account.private_key_id:
        header["kid"] = account.private_key_id
    claims = {
        "iss": account.client_email,
        "scope": SCOPE,
        "aud": account.token_uri,
        "iat": now_s,
        "exp": now_s + STATEMENT_LIFETIME_S,
    }
    signed = _base64url(_encode(header)) + b"." + _base64url(_encode(claims))
    signature = _signature(signed, account.private_key, is_checked=True)
    return (signed + b"." + _base64url(signature)).decode()


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _signature(data: bytes, private_key: str, *, is_checked: bool) -> bytes:
    """RS256. Raises SignInInvalid.

    is_checked: the key was found sound before. To check one takes fifty times as long as to sign.
    """
    # Here, because only who uses Vertex AI should pay for it when the program starts.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    try:
        key = serialization.load_pem_private_key(
            private_key.encode(), password=None, unsafe_skip_rsa_key_validation=is_checked
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SignInInvalid(
            "The private key in the file of credentials cannot be read."
        ) from None  # the cause may quote the key
    if not isinstance(key, rsa.RSAPrivateKey):
        raise SignInInvalid("The private key in the file of credentials is no RSA key.")
    return key.sign(data, padding.PKCS1v15(), hashes.SHA256())


class _Granted(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: float


class _Refused(msgspec.Struct, frozen=True):
    error: str
    error_description: str = ""


def read_token(status: int, body: bytes) -> Token:
    """The token in an answer. Raises SignInFailed."""
    try:
        if status == 200:
            granted = msgspec.json.decode(body, type=_Granted)
            return Token(granted.access_token, granted.expires_in)
        refused = msgspec.json.decode(body, type=_Refused)
    except (ValueError, RecursionError):
        raise SignInFailed(f"the answer, with status {status}, could not be read") from None
    told = f"{refused.error}: {refused.error_description}".removesuffix(": ")
    raise SignInFailed(f"{told[:SAID_CHARACTERS_MAX]} (status {status})")


# --- the shell --------------------------------------------------------------------------------------------


def read_account_file(path: Path) -> Account:
    """The account in the file. Raises SignInInvalid, also if it cannot be read; the message names the file."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise SignInInvalid(
            f"The file of credentials for Google cannot be read: {path}: {error.strerror or error}."
        ) from error
    if len(data) > FILE_BYTES_MAX:
        raise SignInInvalid(
            f"The file of credentials for Google is too large to be one: {path} has over"
            f" {FILE_BYTES_MAX} bytes."
        )
    try:
        return read_account(data)
    except SignInInvalid as error:
        raise SignInInvalid(f"{str(error).rstrip('.')} ({path}).") from None


class GoogleSignIn:
    """Keeps one account signed in. `run` is the task; `token` may be asked at any time.

    was_tried: set once `run` has had its first answer, whatever it was.
    """

    __slots__ = ("_account", "_client", "_clock", "_expires_at_s", "_token", "was_tried")

    def __init__(self, account: Account, *, client: UpstreamClient, clock: Clock) -> None:
        self._account = account
        self._client = client
        self._clock = clock
        self._token = ""
        self._expires_at_s = 0.0  # event-loop time
        self.was_tried = asyncio.Event()

    def token(self) -> str | None:
        """The current access token; None before the first, and once the last has expired."""
        if not self._token or asyncio.get_running_loop().time() >= self._expires_at_s:
            return None
        return self._token

    async def run(self) -> None:
        """Sign in, and again before the token expires, until cancelled."""
        failures = 0
        while True:
            try:
                token = await self.sign_in()
            except (SignInFailed, TransportFailure) as failure:
                self.was_tried.set()
                if not failures:
                    _log.error("Could not sign in at Google, and will try again: %s.", failure)
                await asyncio.sleep(min(RETRY_MAX_S, RETRY_FIRST_S * 2 ** min(failures, 10)))
                failures += 1
                continue
            self.was_tried.set()
            if failures:
                _log.info("Signed in at Google again, after %d failures.", failures)
            failures = 0
            await asyncio.sleep(max(REFRESH_MIN_S, token.lifetime_s / 2))

    async def sign_in(self) -> Token:
        """Ask for a token once, now. Raises SignInFailed, TransportFailure."""
        loop = asyncio.get_running_loop()
        asked_at_s = loop.time()
        exchange = await self._client.send(
            token_request(self._account, self._clock.now_s()),
            expire_at_s=asked_at_s + SIGN_IN_TIMEOUT_S,
        )
        try:
            token = read_token(exchange.status, await exchange.read_all(ANSWER_BYTES_MAX))
        finally:
            exchange.close()
        self._token = token.text
        self._expires_at_s = asked_at_s + token.lifetime_s - EXPIRY_MARGIN_S
        return token
