"""What the endpoints of signing in need."""

from __future__ import annotations

from dataclasses import dataclass, field

from fairlead.control.audit.service import Audit
from fairlead.control.notifications.service import Notifications
from fairlead.control.people.leaving import Leaving
from fairlead.control.people.oidc import OpenId
from fairlead.control.people.organisations import Organisations
from fairlead.control.people.rules import SignInRules
from fairlead.control.people.service import People
from fairlead.control.people.sign_in import SignIn
from fairlead.web.asking import InThread
from fairlead.web.sessions import BrowserSessions, Doorway

__all__ = ["AuthServices"]


@dataclass(frozen=True, slots=True)
class AuthServices:
    """openid: its `providers` are the buttons beside the password. in_thread: the database's.
    rules: what the operator has set, for pages to say."""

    sign_in: SignIn
    sessions: BrowserSessions
    doorway: Doorway
    openid: OpenId
    organisations: Organisations
    leaving: Leaving
    people: People
    notifications: Notifications
    audit: Audit
    in_thread: InThread
    rules: SignInRules = field(default_factory=SignInRules)
