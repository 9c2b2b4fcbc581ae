"""Values about apps that ask for a key."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from fairlead.control.keys.types import LimitReset
from fairlead.core.ids import AccountId, UserId, WorkspaceId
from fairlead.core.money import NanoUSD

__all__ = [
    "AskingApp",
    "Callback",
    "ChallengeMethod",
    "CodeRefused",
    "CodeRequest",
    "ConsentInvalid",
    "Grant",
    "NewCode",
    "TooManyCodes",
]


class ChallengeMethod(StrEnum):
    """How the challenge was made from the verifier (RFC 7636)."""

    S256 = "S256"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Callback:
    """Where an app wants its code to be sent. origin: "https://app.example". host: with its port."""

    url: str
    origin: str
    host: str
    is_local: bool


@dataclass(frozen=True, slots=True)
class AskingApp:
    """Who asks, as people are shown it. callback: None: the code is shown, for copying (headless)."""

    title: str
    callback: Callback | None


@dataclass(frozen=True, slots=True)
class CodeRequest:
    """What a person agrees to: a key for an app, with these limits.

    callback_url: None: headless; then there must be a challenge. key_name: None: the app's title.
    workspace: None: the default one.
    """

    callback_url: str | None
    challenge: str | None = None
    method: ChallengeMethod | None = None
    key_name: str | None = None
    limit: NanoUSD | None = None
    limit_reset: LimitReset | None = None
    expires_ms: int | None = None
    workspace: WorkspaceId | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """A code as we keep it: what the app gets for it, and how it must prove that it is the one.

    key_expires_ms: of the key; expires_ms: of the code. wrong_count: how often a verifier was wrong.
    """

    digest: bytes
    account: AccountId
    user: UserId | None
    app_id: int
    challenge: str | None
    method: ChallengeMethod | None
    key_name: str
    key_workspace: WorkspaceId
    key_limit: NanoUSD | None
    key_limit_reset: LimitReset | None
    key_expires_ms: int | None
    created_ms: int
    expires_ms: int
    wrong_count: int = 0
    used_ms: int | None = None


@dataclass(frozen=True, slots=True)
class NewCode:
    """code: this once, and never in a log. redirect_to: the callback with the code; None: headless."""

    app_id: int
    created_ms: int
    code: str = field(repr=False)
    redirect_to: str | None = field(repr=False)


class ConsentInvalid(ValueError):
    """Nobody can be asked that. path: of the field, as the API has it."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path


class CodeRefused(Exception):
    """A code that there is not, that was used or has expired, or whose verifier is another."""


class TooManyCodes(Exception):
    """So many codes of the account wait to be exchanged that there can be no more."""
