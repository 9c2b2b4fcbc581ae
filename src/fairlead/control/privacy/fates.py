"""For each table with anything of an account in it: what is exported, and what becomes of it at the end. Pure.

A table that is neither here nor in `OF_NOBODY` fails a test: so whoever adds one decides.

Money stays: what was used, paid and owed must add up for ever. It stays under ids that lead to nobody, once the
account's name, addresses and people are gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["FATES", "OF_NOBODY", "End", "Fate"]


class End(StrEnum):
    """What becomes of an account's rows when it is deleted."""

    KEPT = "kept"  # nothing in them tells whose they were
    DELETED = "deleted"
    BLANKED = "blanked"  # some columns are overwritten
    ELSEWHERE = "elsewhere"  # its own service does it: control.people.leaving


@dataclass(frozen=True, slots=True)
class Fate:
    """column: by which rows are the account's. secret: columns that are not exported: they open something, or
    say nothing to people. blank: what is written over columns at the end.
    """

    end: End
    column: str = "account_id"
    secret: tuple[str, ...] = ()
    blank: tuple[tuple[str, object], ...] = ()
    is_exported: bool = True


_GONE: Final = "(deleted)"

FATES: Final[dict[str, Fate]] = {
    "accounts": Fate(
        End.BLANKED, column="id", blank=(("name", _GONE), ("preferences", None))
    ),  # the address goes with control.accounts
    "users": Fate(End.ELSEWHERE, secret=("password_hash",)),
    "workspaces": Fate(
        End.BLANKED,
        blank=(
            ("name", _GONE),
            ("description", None),
            ("io_logging", False),
            ("data_discount_logging", False),
        ),
    ),
    "memberships": Fate(End.ELSEWHERE),
    "invitations": Fate(End.DELETED),
    "sessions": Fate(End.ELSEWHERE, secret=("digest",)),
    "api_keys": Fate(End.BLANKED, secret=("digest",), blank=(("name", _GONE),)),
    "authorization_codes": Fate(End.DELETED, is_exported=False),
    "apps": Fate(End.KEPT),  # public names of public programs
    "provider_credentials": Fate(End.DELETED, secret=("sealed",)),
    "contents": Fate(End.DELETED, secret=("sealed",)),
    "presets": Fate(End.DELETED),
    "preset_versions": Fate(End.DELETED),
    "data_keys": Fate(End.DELETED, is_exported=False),
    "generations": Fate(End.KEPT),  # and scrubbed, see Privacy.scrub
    "session_sums": Fate(End.DELETED, is_exported=False),  # the generations say it all
    "session_calls": Fate(End.DELETED, is_exported=False),
    "app_calls": Fate(End.DELETED, is_exported=False),
    "generation_feedback": Fate(End.DELETED),
    "audit_entries": Fate(End.BLANKED, blank=(("address", ""), ("details", "{}"))),
    "ledger_accounts": Fate(End.KEPT),
    "ledger_entries": Fate(End.KEPT, secret=("hash",)),
    "lots": Fate(End.KEPT),
    "budgets": Fate(End.KEPT),
    "billing_profiles": Fate(End.DELETED, secret=("customer", "saved_method", "saving_session")),
    "top_ups": Fate(End.DELETED),
    "notification_rules": Fate(End.DELETED),
    "ending_notices": Fate(End.DELETED),
    "purchases": Fate(End.KEPT, secret=("key", "session", "url", "payment")),
    "purchase_refunds": Fate(End.KEPT, secret=("payment",)),
    "invoices": Fate(End.KEPT),  # the law wants them, with the names on them
    "usage_series": Fate(End.KEPT),
    "usage_minutes": Fate(End.KEPT, is_exported=False),  # the generations say it all
    "usage_hours": Fate(End.KEPT, is_exported=False),
    "usage_days": Fate(End.KEPT),
    "usage_weeks": Fate(End.KEPT, is_exported=False),
    "usage_months": Fate(End.KEPT, is_exported=False),
}

# Tables without a column that names an account, and why nothing of them is exported or deleted here.
OF_NOBODY: Final[dict[str, str]] = {
    "meta": "of the installation",
    "price_sheets": "of the installation",
    "catalog_versions": "of the installation",
    "endpoint_amendments": "of the installation",
    "hidden_models": "of the installation",
    "journal_positions": "of processes",
    "endpoint_hours": "of endpoints",
    "endpoint_days": "of endpoints",
    "provider_hours": "of providers",
    "provider_days": "of providers",
    "usage_backlog": "ids of generations, for a moment",
    "ledger_head": "of the ledger",
    "ledger_postings": "amounts; its entries are exported",
    "budget_periods": "amounts",
    "leases": "of processes",
    "key_usage": "amounts",
    "notices": "when budgets were told of",
    "expiry_notices": "when lots were told of",
    "payment_events": "what the payment company told; kept as proof",
    "pretended_payments": "amounts, of tests",
    "workspace_budgets": "amounts",
    "workspace_members": "of people: control.people.leaving",
    "identities": "of people: control.people.leaving",
    "one_time_tokens": "of people: control.people.leaving",
    "mails": "sent and forgotten: control.mail",
}
