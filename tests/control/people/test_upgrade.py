"""Accounts from before people could sign in have a user and a workspace afterwards."""

from __future__ import annotations

from contextlib import closing

import sqlalchemy as sa

from fairlead.control.accounts.rules import default_workspace
from fairlead.control.accounts.service import Accounts
from fairlead.control.people.service import People
from fairlead.core.ids import AccountId
from fairlead.store import migrate
from fairlead.store.database import open_database
from tests.store.revisions import migrate_to

BEFORE = "0005"


def test_accounts_from_before_get_a_user_and_a_default_workspace(fresh_address: str):
    with closing(open_database(fresh_address)) as database:
        migrate_to(database, BEFORE)
        with database.begin() as connection:
            insert = sa.text(
                "INSERT INTO accounts (id, email, name, billing, is_owner, created_ms)"
                " VALUES (:id, :email, :name, 'prepaid', :is_owner, 7)"
            )
            connection.execute(
                insert, {"id": "acc-00", "email": None, "name": "Owner", "is_owner": True}
            )
            many = [
                {"id": f"acc-{n:04x}", "email": f"{n}@example.com", "name": "x", "is_owner": False}
                for n in range(1, 1500)
            ]
            connection.execute(insert, many)
        migrate.upgrade(database)
        people = People(database)
        owner = Accounts(database, now_ms=lambda: 0, entropy=bytes).ensure_owner()
        assert not owner.is_new
        for account, email in (("acc-00", None), ("acc-05db", "1499@example.com")):
            user = people.of_account(AccountId(account))
            assert user is not None
            assert (user.id, user.email, user.created_ms, user.email_verified_ms) == (
                account.replace("acc", "user"),
                email,
                7,
                None,
            )
            with database.read() as connection:
                found = connection.execute(
                    sa.text("SELECT id, slug, is_default FROM workspaces WHERE account_id = :id"),
                    {"id": account},
                ).one()
            assert (found.id, found.slug, bool(found.is_default)) == (
                default_workspace(AccountId(account)),
                "default",
                True,
            )
