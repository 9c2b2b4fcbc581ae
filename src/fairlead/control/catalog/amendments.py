"""What the operator changes of the catalogue while servers run: endpoints on and off, prices, hidden models.

Kept in the database, beside the catalogue and never in it: what is taken back leaves the catalogue as it
always was. Every process takes a change over within seconds (`following.py`). Who changes last, wins; each
change stands in the audit log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
import sqlalchemy as sa

from fairlead.control.audit.service import Audit
from fairlead.control.audit.types import Actor
from fairlead.control.catalog import amendment_queries as queries
from fairlead.control.catalog.types import AmendedUnknown, AmendmentInvalid, Change, Noted
from fairlead.core.catalog import Endpoint, Model, Snapshot
from fairlead.core.catalog_amendments import (
    AS_LISTED,
    Amendments,
    EndpointAmendment,
    amendable,
    price_problems,
)
from fairlead.core.ids import AccountId, EndpointId, ModelId
from fairlead.core.money import PicoUSD, price_text
from fairlead.store.database import Database

__all__ = ["AMENDMENTS_MAX", "CatalogAmendments", "read_amendments"]

AMENDMENTS_MAX: Final = 20_000  # several times all there is; endpoints come and go
_LOCK: Final = "catalog amendments"


class CatalogAmendments:
    """Methods block. For the installation's owner alone: who asks makes sure of that.

    amendments.switch(endpoint.id, is_off=True, account=owner, actor=actor)
    amendments.noted()  # all that is changed, and by whom

    catalogue: the one that is amended, as it is without. account: the owner's, in whose log it stands.
    """

    def __init__(
        self,
        database: Database,
        audit: Audit,
        *,
        catalogue: Callable[[], Snapshot],
        now_ms: Callable[[], int],
    ) -> None:
        self._database = database
        self._audit = audit
        self._catalogue = catalogue
        self._now_ms = now_ms

    # --- looking ---

    def noted(self) -> Noted:
        with self._database.read() as connection:
            return queries.noted(connection)

    def other_than(self, revision: int) -> Noted | None:
        """None: nothing has changed since that revision."""
        with self._database.read() as connection:
            if queries.revision(connection) == revision:
                return None
            return queries.noted(connection)

    def find(self, endpoint: EndpointId) -> tuple[Model, Endpoint]:
        """As the catalogue has them. Raises AmendedUnknown: not there, or it follows another."""
        for model in self._catalogue().models.values():
            for one in amendable(model):
                if one.id == endpoint:
                    return model, one
        raise AmendedUnknown("there is no such endpoint")

    # --- changing ---

    def switch(
        self, endpoint: EndpointId, *, is_off: bool, account: AccountId, actor: Actor
    ) -> None:
        """Whether calls may go there. Raises AmendedUnknown."""
        self.find(endpoint)

        def change(connection: sa.Connection) -> None:
            before = self._begin(connection, endpoint)
            if before.is_off == is_off:
                return
            after = msgspec.structs.replace(before, is_off=is_off)
            self._save(connection, endpoint, after, actor)
            action = "endpoint.switch_off" if is_off else "endpoint.switch_on"
            self._audit.note(connection, account, actor, action, endpoint)

        self._database.retrying(change)

    def price(
        self,
        endpoint: EndpointId,
        prices: Mapping[str, PicoUSD],
        *,
        account: AccountId,
        actor: Actor,
    ) -> None:
        """What calls cost there from now on. prices: all of the endpoint's own; the others are the catalogue's.

        Raises AmendedUnknown, AmendmentInvalid.
        """
        model, listed = self.find(endpoint)
        if problems := price_problems(listed, model.kind, prices):
            raise AmendmentInvalid(problems)

        def change(connection: sa.Connection) -> None:
            before = self._begin(connection, endpoint)
            if before.prices == prices:
                return
            after = msgspec.structs.replace(before, prices=dict(prices))
            self._save(connection, endpoint, after, actor)
            self._audit.note(
                connection, account, actor, "endpoint.price", endpoint,
                usd_before=_told(before.prices), usd_now=_told(prices),
            )  # fmt: skip

        self._database.retrying(change)

    def reset(self, endpoint: EndpointId, *, account: AccountId, actor: Actor) -> None:
        """As in the catalogue again. Also of one that is not there any more; again is fine."""

        def change(connection: sa.Connection) -> None:
            before = self._begin(connection, endpoint)
            if before == AS_LISTED:
                return
            self._save(connection, endpoint, AS_LISTED, actor)
            self._audit.note(
                connection, account, actor, "endpoint.reset", endpoint,
                usd_before=_told(before.prices), was_off=True if before.is_off else None,
            )  # fmt: skip

        self._database.retrying(change)

    def hide(self, model: ModelId, *, account: AccountId, actor: Actor) -> None:
        """Nobody sees it, and nobody can call it. Again is fine. Raises AmendedUnknown."""
        if model not in self._catalogue().models:
            raise AmendedUnknown("there is no such model")

        def change(connection: sa.Connection) -> None:
            self._database.lock(connection, _LOCK)
            if queries.is_hidden(connection, model):
                return
            self._check_count(connection)
            queries.hide(connection, model, self._by(actor))
            queries.next_revision(self._database, connection)
            self._audit.note(connection, account, actor, "model.hide", model)

        self._database.retrying(change)

    def show(self, model: ModelId, *, account: AccountId, actor: Actor) -> None:
        """Undoes `hide`. Again is fine."""

        def change(connection: sa.Connection) -> None:
            self._database.lock(connection, _LOCK)
            if not queries.is_hidden(connection, model):
                return
            queries.show(connection, model)
            queries.next_revision(self._database, connection)
            self._audit.note(connection, account, actor, "model.show", model)

        self._database.retrying(change)

    def _begin(self, connection: sa.Connection, endpoint: EndpointId) -> EndpointAmendment:
        self._database.lock(connection, _LOCK)
        return queries.endpoint_amendment(connection, endpoint)

    def _save(
        self,
        connection: sa.Connection,
        endpoint: EndpointId,
        amendment: EndpointAmendment,
        actor: Actor,
    ) -> None:
        if amendment != AS_LISTED:
            self._check_count(connection)
        queries.save(self._database, connection, endpoint, amendment, self._by(actor))
        queries.next_revision(self._database, connection)

    def _by(self, actor: Actor) -> Change:
        return Change(actor.name, self._now_ms())

    @staticmethod
    def _check_count(connection: sa.Connection) -> None:
        if queries.amendment_count(connection) >= AMENDMENTS_MAX:
            raise AmendmentInvalid(
                {"": f"At most {AMENDMENTS_MAX:,} endpoints and models can be changed."}
            )


def read_amendments(database: Database) -> Amendments:
    """All that is in force, for who changes nothing."""
    with database.read() as connection:
        return queries.noted(connection).amendments


def _told(prices: Mapping[str, PicoUSD]) -> str:
    """As "completion 0.0000006, prompt 0.00000015", in dollars for each token or unit."""
    told = ", ".join(f"{name} {price_text(price)}" for name, price in sorted(prices.items()))
    return told or "as in the catalogue"
