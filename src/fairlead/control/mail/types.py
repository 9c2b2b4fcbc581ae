"""Values about mail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import msgspec
import sqlalchemy as sa

__all__ = ["Letter", "Mail", "MailRefused", "MailStuck", "Prepare", "Transport"]


class Letter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be written to somebody.

    kind: the name of a text in `texts/`. recipient: an address. about: the id of a user or an invitation, where
    the text needs to know. values: what the text's blanks are filled with; holds no secret, for it is kept.
    """

    kind: str
    recipient: str
    about: str = ""
    values: Mapping[str, str] = {}


# What a letter becomes when it is sent: another kind perhaps, and values that only now exist, such as a link.
# None: it is not sent. Part of the transaction that takes it out of the outbox.
Prepare: TypeAlias = Callable[[sa.Connection, Letter], Letter | None]


@dataclass(frozen=True, slots=True)
class Mail:
    """A letter as it goes out. id: the same for every attempt, so that mailboxes know them for one."""

    id: str
    sender: str
    recipient: str
    subject: str
    text: str = field(repr=False)  # may hold a link


class Transport(Protocol):
    """How mail leaves."""

    def send(self, mail: Mail) -> None:
        """Blocks for a bounded time. Raises MailRefused, MailStuck."""
        ...


class MailRefused(Exception):
    """It was not taken and will not be: the address does not exist, or we may not send to it."""


class MailStuck(Exception):
    """It was not taken now. Perhaps later."""
