"""What people, sessions and organisations look like in JSON."""

from __future__ import annotations

from fairlead.control.accounts.types import Account
from fairlead.control.audit.types import AuditEntry
from fairlead.control.people.types import (
    Invitation,
    Member,
    Membership,
    Session,
    SignedIn,
    User,
)
from fairlead.core.money import usd
from fairlead.web.answers import timestamp, timestamp_or_none

__all__ = [
    "account",
    "audit_entry",
    "invitation",
    "member",
    "membership",
    "session",
    "signed_in",
    "user",
]


def signed_in(who: SignedIn, memberships: list[Membership]) -> dict[str, object]:
    return {
        "user": user(who.user),
        "account": account(who.account),
        "role": who.role.value,
        "is_owner": who.is_owner,
        "session": session(who.session, current=who.session.id),
        "csrf": who.csrf,
        "organisations": [membership(one) for one in memberships],
    }


def user(one: User) -> dict[str, object]:
    return {
        "id": one.id,
        "email": one.email,
        "is_email_verified": one.email_verified_ms is not None,
        "name": one.name,
        "has_password": one.has_password,
        "account_id": one.account,
        "created_at": timestamp(one.created_ms),
    }


def account(one: Account) -> dict[str, object]:
    return {
        "id": one.id,
        "kind": one.kind.value,
        "name": one.name,
        "billing": one.billing.value,
        "created_at": timestamp(one.created_ms),
    }


def membership(one: Membership) -> dict[str, object]:
    return {
        "account": account(one.account),
        "role": one.role.value,
        "joined_at": timestamp(one.joined_ms),
    }


def session(one: Session, *, current: str) -> dict[str, object]:
    return {
        "id": one.id,
        "is_current": one.id == current,
        "method": one.method,
        "address": one.place.address,
        "user_agent": one.place.user_agent,
        "created_at": timestamp(one.created_ms),
        "used_at": timestamp(one.used_ms),
        "expires_at": timestamp(one.expires_ms),
    }


def member(one: Member) -> dict[str, object]:
    return {
        "user_id": one.user,
        "email": one.email,
        "name": one.name,
        "role": one.role.value,
        "joined_at": timestamp(one.joined_ms),
        "limit": None if one.limit is None else usd(one.limit),
        "limit_reset": one.limit_reset,
    }


def invitation(one: Invitation) -> dict[str, object]:
    return {
        "id": one.id,
        "email": one.email,
        "role": one.role.value,
        "created_at": timestamp(one.created_ms),
        "expires_at": timestamp(one.expires_ms),
        "accepted_at": timestamp_or_none(one.accepted_ms),
    }


def audit_entry(one: AuditEntry) -> dict[str, object]:
    return {
        "id": one.id,
        "account_id": one.account,
        "actor": one.actor.name,
        "address": one.actor.address,
        "action": one.action,
        "subject": one.subject,
        "details": dict(one.details),
        "created_at": timestamp(one.created_ms),
    }
