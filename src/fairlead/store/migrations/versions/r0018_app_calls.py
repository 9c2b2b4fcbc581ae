"""Which calls an app made.

Calls that a job has yet to add up (revision 0010) are left to it. Those that a server of the version before
settles, should one still run, are missing in lists of an app's calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

ROWS_AT_ONCE = 1000
IDENTITY_CHARACTERS_MAX = 200
TITLE_CHARACTERS_MAX = 100
OWN_MACHINE = ("localhost", "127.0.0.1", "::1", "[::1]", "0.0.0.0")  # noqa: S104 - a name
ATTRIBUTION = 26  # where it stands in a record


class Attribution(msgspec.Struct, gc=False, array_like=True):
    referer: str | None = None
    title: str | None = None


RECORD = msgspec.msgpack.Decoder(list[msgspec.Raw])
SAID = msgspec.msgpack.Decoder(Attribution | None)


def upgrade() -> None:
    op.create_table(
        "app_calls",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("app_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("created_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("generation_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "account_id", "app_id", "created_ms", "generation_id", name=op.f("pk_app_calls")
        ),
        sqlite_with_rowid=False,
    )
    connection = op.get_bind()
    apps = {
        row.identity: row.id for row in connection.execute(sa.text("SELECT identity, id FROM apps"))
    }
    if apps:
        for rows in settled(connection):
            add(connection, rows, apps)
    # Which apps ever called for an account: there is a series of each since the revision before. Last, for
    # until the upgrade ends PostgreSQL lets nobody else at the table.
    op.drop_index("ix_usage_series_apps", table_name="usage_series")


def settled(connection: sa.Connection) -> Iterator[Sequence[sa.Row[Any]]]:
    """All calls but those that wait to be added up, in the order of their ids, some at a time."""
    query = sa.text(
        "SELECT g.id, g.account_id, g.created_ms, g.record FROM generations g WHERE g.id > :after"
        " AND NOT EXISTS (SELECT 1 FROM usage_backlog b WHERE b.generation_id = g.id)"
        " ORDER BY g.id LIMIT :count"
    )
    after = ""
    while rows := connection.execute(query, {"after": after, "count": ROWS_AT_ONCE}).all():
        yield rows
        after = rows[-1].id


def add(connection: sa.Connection, rows: Sequence[sa.Row[Any]], apps: dict[str, int]) -> None:
    identities: dict[bytes, str | None] = {}  # many calls say the same
    calls: list[dict[str, Any]] = []
    for row in rows:
        said = attribution(bytes(row.record))
        if said not in identities:
            identities[said] = identity(said)
        app = apps.get(identities[said] or "")
        if app is not None:
            calls.append(
                {"account": row.account_id, "app": app, "created": row.created_ms, "id": row.id}
            )
    if calls:
        connection.execute(
            sa.text(
                "INSERT INTO app_calls (account_id, app_id, created_ms, generation_id)"
                " VALUES (:account, :app, :created, :id)"
            ),
            calls,
        )


def attribution(record: bytes) -> bytes:
    """As it stands in the record; nothing: there is none, or this is no record."""
    try:
        fields = RECORD.decode(record)
    except msgspec.MsgspecError:
        return b""
    return bytes(fields[ATTRIBUTION]) if len(fields) > ATTRIBUTION else b""


def identity(attribution: bytes) -> str | None:
    """By what an app is known that says this; None: it is nobody."""
    try:
        said = SAID.decode(attribution) or Attribution()
        address = urlsplit((said.referer or "").strip())
        host, port = (address.hostname or "").lower(), address.port
    except (msgspec.MsgspecError, ValueError):
        return None
    if address.scheme not in ("http", "https") or not host:
        return None
    where = f"{address.scheme}://{one_line(host if port is None else f'{host}:{port}')}"
    title = one_line(said.title or "")[:TITLE_CHARACTERS_MAX]
    if host in OWN_MACHINE:
        return f"{where} {title}"[:IDENTITY_CHARACTERS_MAX] if title else None
    return f"{where}{one_line(address.path).rstrip('/')}"[:IDENTITY_CHARACTERS_MAX]


def one_line(text: str) -> str:
    words = ("".join(filter(str.isprintable, word)) for word in text.split())
    return " ".join(filter(None, words))
