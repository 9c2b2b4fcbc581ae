"""What the endpoints of signing in need."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from fairlead.control.audit.service import Audit
from fairlead.control.people.leaving import Leaving
from fairlead.control.people.oidc import OpenId
from fairlead.control.people.organisations import Organisations
from fairlead.control.people.service import People
from fairlead.control.people.sign_in import SignIn
from fairlead.web.sessions import BrowserSessions, Doorway

__all__ = ["AuthServices", "InThread"]

_Answer = TypeVar("_Answer")


class InThread(Protocol):
    """Calls what blocks in one of the database's threads. Raises Overloaded if the database is away."""

    def __call__(self, function: Callable[[], _Answer], /) -> Awaitable[_Answer]: ...


@dataclass(frozen=True, slots=True)
class AuthServices:
    """openid: its `providers` are the buttons beside the password."""

    sign_in: SignIn
    sessions: BrowserSessions
    doorway: Doorway
    openid: OpenId
    organisations: Organisations
    leaving: Leaving
    people: People
    audit: Audit
    in_thread: InThread
