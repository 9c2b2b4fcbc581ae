"""What the operator sees of all accounts, and what only the operator may give: credit for nothing.

Who asks makes sure that it is the operator.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

import sqlalchemy as sa

from fairlead.control.audit.service import Audit
from fairlead.control.audit.types import Actor
from fairlead.control.billing import queries as billing_queries
from fairlead.control.billing.types import Purchase, Refund
from fairlead.control.feedback import queries as feedback_queries
from fairlead.control.feedback.types import Remark
from fairlead.control.ledger.service import Ledger, Outcome
from fairlead.control.ledger.types import AddCredit, LotKind, Posted, Refused
from fairlead.control.oversight import queries
from fairlead.control.oversight.types import AccountFigures, Counts, Event, GrantRefused, Troubles
from fairlead.control.usage.calendar import DAY_MS, day_start_ms
from fairlead.core.ids import AccountId
from fairlead.core.money import NanoUSD, amount_text
from fairlead.store.database import Database

__all__ = ["Oversight"]

PAGE_MAX: Final = 200
SEARCH_CHARACTERS_MAX: Final = 200


class Oversight:
    """Methods block.

    oversight = Oversight(database, ledger=ledger, audit=audit, now_ms=clock.now_ms)
    oversight.accounts("ada@")  # the newest first
    oversight.grant(account, NanoUSD(5_000_000_000), reason="outage", reference=token, actor=actor)
    """

    def __init__(
        self, database: Database, *, ledger: Ledger, audit: Audit, now_ms: Callable[[], int]
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._audit = audit
        self._now_ms = now_ms

    # --- looking ---

    def counts(self) -> Counts:
        """Purchases are those of the day (UTC) that is not over yet."""
        with self._database.read() as connection:
            return queries.counts(connection, since_ms=day_start_ms(self._now_ms()))

    def troubles(self) -> Troubles:
        with self._database.read() as connection:
            return queries.troubles(connection)

    def accounts(
        self, text: str = "", *, offset: int = 0, limit: int = PAGE_MAX
    ) -> list[AccountFigures]:
        """The newest first, deleted ones as well. text: part of a name or an address, or an id."""
        wanted = " ".join(text.split())[:SEARCH_CHARACTERS_MAX]
        with self._database.read() as connection:
            return queries.account_page(
                connection, wanted, offset=offset, limit=min(limit, PAGE_MAX)
            )

    def purchases(
        self, states: Collection[str] = (), *, offset: int = 0, limit: int = PAGE_MAX
    ) -> list[Purchase]:
        """Of all accounts, the newest first. states: none: whatever became of them."""
        with self._database.read() as connection:
            ids = queries.purchase_ids(
                connection, states, offset=offset, limit=min(limit, PAGE_MAX)
            )
            found = billing_queries.find_purchases(connection, ids)
            return [found[one] for one in ids]

    def refunds(self, *, offset: int = 0, limit: int = PAGE_MAX) -> list[Refund]:
        with self._database.read() as connection:
            return queries.refunds(connection, offset=offset, limit=min(limit, PAGE_MAX))

    def events(self, *, offset: int = 0, limit: int = PAGE_MAX) -> list[Event]:
        """What the payment company told us, the latest first."""
        with self._database.read() as connection:
            return queries.events(connection, offset=offset, limit=min(limit, PAGE_MAX))

    def remarks(self, *, before: str | None = None, limit: int = PAGE_MAX) -> list[Remark]:
        """What people say of answers, the newest first. before: the id of one."""
        with self._database.read() as connection:
            return feedback_queries.page(
                connection, None, before=before, limit=min(limit, PAGE_MAX)
            )

    def names(self, ids: Collection[str]) -> dict[str, str]:
        """How to call accounts and people; unknown ones are missing."""
        if not ids:
            return {}
        with self._database.read() as connection:
            return queries.names(connection, ids)

    # --- giving ---

    def grant(
        self,
        account: AccountId,
        amount: NanoUSD,
        *,
        reason: str,
        reference: str,
        actor: Actor,
        expires_days: int | None = None,
    ) -> Outcome:
        """Credit for nothing, with its line in the audit log, in one transaction.

        reference: names this grant: the same again gives nothing more. Raises GrantRefused.
        """
        why = " ".join(reason.split())
        if not why:
            raise GrantRefused("Say why: it is kept in the ledger for ever.", "reason")
        if amount <= 0:
            raise GrantRefused("More than nothing.", "amount")
        now_ms = self._now_ms()
        command = AddCredit(
            account=account,
            reference=f"grant:{reference}",
            kind=LotKind.GRANT,
            amount=amount,
            expires_ms=None if expires_days is None else now_ms + expires_days * DAY_MS,
            reason=why,
        )

        def give(connection: sa.Connection) -> Outcome:
            outcome = self._ledger.post_within(connection, command)
            if isinstance(outcome, Posted):
                self._audit.note(
                    connection, account, actor, "credits.grant", f"entry {outcome.entry}",
                    amount_usd=amount_text(amount), reason=why, expires_days=expires_days,
                )  # fmt: skip
            return outcome

        outcome = self._database.retrying(give)
        if isinstance(outcome, Refused):
            raise GrantRefused(outcome.message)
        return outcome

    def note(self, account: AccountId, actor: Actor, action: str, subject: str) -> None:
        """What the operator did that changes nothing of an account, as a check."""
        with self._database.begin() as connection:
            self._audit.note(connection, account, actor, action, subject)
