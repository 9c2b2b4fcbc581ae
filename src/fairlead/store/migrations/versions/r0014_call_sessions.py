"""What calls of one session came to together.

Calls that a job has yet to add up (revision 0010) are left to it. Those that a server of the version before
settles, should one still run, are missing in sessions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

ROWS_AT_ONCE = 1000
SESSION_CHARACTERS_MAX = 256
SUMS = (
    "requests",
    "failed",
    "prompt_tokens",
    "cached_tokens",
    "completion_tokens",
    "cost_nano",
    "byok_nano",
)
COLUMNS = ("account_id", "session_id", "user_id", "model", "first_ms", "last_ms", *SUMS)
# Where these stand in a record, as far as it has them.
SESSION, USER, IS_BYOK, LIST_COST = 24, 33, 34, 35
_NOTHING = msgspec.Raw(b"\xc0")


def upgrade() -> None:
    op.create_table(
        "session_sums",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("first_ms", "last_ms", *SUMS)
        ),
        sa.PrimaryKeyConstraint(
            "account_id", "session_id", "user_id", "model", name=op.f("pk_session_sums")
        ),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 80},
    )
    op.create_index(
        op.f("ix_session_sums_account_id_last_ms_session_id"),
        "session_sums",
        ["account_id", "last_ms", "session_id"],
    )
    op.create_table(
        "session_calls",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("generation_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "account_id", "session_id", "created_ms", "generation_id", name=op.f("pk_session_calls")
        ),
        sqlite_with_rowid=False,
    )
    connection = op.get_bind()
    for rows in settled(connection):
        add(connection, rows)


def settled(connection: sa.Connection) -> Iterator[Sequence[sa.RowMapping]]:
    """All calls but those that wait to be added up, in the order of their ids, some at a time."""
    query = sa.text(
        "SELECT g.* FROM generations g WHERE g.id > :after AND NOT EXISTS"
        " (SELECT 1 FROM usage_backlog b WHERE b.generation_id = g.id) ORDER BY g.id LIMIT :count"
    )
    after = ""
    while True:
        rows = connection.execute(query, {"after": after, "count": ROWS_AT_ONCE}).mappings().all()
        if not rows:
            return
        yield rows
        after = rows[-1]["id"]


def add(connection: sa.Connection, rows: Sequence[sa.RowMapping]) -> None:
    calls: list[dict[str, Any]] = []
    sums: dict[tuple[str, ...], list[int]] = {}
    for row in rows:
        said = told(bytes(row["record"]))
        if said is None:
            continue
        session, user, byok_nano = said
        calls.append(
            {
                "account_id": row["account_id"],
                "session_id": session,
                "created_ms": row["created_ms"],
                "generation_id": row["id"],
                "user_id": user,
            }
        )
        began_ms = row["created_ms"]
        before = sums.setdefault(
            (row["account_id"], session, user, row["model"]),
            [began_ms, began_ms, *([0] * len(SUMS))],
        )
        before[0] = min(before[0], began_ms)
        before[1] = max(before[1], began_ms)
        counted = (
            1,
            int(row["outcome"] == "failed"),
            row["prompt_tokens"],
            row["cached_tokens"],
            row["completion_tokens"],
            row["cost_nano"],
            byok_nano,
        )
        for place, number in enumerate(counted, 2):
            before[place] += number
    if not calls:
        return
    insert = "INSERT INTO {} ({}) VALUES ({})"
    names = list(calls[0])
    connection.execute(
        sa.text(
            insert.format("session_calls", ", ".join(names), ", ".join(f":{n}" for n in names))
        ),
        calls,
    )
    connection.execute(
        sa.text(
            insert.format("session_sums", ", ".join(COLUMNS), ", ".join(f":{n}" for n in COLUMNS))
            + " ON CONFLICT (account_id, session_id, user_id, model) DO UPDATE SET"
            " first_ms = CASE WHEN excluded.first_ms < session_sums.first_ms"
            " THEN excluded.first_ms ELSE session_sums.first_ms END,"
            " last_ms = CASE WHEN excluded.last_ms > session_sums.last_ms"
            " THEN excluded.last_ms ELSE session_sums.last_ms END, "
            + ", ".join(f"{name} = session_sums.{name} + excluded.{name}" for name in SUMS)
        ),
        [dict(zip(COLUMNS, (*key, *numbers), strict=True)) for key, numbers in sums.items()],
    )


def told(record: bytes) -> tuple[str, str, int] | None:
    """The session, the user, and the list price of a call with a credential of the caller's own; None: it is
    of no session, or no record."""
    try:
        fields = msgspec.msgpack.decode(record, type=list[msgspec.Raw])
        fields += [_NOTHING] * (LIST_COST + 1 - len(fields))
        session, user, is_byok, list_cost = (
            msgspec.msgpack.decode(fields[place]) for place in (SESSION, USER, IS_BYOK, LIST_COST)
        )
    except (msgspec.MsgspecError, TypeError):
        return None
    if not (session and isinstance(session, str)):
        return None
    name = session[:SESSION_CHARACTERS_MAX].replace("\0", "\N{REPLACEMENT CHARACTER}")
    return name, user or "", list_cost if is_byok else 0
