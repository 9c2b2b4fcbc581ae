"""What accounts say of themselves for paying: whom invoices name, which card is charged, when to buy by itself,
when to be warned."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from fairlead.control.audit.service import Audit
from fairlead.control.audit.types import Actor
from fairlead.control.billing import queries, rules
from fairlead.control.billing.payments import Hosted, Payments
from fairlead.control.billing.types import (
    BillingInvalid,
    BillingRules,
    SavedMethod,
    TopUp,
    TopUpState,
)
from fairlead.control.notifications.service import admins
from fairlead.core.ids import AccountId
from fairlead.store.database import Database
from fairlead.store.tables.payments import billing_profiles

__all__ = ["Profile", "Profiles"]

NAME_CHARACTERS_MAX: Final = 200
LOW_BALANCE_CENTS_MAX: Final = 10**12
ADDRESS_LINES_MAX: Final = 8
TAX_IDS_MAX: Final = 5
TAX_ID_CHARACTERS_MAX: Final = 40
_TAX_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ./-]*")
_read_texts: Final = msgspec.json.Decoder(tuple[str, ...])


@dataclass(frozen=True, slots=True)
class Profile:
    """address: lines. low_balance_cents: None: the installation's; 0: never."""

    account: AccountId
    name: str = ""
    address: str = ""
    tax_ids: tuple[str, ...] = ()
    low_balance_cents: int | None = None
    customer: str | None = None
    saved: SavedMethod | None = None
    saving_session: str | None = None


class Profiles:
    """All of them. Methods block."""

    def __init__(
        self,
        database: Database,
        payments: Payments | None,
        terms: BillingRules,
        audit: Audit,
        *,
        now_ms: Callable[[], int],
    ) -> None:
        self._database = database
        self._payments = payments
        self._terms = terms
        self._audit = audit
        self._now_ms = now_ms

    # --- reading ---

    def find(self, account: AccountId) -> Profile:
        with self._database.read() as connection:
            return find_profile(connection, account)

    def customer(self, account: AccountId) -> str | None:
        return self.find(account).customer

    def email(self, account: AccountId) -> str | None:
        """Of somebody who answers for it."""
        with self._database.read() as connection:
            return next(iter(admins(connection, account)), None)

    def saved(self, account: AccountId) -> SavedMethod | None:
        return self.find(account).saved

    def top_up(self, account: AccountId) -> TopUp:
        with self._database.read() as connection:
            return queries.top_up(connection, account) or TopUp(account)

    # --- changing ---

    def describe(
        self,
        account: AccountId,
        actor: Actor,
        *,
        name: str,
        address: str,
        tax_ids: tuple[str, ...],
        low_balance_cents: int | None,
    ) -> Profile:
        """Raises BillingInvalid."""
        wanted = {
            "name": _line(name, "name", NAME_CHARACTERS_MAX),
            "address": _address(address),
            "tax_ids": msgspec.json.encode(tuple(map(_tax_id, _several(tax_ids)))).decode(),
            "low_balance_cents": _low_balance(low_balance_cents),
        }
        self._described(account, actor, wanted)
        return self.find(account)

    def watch_balance(
        self, account: AccountId, actor: Actor, low_balance_cents: int | None
    ) -> None:
        """Below which balance somebody is written to. Raises BillingInvalid."""
        self._described(account, actor, {"low_balance_cents": _low_balance(low_balance_cents)})

    def _described(self, account: AccountId, actor: Actor, wanted: dict[str, Any]) -> None:
        with self._database.begin() as connection:
            self._save(connection, account, wanted)
            self._audit.note(connection, account, actor, "billing.describe", account)

    def set_top_up(
        self,
        account: AccountId,
        actor: Actor,
        *,
        is_on: bool,
        threshold_cents: int,
        amount_cents: int,
        month_cents_max: int,
    ) -> TopUp:
        """Turning it on forgets earlier failures. Raises BillingInvalid."""

        def change(connection: sa.Connection) -> TopUp:
            self._database.lock(connection, f"top-up {account}")
            before = queries.top_up(connection, account, locked=True) or TopUp(account)
            after = replace(
                before,
                state=TopUpState.ON if is_on else TopUpState.OFF,
                threshold_cents=threshold_cents,
                amount_cents=amount_cents,
                month_cents_max=month_cents_max,
                failures=0,
                not_before_ms=0,
            )
            if is_on:
                rules.check_top_up(after, self._terms)
                if find_profile(connection, account).saved is None:
                    raise BillingInvalid("save a card first", "enabled")
            queries.save_top_up(self._database, connection, after)
            self._audit.note(
                connection,
                account,
                actor,
                "billing.top_up",
                account,
                state=after.state.value,
                threshold_cents=threshold_cents,
                amount_cents=amount_cents,
                month_cents_max=month_cents_max,
            )
            return after

        return self._database.retrying(change)

    def begin_saving(self, account: AccountId, actor: Actor, email: str | None) -> Hosted:
        """A page on which a card is saved. Raises BillingInvalid, PaymentsAway, PaymentsRefused."""
        if self._payments is None:
            raise BillingInvalid("nothing can be bought here", "method")
        page = self._payments.begin_saving(
            account, customer=self.customer(account), email=email or self.email(account)
        )
        with self._database.begin() as connection:
            self._save(connection, account, {"saving_session": page.session})
            self._audit.note(connection, account, actor, "billing.card_begin", account)
        return page

    def look_for_saved(self, account: AccountId, session: str | None = None) -> SavedMethod | None:
        """Take over what was saved on the page that was begun. Raises PaymentsAway, PaymentsRefused."""
        profile = self.find(account)
        if self._payments is None or profile.saving_session is None:
            return profile.saved
        if session is not None and session != profile.saving_session:
            return profile.saved  # of a page that was begun before another
        found = self._payments.saved(profile.saving_session)
        if found is None:
            return profile.saved
        with self._database.begin() as connection:
            self._save(
                connection,
                account,
                {
                    "customer": found.customer,
                    "saved_method": found.method,
                    "saved_label": found.label,
                    "saving_session": None,
                },
            )
        return found

    def forget_saved(self, account: AccountId, actor: Actor) -> None:
        """And with it automatic top-up. Raises PaymentsAway."""
        saved = self.saved(account)
        with self._database.begin() as connection:
            top_up = queries.top_up(connection, account, locked=True)
            if top_up is not None:
                off = replace(top_up, state=TopUpState.OFF)
                queries.save_top_up(self._database, connection, off)
            self._save(connection, account, {"saved_method": None, "saved_label": None})
            self._audit.note(connection, account, actor, "billing.card_forget", account)
        if saved is not None and self._payments is not None:
            self._payments.forget(saved)

    def _save(self, connection: sa.Connection, account: AccountId, values: dict[str, Any]) -> None:
        blank = {"name": "", "address": "", "tax_ids": "[]"}
        connection.execute(
            self._database.insert(billing_profiles)
            .values(account_id=account, **{**blank, **values})
            .on_conflict_do_update(index_elements=["account_id"], set_=values)
        )


