"""What an account may be called, and what belongs to it. Pure."""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID, uuid5

from fairlead.control.accounts.types import EmailInvalid
from fairlead.core.ids import AccountId, UserId, WorkspaceId, timed_id
from fairlead.core.one_line import one_line

__all__ = [
    "NAME_CHARACTERS_MAX",
    "account_id",
    "default_workspace",
    "email",
    "name",
    "user_id",
]

EMAIL_CHARACTERS_MAX: Final = 254  # RFC 5321, section 4.5.3.1.3, less the angle brackets
NAME_CHARACTERS_MAX: Final = 200

_DEFAULT_WORKSPACES: Final = UUID("3f0e4c5d-6c9b-5f0e-9d55-0c8a6f2f7a31")  # for ever: revision 0006

# One mailbox, and nothing that a mail's header would read as two, or as another: a dot-atom (RFC 5322, section
# 3.2.3) at a host's name, of whatever letters; no encoded word (RFC 2047). Whether it exists, only a message to
# it can tell.
_ATOM: Final = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL: Final = r"[^\W_](?:[^\W_]|-)*(?<!-)"
_EMAIL: Final = re.compile(rf"(?!.*=\?){_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")


def email(text: str) -> str:
    """The address as we keep it: trimmed, lower case. Raises EmailInvalid."""
    address = text.strip().lower()
    if len(address) > EMAIL_CHARACTERS_MAX or not _EMAIL.fullmatch(address):
        raise EmailInvalid(f"{text[:80]!r} is not an email address")
    return address


def name(text: str) -> str:
    """A display name: one line of what can be seen, bounded."""
    return one_line(text)[:NAME_CHARACTERS_MAX].strip()


def account_id(unix_ms: int, entropy: bytes) -> AccountId:
    return AccountId(timed_id("acc", unix_ms, entropy))


def user_id(unix_ms: int, entropy: bytes) -> UserId:
    return UserId(timed_id("user", unix_ms, entropy))


def default_workspace(account: AccountId) -> WorkspaceId:
    """Every account has one for as long as it exists, and its id follows from the account's."""
    return WorkspaceId(str(uuid5(_DEFAULT_WORKSPACES, account)))
