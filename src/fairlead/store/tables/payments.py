"""Purchases, refunds, and what the payment company tells us. What follows from them for an account's credit is
in the ledger alone.

Rows with a `due_ms` wait for a job, which takes those that are due and puts the moment of the next attempt
there before it begins; none: nothing is left to do.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from fairlead.store.tables.metadata import metadata

__all__ = [
    "billing_profiles",
    "expiry_notices",
    "invoices",
    "notices",
    "payment_events",
    "pretended_payments",
    "purchase_refunds",
    "purchases",
    "top_ups",
]

purchases: Final = sa.Table(
    "purchases",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("method", sa.Text, nullable=False),
    sa.Column("company", sa.Text, nullable=False),
    sa.Column("amount_cents", sa.BigInteger, nullable=False),
    sa.Column("fee_cents", sa.BigInteger, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("key", sa.Text),  # the buyer's idempotency key
    sa.Column("session", sa.Text),  # the page on which it is paid
    sa.Column("url", sa.Text),
    sa.Column("payment", sa.Text),  # what the company calls it
    sa.Column("invoice", sa.BigInteger),  # of ours, that it pays
    sa.Column("facts", sa.Text, nullable=False),  # JSON: control.billing.types.Facts
    sa.Column("posted", sa.Text, nullable=False),  # JSON: references of entries of the ledger
    sa.Column("state", sa.Text, nullable=False),  # follows from the facts
    sa.Column("looks", sa.Integer, nullable=False),
    sa.Column("due_ms", sa.BigInteger),  # when to ask the company by ourselves
    sa.UniqueConstraint("account_id", "key"),
    sa.UniqueConstraint("session"),
    sa.UniqueConstraint("payment"),
    sa.Index(None, "account_id", "id"),
    sa.Index(None, "due_ms"),
)

purchase_refunds: Final = sa.Table(
    "purchase_refunds",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("purchase_id", sa.Text, nullable=False),
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("payment", sa.Text, nullable=False),
    sa.Column("amount_cents", sa.BigInteger, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("problem", sa.Text, nullable=False),
    sa.Column("due_ms", sa.BigInteger),  # when to send it
    sa.CheckConstraint("state IN ('owed', 'sent', 'failed')", name="state"),
    sa.Index(None, "purchase_id"),
    sa.Index(None, "due_ms"),
)

# Everything that the company ever told us, as it came.
payment_events: Final = sa.Table(
    "payment_events",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),  # the company's
    sa.Column("company", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),  # JSON
    sa.Column("received_ms", sa.BigInteger, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),  # what became of it; "": nothing yet
    sa.Column("due_ms", sa.BigInteger),
    sa.Index(None, "due_ms"),
    sa.Index(None, "received_ms"),
)

# Whom invoices name, what top-ups charge, where an account wants to be warned.
billing_profiles: Final = sa.Table(
    "billing_profiles",
    metadata,
    sa.Column("account_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("address", sa.Text, nullable=False),  # lines
    sa.Column("tax_ids", sa.Text, nullable=False),  # JSON: an array of texts
    sa.Column("low_balance_cents", sa.BigInteger),  # none: the installation's; 0: never
    sa.Column("customer", sa.Text),  # what the company calls the account
    sa.Column("saved_method", sa.Text),  # what it calls the card that top-ups charge
    sa.Column("saved_label", sa.Text),
    sa.Column("saving_session", sa.Text),  # the page on which a card is being saved
)

top_ups: Final = sa.Table(
    "top_ups",
    metadata,
    sa.Column("account_id", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("threshold_cents", sa.BigInteger, nullable=False),
    sa.Column("amount_cents", sa.BigInteger, nullable=False),
    sa.Column("month_cents_max", sa.BigInteger, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("not_before_ms", sa.BigInteger, nullable=False),
    sa.Column("purchase_id", sa.Text),  # the one under way: there is never another
    sa.CheckConstraint("state IN ('on', 'off', 'stopped')", name="state"),
    sa.Index(None, "state", "account_id"),
)

# Receipts and invoices: one series of numbers without gaps. What is printed never changes.
invoices: Final = sa.Table(
    "invoices",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),  # from 1
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("purchase_id", sa.Text),  # of a receipt
    sa.Column("period", sa.Text),  # of an invoice: "2026-11"
    sa.Column("total_cents", sa.BigInteger, nullable=False),
    sa.Column("issued_ms", sa.BigInteger, nullable=False),
    sa.Column("paid_ms", sa.BigInteger),
    sa.Column("content", sa.Text, nullable=False),  # JSON: control.billing.documents.Document
    sa.CheckConstraint("kind IN ('receipt', 'invoice')", name="kind"),
    sa.UniqueConstraint("purchase_id"),
    sa.UniqueConstraint("account_id", "period"),
    sa.Index(None, "account_id", "number"),
)

# What accounts were told of a budget, so that nobody hears it twice.
notices: Final = sa.Table(
    "notices",
    metadata,
    sa.Column("budget_id", sa.Text, primary_key=True),
    sa.Column("period", sa.Text, nullable=False),
    sa.Column("level", sa.Integer, nullable=False),  # percent; of an account: 1 while it is low
    sa.Column("said_ms", sa.BigInteger, nullable=False),
)

expiry_notices: Final = sa.Table(
    "expiry_notices",
    metadata,
    sa.Column("lot_id", sa.Text, primary_key=True),
    sa.Column("days", sa.Integer, primary_key=True),  # before it expires
    sa.Column("said_ms", sa.BigInteger, nullable=False),
)

# What stands in for a payment company where there is none: no money moves here.
pretended_payments: Final = sa.Table(
    "pretended_payments",
    metadata,
    sa.Column("purchase_id", sa.Text, primary_key=True),
    sa.Column("cents", sa.BigInteger, nullable=False),
    sa.Column("seen", sa.Text, nullable=False),  # JSON: control.billing.types.Observation
)
