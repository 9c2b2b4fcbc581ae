"""What the pages of the operator (`/admin`) ask. Every one of them makes sure first that it is the owner."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from fairlead.control.audit.service import Audit
from fairlead.control.catalog.amendments import CatalogAmendments
from fairlead.control.ledger.check_job import CheckStanding
from fairlead.control.ledger.service import Ledger
from fairlead.control.oversight.service import Oversight
from fairlead.control.people.disabling import Disabling
from fairlead.control.usage.service import Usage
from fairlead.core.catalog import Snapshot
from fairlead.core.ids import ProviderSlug
from fairlead.settings import Settings
from fairlead.web.asking import InThread, answered

__all__ = [
    "Administration",
    "CatalogueDesk",
    "LedgerChecks",
    "ProviderChecks",
    "ProviderFound",
    "Vitals",
]

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Vitals:
    """Of the process that answers. journal_bytes: written down and not charged yet."""

    is_ready: bool
    is_database_away: bool
    is_settler_failing: bool
    is_journal_failing: bool
    journal_bytes: int
    calls_under_way: int


@dataclass(frozen=True, slots=True)
class ProviderFound:
    """Of one provider: whether anything opens it. lacking: what to set so that something does; None: nothing.

    base_url: where it is called. key: its last characters, "" where they would tell too much; None: no key.
    """

    slug: ProviderSlug
    lacking: str | None
    base_url: str
    key: str | None


class ProviderChecks(Protocol):
    """Whether providers really answer."""

    def found(self) -> list[ProviderFound]:
        """Of every provider of the catalogue. Reads files of credentials: blocks."""
        ...

    async def check(self, provider: ProviderSlug) -> tuple[bool, str]:
        """One call of one token. Whether it worked; the model and the latency, or what is wrong and what to
        change. Raises Overloaded while another check is under way."""
        ...


class LedgerChecks(Protocol):
    """The check of the ledger, as work of the server."""

    def standing(self) -> CheckStanding | None:
        """Of the last one, also of another process; None: there was none. Blocks."""
        ...

    def begin(self) -> bool:
        """False: one is under way. Blocks."""
        ...


@dataclass(frozen=True, slots=True)
class CatalogueDesk:
    """unamended: the catalogue without what the operator changed. look: this process takes that over now."""

    amendments: CatalogAmendments
    unamended: Callable[[], Snapshot]
    look: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Administration:
    """settings: in force now. in_thread: the database's. ledger_checks, providers: None: not here."""

    oversight: Oversight
    audit: Audit
    disabling: Disabling
    ledger: Ledger
    usage: Usage
    catalogue: CatalogueDesk
    settings: Callable[[], Settings]
    vitals: Callable[[], Vitals]
    in_thread: InThread
    providers: ProviderChecks | None = None
    ledger_checks: LedgerChecks | None = None

    def do(self, function: Callable[[], _Answer]) -> Awaitable[_Answer]:
        """Raises what a person sees of a refusal."""
        return answered(self.in_thread, function)