def find_profile(connection: sa.Connection, account: AccountId) -> Profile:
    """Blank for who has said nothing."""
    query = sa.select(billing_profiles).where(billing_profiles.c.account_id == account)
    row = connection.execute(query).one_or_none()
    if row is None:
        return Profile(account)
    saved = None
    if row.customer is not None and row.saved_method is not None:
        saved = SavedMethod(row.customer, row.saved_method, row.saved_label or "card")
    return Profile(
        account=account,
        name=row.name,
        address=row.address,
        tax_ids=_read_texts.decode(row.tax_ids),
        low_balance_cents=row.low_balance_cents,
        customer=row.customer,
        saved=saved,
        saving_session=row.saving_session,
    )


def _low_balance(cents: int | None) -> int | None:
    """Raises BillingInvalid."""
    if cents is not None and not 0 <= cents <= LOW_BALANCE_CENTS_MAX:
        raise BillingInvalid("from $0", "low_balance")
    return cents


def _line(text: str, path: str, characters_max: int) -> str:
    line = " ".join(text.split())
    if len(line) > characters_max or not line.isprintable():
        raise BillingInvalid(f"one line of at most {characters_max} characters", path)
    return line


def _address(text: str) -> str:
    lines = [_line(line, "address", NAME_CHARACTERS_MAX) for line in text.splitlines()[:100]]
    kept = [line for line in lines if line]
    if len(kept) > ADDRESS_LINES_MAX:
        raise BillingInvalid(f"at most {ADDRESS_LINES_MAX} lines", "address")
    return "\n".join(kept)


def _several(tax_ids: tuple[str, ...]) -> tuple[str, ...]:
    if len(tax_ids) > TAX_IDS_MAX:
        raise BillingInvalid(f"at most {TAX_IDS_MAX}", "tax_ids")
    return tax_ids


def _tax_id(text: str) -> str:
    line = _line(text, "tax_ids", TAX_ID_CHARACTERS_MAX)
    if not _TAX_ID.fullmatch(line):
        raise BillingInvalid("a tax id has letters, digits and . / - only", "tax_ids")
    return line
