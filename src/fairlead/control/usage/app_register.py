"""Finding an app by what it says of itself, for those who do not settle calls."""

from __future__ import annotations

import sqlalchemy as sa

from fairlead.control.usage import app_queries
from fairlead.control.usage.apps import APPS_PER_ACCOUNT_MAX, Claim
from fairlead.control.usage.types import App
from fairlead.core.ids import AccountId
from fairlead.store.database import Database

__all__ = ["registered"]


def registered(
    database: Database,
    connection: sa.Connection,
    account: AccountId,
    claim: Claim,
    *,
    now_ms: int,
) -> App | None:
    """The app, made if nobody brought it yet. None: the account has brought as many as one may."""
    known = app_queries.by_identities(connection, [claim.identity])
    if not known and app_queries.count_of(connection, account) < APPS_PER_ACCOUNT_MAX:
        app_queries.insert_new(database, connection, account, claim, now_ms=now_ms)
        known = app_queries.by_identities(connection, [claim.identity])
    return known.get(claim.identity)
