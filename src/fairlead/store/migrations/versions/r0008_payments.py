"""Credits are bought: purchases, refunds, automatic top-up, invoices, notices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "purchases",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("company", sa.Text(), nullable=False),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.Column("fee_cents", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("session", sa.Text(), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("payment", sa.Text(), nullable=True),
        sa.Column("invoice", sa.BigInteger(), nullable=True),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("posted", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_purchases")),
        sa.UniqueConstraint("account_id", "key", name=op.f("uq_purchases_account_id_key")),
        sa.UniqueConstraint("payment", name=op.f("uq_purchases_payment")),
        sa.UniqueConstraint("session", name=op.f("uq_purchases_session")),
    )
    op.create_index(op.f("ix_purchases_account_id_id"), "purchases", ["account_id", "id"])
    op.create_index(op.f("ix_purchases_due_ms"), "purchases", ["due_ms"])
    op.create_table(
        "purchase_refunds",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("purchase_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("payment", sa.Text(), nullable=False),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "state IN ('owed', 'sent', 'failed')",
            name=op.f("ck_purchase_refunds_ck_purchase_refunds_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_purchase_refunds")),
    )
    op.create_index(op.f("ix_purchase_refunds_due_ms"), "purchase_refunds", ["due_ms"])
    op.create_index(op.f("ix_purchase_refunds_purchase_id"), "purchase_refunds", ["purchase_id"])
    op.create_table(
        "payment_events",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("company", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_events")),
    )
    op.create_index(op.f("ix_payment_events_due_ms"), "payment_events", ["due_ms"])
    op.create_index(op.f("ix_payment_events_received_ms"), "payment_events", ["received_ms"])
    op.create_table(
        "billing_profiles",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("tax_ids", sa.Text(), nullable=False),
        sa.Column("low_balance_cents", sa.BigInteger(), nullable=True),
        sa.Column("customer", sa.Text(), nullable=True),
        sa.Column("saved_method", sa.Text(), nullable=True),
        sa.Column("saved_label", sa.Text(), nullable=True),
        sa.Column("saving_session", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_billing_profiles")),
    )
    op.create_table(
        "top_ups",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("threshold_cents", sa.BigInteger(), nullable=False),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.Column("month_cents_max", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("not_before_ms", sa.BigInteger(), nullable=False),
        sa.Column("purchase_id", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('on', 'off', 'stopped')", name=op.f("ck_top_ups_ck_top_ups_state")
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_top_ups")),
    )
    op.create_index(op.f("ix_top_ups_state_account_id"), "top_ups", ["state", "account_id"])
    op.create_table(
        "invoices",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("purchase_id", sa.Text(), nullable=True),
        sa.Column("period", sa.Text(), nullable=True),
        sa.Column("total_cents", sa.BigInteger(), nullable=False),
        sa.Column("issued_ms", sa.BigInteger(), nullable=False),
        sa.Column("paid_ms", sa.BigInteger(), nullable=True),
        sa.Column("content", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('receipt', 'invoice')", name=op.f("ck_invoices_ck_invoices_kind")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_invoices")),
        sa.UniqueConstraint("account_id", "period", name=op.f("uq_invoices_account_id_period")),
        sa.UniqueConstraint("purchase_id", name=op.f("uq_invoices_purchase_id")),
    )
    op.create_index(op.f("ix_invoices_account_id_number"), "invoices", ["account_id", "number"])
    op.create_table(
        "notices",
        sa.Column("budget_id", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("said_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("budget_id", name=op.f("pk_notices")),
    )
    op.create_table(
        "expiry_notices",
        sa.Column("lot_id", sa.Text(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("said_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("lot_id", "days", name=op.f("pk_expiry_notices")),
    )
    op.create_table(
        "pretended_payments",
        sa.Column("purchase_id", sa.Text(), nullable=False),
        sa.Column("cents", sa.BigInteger(), nullable=False),
        sa.Column("seen", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("purchase_id", name=op.f("pk_pretended_payments")),
    )
