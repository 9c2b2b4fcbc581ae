"""What an app may ask for, and whether it is the one that asked. Pure."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from hashlib import sha256
from hmac import compare_digest
from typing import Final
from urllib.parse import urlencode, urlsplit, urlunsplit

from fairlead.control.apps.types import (
    AskingApp,
    Callback,
    ChallengeMethod,
    CodeRefused,
    CodeRequest,
    ConsentInvalid,
    Grant,
)

__all__ = [
    "CODES_WAITING_MAX",
    "CODE_ENTROPY_BYTES",
    "CODE_LIFE_MS",
    "asking_app",
    "check_exchange",
    "check_request",
    "code_of",
    "digest",
    "is_verified",
    "meets",
    "redirection",
]

CODE_ENTROPY_BYTES: Final = 32
CODE_LIFE_MS: Final = 10 * 60 * 1000
CODES_WAITING_MAX: Final = 100  # of one account, not exchanged and not expired
WRONG_VERIFIERS_MAX: Final = 10  # of one code
CALLBACK_CHARACTERS_MAX: Final = 2000
KEY_NAME_CHARACTERS_MAX: Final = 100
HEADLESS_TITLE: Final = "An app on your device"
LOCAL_HOSTS: Final = frozenset({"localhost", "127.0.0.1"})

_PREFIX: Final = "ac-v1-"
# RFC 7636, sections 4.1 and 4.2: a verifier, and so a plain challenge; SHA-256 in base64url, unpadded.
_VERIFIER: Final = re.compile(r"[A-Za-z0-9\-._~]{43,128}")
_S256: Final = re.compile(r"[A-Za-z0-9_\-]{43}")
_VISIBLE: Final = re.compile(r"[!-\[\]-~]+")  # ASCII without blanks, controls and the backslash
_HOST: Final = re.compile(r"[a-z0-9.\-]+")


def asking_app(callback_url: str | None) -> AskingApp:
    """Raises ConsentInvalid."""
    if callback_url is None:
        return AskingApp(HEADLESS_TITLE, None)
    callback = _callback(callback_url)
    return AskingApp(callback.host, callback)


def check_request(request: CodeRequest) -> None:
    """Raises ConsentInvalid for a challenge that no verifier can meet, or a headless app without one."""
    if request.challenge is None:
        if request.callback_url is None:
            raise ConsentInvalid(
                "without a `callback_url` there must be a `code_challenge`", "code_challenge"
            )
        if request.method is not None:
            raise ConsentInvalid(
                "`code_challenge_method` goes with a `code_challenge`", "code_challenge"
            )
    elif request.method is ChallengeMethod.S256:
        if _S256.fullmatch(request.challenge) is None:
            raise ConsentInvalid(
                "`code_challenge` is a SHA-256 digest in base64url without padding, 43 characters",
                "code_challenge",
            )
    elif _VERIFIER.fullmatch(request.challenge) is None:
        raise ConsentInvalid(
            "a plain `code_challenge` has 43 to 128 letters, digits or -._~", "code_challenge"
        )
    if request.key_name is not None and len(request.key_name) > KEY_NAME_CHARACTERS_MAX:
        raise ConsentInvalid(
            f"`key_label` has at most {KEY_NAME_CHARACTERS_MAX} characters", "key_label"
        )


def check_exchange(grant: Grant | None, *, method: ChallengeMethod | None, now_ms: int) -> Grant:
    """The grant, as long as it can be exchanged.

    Raises CodeRefused; ConsentInvalid for a method that is not the one it was asked for with.
    """
    if grant is None:
        raise CodeRefused("this code is not known")
    if grant.used_ms is not None:
        raise CodeRefused("this code was used: it works once")
    if grant.expires_ms <= now_ms:
        raise CodeRefused("this code has expired: it works for ten minutes")
    if grant.wrong_count >= WRONG_VERIFIERS_MAX:
        raise CodeRefused("this code was tried with too many wrong verifiers")
    if grant.challenge is not None and method not in (None, grant.method):
        raise ConsentInvalid(
            "`code_challenge_method` is not the one with which the code was asked for",
            "code_challenge_method",
        )
    return grant


def is_verified(grant: Grant, verifier: str | None) -> bool:
    """Whether it is the app that asked. Without a challenge, whoever has the code is."""
    if grant.challenge is None:
        return True
    return verifier is not None and meets(grant.challenge, grant.method, verifier)


def meets(challenge: str, method: ChallengeMethod | None, verifier: str) -> bool:
    """Whether the challenge was made from that verifier (RFC 7636, section 4.6)."""
    shown = verifier
    if method is ChallengeMethod.S256:
        hashed = sha256(verifier.encode("utf-8", "surrogatepass")).digest()
        shown = urlsafe_b64encode(hashed).rstrip(b"=").decode()
    return compare_digest(shown.encode("utf-8", "surrogatepass"), challenge.encode())


def code_of(entropy: bytes) -> str:
    assert len(entropy) == CODE_ENTROPY_BYTES
    return _PREFIX + entropy.hex()


def digest(code: str) -> bytes:
    """What we keep of it."""
    return sha256(code.encode("utf-8", "surrogatepass")).digest()


def redirection(callback: Callback, code: str) -> str:
    """The callback with the code behind whatever it asks already."""
    parts = urlsplit(callback.url)
    query = "&".join(part for part in (parts.query, urlencode({"code": code})) if part)
    return urlunsplit((parts.scheme, parts.netloc, parts.path or "/", query, ""))


def _callback(text: str) -> Callback:
    """Codes go over TLS, or nowhere beyond the person's own machine."""
    wrong = ConsentInvalid(
        "`callback_url` is an https address, or one of localhost or 127.0.0.1", "callback_url"
    )
    if len(text) > CALLBACK_CHARACTERS_MAX or _VISIBLE.fullmatch(text) is None:
        raise wrong
    try:
        parts = urlsplit(text)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError as error:
        raise wrong from error
    is_local = host in LOCAL_HOSTS
    is_safe = parts.scheme == "https" or (is_local and parts.scheme == "http")
    has_more = parts.username is not None or parts.password is not None or bool(parts.fragment)
    if not is_safe or has_more or _HOST.fullmatch(host) is None:
        raise wrong
    shown = host if port is None else f"{host}:{port}"
    return Callback(text, f"{parts.scheme}://{shown}", shown, is_local)
