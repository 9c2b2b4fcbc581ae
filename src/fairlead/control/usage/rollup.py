"""Adding what was settled to the sums, in the transaction that settles it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import sqlalchemy as sa

from fairlead.control.usage import app_calls, app_queries, keeping, sessions
from fairlead.control.usage.apps import APPS_PER_ACCOUNT_MAX, Claim, claim, merged
from fairlead.control.usage.rules import MS_PER_S, Rolled, negated, roll
from fairlead.control.usage.samples import Sample, sample
from fairlead.control.usage.series import SeriesBook
from fairlead.core.generation import Attribution
from fairlead.core.ids import AccountId
from fairlead.core.pricing import PriceSheet
from fairlead.store.database import Database

__all__ = ["UsageRollup"]

SHEETS_MAX: Final = 5000  # remembered; some 5 MB


class UsageRollup:
    """A settler's step: after it, everything that people look at has these generations in it.

    rollup = UsageRollup(database)
    with database.begin() as connection:
        ...  # insert generations that are new
        rollup.add_within(connection, records)  # last: everybody's batches add to some of the same rows

    It knows nothing of transactions: what it remembers is true whether or not they happen. Of one thread.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._book = SeriesBook()
        self._sheets: dict[str, PriceSheet] = {}

    def add_within(self, connection: sa.Connection, records: Sequence[bytes]) -> None:
        """records: of generations that are new to the database, each once; as `store.records.pack` makes them.

        Raises RecordUnreadable.
        """
        samples = list(map(sample, records))
        if samples:
            # Before what everybody adds to.
            sessions.add(connection, samples)
            apps = self._apps(connection, samples)
            app_calls.add(self._database, connection, samples, apps)
            keeping.add(connection, self._rolled(connection, samples, apps))

    def subtract_within(self, connection: sa.Connection, records: Sequence[bytes]) -> None:
        """Take them out again: of generations that are in the sums. Rows stay, some with nothing in them; what
        keys used, what sessions came to and which calls an app made stays as it is. Raises RecordUnreadable.
        """
        samples = list(map(sample, records))
        if samples:
            apps = self._apps(connection, samples)
            keeping.add(connection, negated(self._rolled(connection, samples, apps)))

    def _rolled(
        self, connection: sa.Connection, samples: Sequence[Sample], apps: Mapping[str, int]
    ) -> Rolled:
        return roll(
            samples,
            self._book,
            apps=apps,
            sheets=self._sheets_of(connection, samples),
        )

    def _sheets_of(
        self, connection: sa.Connection, samples: Sequence[Sample]
    ) -> dict[str, PriceSheet]:
        """Of those whose prices say more than the record does."""
        wanted = {
            one.price_version
            for one in samples
            if one.usage.cache_read
            or one.usage.cache_write
            or one.usage.cache_write_1h
            or one.usage.web_searches
        }
        missing = wanted - self._sheets.keys()
        if missing:
            if len(self._sheets) + len(missing) > SHEETS_MAX:
                self._sheets.clear()
                missing = wanted
            self._sheets |= keeping.sheets(connection, missing)
        return self._sheets

    def _apps(self, connection: sa.Connection, samples: Sequence[Sample]) -> dict[str, int]:
        """Apps' ids by generation. New apps are made; those that exist take on what their own calls say."""
        claimed_by: dict[Attribution, Claim | None] = {}  # many calls say the same
        claims: dict[str, tuple[Sample, Claim]] = {}
        for one in samples:
            said = one.attribution
            if said is None or said.referer is None:
                continue
            if said not in claimed_by:
                claimed_by[said] = claim(said)
            claimed = claimed_by[said]
            if claimed is not None:
                claims[one.id] = (one, claimed)
        if not claims:
            return {}
        # In one order everywhere, so that two who make the same ones do not lock each other out.
        first = {
            claimed.identity: (one, claimed)
            for one, claimed in sorted(claims.values(), key=lambda both: both[1].identity)
        }
        known = app_queries.by_identities(connection, first)
        missing = [found for identity, found in first.items() if identity not in known]
        if missing and self._make(connection, missing):
            known = app_queries.by_identities(connection, first)
        for one, claimed in first.values():
            app = known.get(claimed.identity)
            if app is None or app.account != one.account:
                continue
            categories = merged(app.categories, claimed.categories)
            if (app.title, app.categories) != (claimed.title, categories):
                app_queries.change(connection, app.id, title=claimed.title, categories=categories)
        return {
            generation: known[claimed.identity].id
            for generation, (_, claimed) in claims.items()
            if claimed.identity in known
        }

    def _make(self, connection: sa.Connection, missing: Sequence[tuple[Sample, Claim]]) -> bool:
        """Returns whether there may be new ones."""
        left: dict[AccountId, int] = {}
        made = False
        for one, claimed in missing:
            account = one.account
            if account not in left:
                left[account] = APPS_PER_ACCOUNT_MAX - app_queries.count_of(connection, account)
            if left[account] <= 0:
                continue
            left[account] -= 1
            created_ms = round(one.created_s * MS_PER_S)
            app_queries.insert_new(self._database, connection, account, claimed, now_ms=created_ms)
            made = True
        return made
