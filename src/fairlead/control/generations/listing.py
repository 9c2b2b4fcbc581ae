"""An account's finished calls, a page at a time, the newest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fairlead.control.generations import queries
from fairlead.control.usage.apps import claim
from fairlead.control.usage.samples import Sample, sample
from fairlead.control.usage.sessions import session_name
from fairlead.core.generation import Attribution, Generation, Outcome
from fairlead.core.ids import AccountId, KeyId, UserId
from fairlead.store.database import Database
from fairlead.store.records import unpack

__all__ = ["PAGE_MAX", "Cursor", "GenerationList", "Page", "Wanted"]

PAGE_MAX: Final = 500
LOOKED_AT_MAX: Final = 5000  # of calls that are passed over for one page; some 20 ms
RECORDS_LOOKED_AT_MAX: Final = 1000  # ... where only their records tell; some 20 ms
READ_AT_ONCE: Final = 250  # whole records, where only they tell
COLUMNS_AT_ONCE: Final = 500  # mostly enough to find a page among


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the list: behind the call that began then and has this id; "": behind all that began then."""

    created_ms: int
    id: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which calls. From start_ms to before end_ms; None: any. app: its identity, see control.usage.apps.

    user: who made the key. session: as callers say it. is_cached: whether some of the prompt was read from a
    cache.
    """

    start_ms: int
    end_ms: int
    model: str | None = None
    provider: str | None = None
    key: KeyId | None = None
    app: str | None = None
    user: UserId | None = None
    session: str | None = None
    outcome: Outcome | None = None
    is_cached: bool | None = None
    is_streamed: bool | None = None

    @property
    def needs_records(self) -> bool:
        """Columns alone do not tell."""
        return not (self.app is None and self.user is None and self.is_streamed is None)

    def look_at(self, limit: int) -> int:
        """How many calls at once. Those that columns refuse are passed over in the database."""
        if self.needs_records:
            return READ_AT_ONCE
        by_columns = (self.model, self.provider, self.key, self.outcome, self.is_cached)
        return limit if all(one is None for one in by_columns) else COLUMNS_AT_ONCE

    def chosen(self, row: queries.Listed) -> bool:
        """As far as columns tell."""
        return (
            self.model in (None, row.model)
            and self.provider in (None, row.provider)
            and self.key in (None, row.key_id)
            and self.outcome in (None, row.outcome)
            and self.is_cached in (None, row.cached_tokens > 0)
        )

    def holds(self, one: Sample, apps: dict[Attribution | None, str | None]) -> bool:
        """As far as columns do not tell. apps: identities by what calls said, as far as that is known; calls
        say few different things."""
        if self.user is not None and one.user != self.user:
            return False
        if self.is_streamed not in (None, one.streamed):
            return False
        if self.app is None:
            return True
        if one.attribution not in apps:
            claimed = claim(one.attribution)
            apps[one.attribution] = None if claimed is None else claimed.identity
        return apps[one.attribution] == self.app


@dataclass(frozen=True, slots=True)
class Page:
    """after: where the next page begins; None: these were the last. A page may be short, or empty, and still
    have one after it: only so many calls are looked at for a page. To a user it names none but his own."""

    generations: tuple[Generation, ...]
    after: Cursor | None


class GenerationList:
    """Methods block; DatabaseUnreadable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(
        self, account: AccountId, wanted: Wanted, *, behind: Cursor | None = None, limit: int
    ) -> Page:
        """limit: at most PAGE_MAX."""
        limit = min(limit, PAGE_MAX)
        found: list[Generation] = []
        apps: dict[Attribution | None, str | None] = {}
        looked_at = 0
        looked_at_max = RECORDS_LOOKED_AT_MAX if wanted.needs_records else LOOKED_AT_MAX
        with self._database.read() as connection:
            while looked_at < looked_at_max:
                look_at = wanted.look_at(limit + 1)
                rows, passed, last = queries.listed(
                    connection,
                    account,
                    start_ms=wanted.start_ms,
                    end_ms=wanted.end_ms,
                    session=None if wanted.session is None else session_name(wanted.session),
                    chosen=wanted.chosen,
                    behind=None if behind is None else (behind.created_ms, behind.id),
                    look_at=look_at,
                    limit=look_at if wanted.needs_records else limit + 1,
                )
                for record in rows:
                    if wanted.needs_records and not wanted.holds(sample(record), apps):
                        continue
                    one = unpack(record)
                    if len(found) == limit:
                        last_shown = found[-1]
                        return Page(tuple(found), Cursor(_began_ms(last_shown), last_shown.id))
                    found.append(one)
                looked_at += passed
                if last is None:
                    return Page(tuple(found), None)
                behind = Cursor(*last)
        if behind is not None and wanted.user is not None:
            # The last that was looked at may be another's, and its id is enough to open it. So the next page
            # begins with all of that millisecond, and this one ends before it.
            found = [one for one in found if _began_ms(one) > behind.created_ms]
            behind = Cursor(behind.created_ms + 1, "")
        return Page(tuple(found), behind)


def _began_ms(one: Generation) -> int:
    """As its row has it."""
    return round(one.created_s * 1000)
