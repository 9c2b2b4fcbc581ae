"""Money gets a ledger: entries, postings, lots; budgets and leases."""

from __future__ import annotations

from hashlib import sha256

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


FIRST_HASH = bytes(32)


def upgrade() -> None:
    create_ledger()
    charge_what_was_used()
    create_budgets()
    fill_budgets()


def create_ledger() -> None:
    op.create_table(
        "ledger_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_ledger_head_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_head")),
    )
    op.create_table(
        "ledger_entries",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_ledger_entries")),
        sa.UniqueConstraint("reference", name=op.f("uq_ledger_entries_reference")),
    )
    op.create_index(
        op.f("ix_ledger_entries_account_id_number"),
        "ledger_entries",
        ["account_id", "number"],
        unique=False,
    )
    op.create_table(
        "ledger_postings",
        sa.Column("entry", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("line", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("ledger_account", sa.Text(), nullable=False),
        sa.Column("lot_id", sa.Text(), nullable=True),
        sa.Column("amount_nano", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("entry", "line", name=op.f("pk_ledger_postings")),
    )
    op.create_table(
        "lots",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("amount_nano", sa.BigInteger(), nullable=False),
        sa.Column("remaining_nano", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=True),
        sa.Column("is_refundable", sa.Boolean(), nullable=False),
        sa.Column("source", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "remaining_nano >= 0 AND remaining_nano <= amount_nano",
            name=op.f("ck_lots_remaining"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lots")),
    )
    op.create_index(op.f("ix_lots_account_id_id"), "lots", ["account_id", "id"], unique=False)
    for name, column, condition in (
        ("ix_lots_left", "account_id", "remaining_nano > 0"),
        ("ix_lots_expiring", "expires_ms", "remaining_nano > 0 AND expires_ms IS NOT NULL"),
    ):
        where = sa.text(condition)
        op.create_index(name, "lots", [column], sqlite_where=where, postgresql_where=where)
    op.create_table(
        "ledger_accounts",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("credits_nano", sa.BigInteger(), nullable=False),
        sa.Column("usage_nano", sa.BigInteger(), nullable=False),
        sa.Column("purchased_nano", sa.BigInteger(), nullable=False),
        sa.Column("debt_nano", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_ledger_accounts")),
    )


def charge_what_was_used() -> None:
    """One entry for each account, with all that it has used so far.

    A postpaid account owes it. Nobody could have credit before, so a prepaid account is let off.
    """
    connection = op.get_bind()
    op.add_column("generations", sa.Column("entry", sa.BigInteger(), nullable=True))
    used = connection.execute(
        sa.text(
            "SELECT generations.account_id, SUM(generations.cost_nano), COUNT(*),"
            " MAX(generations.created_ms), accounts.billing"
            " FROM generations LEFT JOIN accounts ON accounts.id = generations.account_id"
            " GROUP BY generations.account_id, accounts.billing ORDER BY generations.account_id"
        )
    ).all()
    chain = Chain(connection)
    for account, cost, count, used_ms, billing in used:
        amount = int(cost)
        command = {"amount": amount, "generations_count": count}
        postings = [("usage", amount), (f"debt:{account}", -amount)]
        chain.add("charge", f"usage:before:{account}", account, used_ms, command, postings)
        connection.execute(
            sa.text("UPDATE generations SET entry = :entry WHERE account_id = :account"),
            {"entry": chain.number, "account": account},
        )
        is_let_off = billing == "prepaid" and amount > 0
        if is_let_off:
            command = {"amount": amount, "reason": "used before there was credit to have"}
            postings = [("write_offs", -amount), (f"debt:{account}", amount)]
            chain.add("write_off", f"let-off:{account}", account, used_ms, command, postings)
        connection.execute(
            sa.text("INSERT INTO ledger_accounts VALUES (:account, :credits, :usage, 0, :debt)"),
            {
                "account": account,
                "credits": amount if is_let_off else 0,
                "usage": amount,
                "debt": 0 if is_let_off else amount,
            },
        )
    connection.execute(
        sa.text("INSERT INTO ledger_head VALUES (1, :number, :hash)"),
        {"number": chain.number, "hash": chain.hash},
    )
    op.create_index(
        op.f("ix_generations_entry_cost_nano"), "generations", ["entry", "cost_nano"], unique=False
    )


class Chain:
    """Entries as control.ledger.chain and control.ledger.types keep them, in this revision."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.number = 0
        self.hash = FIRST_HASH

    def add(
        self,
        kind: str,
        reference: str,
        account: str,
        created_ms: int,
        terms: dict[str, object],
        postings: list[tuple[str, int]],
    ) -> None:
        self.number += 1
        named = {"type": kind, "account": account, "reference": reference, **terms}
        command = msgspec.json.encode(named).decode()
        postings = [posting for posting in postings if posting[1]]
        head = ["fairlead-ledger-1", self.hash.hex(), str(self.number), reference, kind, account]
        lines = [*head, str(created_ms), command]
        lines += [f"{ledger_account}\t\t{amount}" for ledger_account, amount in postings]
        self.hash = sha256("\n".join(lines).encode()).digest()
        self.connection.execute(
            sa.text(
                "INSERT INTO ledger_entries"
                " VALUES (:number, :reference, :kind, :account, :created_ms, :command, :hash)"
            ),
            {
                "number": self.number,
                "reference": reference,
                "kind": kind,
                "account": account,
                "created_ms": created_ms,
                "command": command,
                "hash": self.hash,
            },
        )
        for line, (ledger_account, amount) in enumerate(postings, 1):
            self.connection.execute(
                sa.text("INSERT INTO ledger_postings VALUES (:entry, :line, :name, NULL, :amount)"),
                {"entry": self.number, "line": line, "name": ledger_account, "amount": amount},
            )


def create_budgets() -> None:
    op.create_table(
        "budgets",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("limit_nano", sa.BigInteger(), nullable=True),
        sa.Column("reset", sa.Text(), nullable=True),
        sa.Column("counts_byok", sa.Boolean(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "reset IN ('daily', 'weekly', 'monthly')", name=op.f("ck_budgets_reset")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budgets")),
    )
    op.create_index(op.f("ix_budgets_account_id"), "budgets", ["account_id"], unique=False)
    op.create_table(
        "budget_periods",
        sa.Column("budget_id", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("spent_nano", sa.BigInteger(), nullable=False),
        sa.Column("leased_nano", sa.BigInteger(), nullable=False),
        sa.Column("wanted_back_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("budget_id", "period", name=op.f("pk_budget_periods")),
    )
    op.create_table(
        "leases",
        sa.Column("budget_id", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("amount_nano", sa.BigInteger(), nullable=False),
        sa.Column("settled_nano", sa.BigInteger(), nullable=False),
        sa.Column("renewed_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("budget_id", "period", "holder", name=op.f("pk_leases")),
    )
    op.create_index(op.f("ix_leases_holder"), "leases", ["holder"], unique=False)


def fill_budgets() -> None:
    """Every account's credit begins as its ledger does; limits of keys, with what their keys have used."""
    op.execute(
        "INSERT INTO budgets (id, account_id, limit_nano, reset, counts_byok, updated_ms)"
        " SELECT 'account:' || id, id, COALESCE(credits_nano, 0), NULL, FALSE, created_ms"
        " FROM accounts LEFT JOIN ledger_accounts ON ledger_accounts.account_id = accounts.id"
    )
    op.execute(
        "INSERT INTO budget_periods (budget_id, period, spent_nano, leased_nano, wanted_back_ms)"
        " SELECT 'account:' || id, '', COALESCE(usage_nano, 0), 0, 0"
        " FROM accounts LEFT JOIN ledger_accounts ON ledger_accounts.account_id = accounts.id"
    )
    op.execute(
        "INSERT INTO budgets (id, account_id, limit_nano, reset, counts_byok, updated_ms)"
        " SELECT 'key:' || id, account_id, limit_nano, limit_reset, FALSE, created_ms FROM api_keys"
        " WHERE limit_nano IS NOT NULL"
    )
    # A limit that is reset begins anew today: limits were not enforced before.
    op.execute(
        "INSERT INTO budget_periods (budget_id, period, spent_nano, leased_nano, wanted_back_ms)"
        " SELECT 'key:' || api_keys.id, '', COALESCE(SUM(generations.cost_nano), 0), 0, 0"
        " FROM api_keys LEFT JOIN generations ON generations.key_id = api_keys.id"
        " WHERE api_keys.limit_nano IS NOT NULL AND api_keys.limit_reset IS NULL"
        " GROUP BY api_keys.id"
    )
