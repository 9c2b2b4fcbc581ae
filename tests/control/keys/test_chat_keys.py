"""The key of somebody's browser: there once, known by whose it is, and opened by no secret."""

from __future__ import annotations

import os
from itertools import count
from typing import Any

import pytest

from fairlead.control.accounts.service import Accounts
from fairlead.control.accounts.types import Billing
from fairlead.control.audit.types import Actor
from fairlead.control.keys.chat import ChatKeys, chat_digest
from fairlead.control.keys.service import Keys
from fairlead.core.ids import AccountId, UserId
from fairlead.store.database import Database

ADA = UserId("user-ada")
BY_ADA = Actor.user(ADA)


@pytest.fixture
def made() -> dict[str, Any]:
    return {"now_ms": count(1_795_219_200_000).__next__, "entropy": os.urandom}


@pytest.fixture
def account(database: Database, made: dict[str, Any]) -> AccountId:
    return Accounts(database, **made).create(email="ada@example.com", billing=Billing.PREPAID).id


def test_it_is_made_once(database: Database, made: dict[str, Any], account: AccountId):
    keys, chat = Keys(database, **made), ChatKeys(database, **made)
    chat.open(account, ADA, actor=BY_ADA)
    chat.open(account, ADA, actor=BY_ADA)
    (key,) = keys.page(account)
    assert (key.name, key.creator, key.digest) == ("Chat", ADA, chat_digest(account, ADA))


def test_a_disabled_one_stays_and_a_deleted_one_is_made_anew(
    database: Database, made: dict[str, Any], account: AccountId
):
    keys, chat = Keys(database, **made), ChatKeys(database, **made)
    chat.open(account, ADA, actor=BY_ADA)
    (first,) = keys.page(account)
    keys.disable(account, first.id)
    chat.open(account, ADA, actor=BY_ADA)
    assert [key.is_disabled for key in keys.page(account)] == [True]
    keys.delete(account, first.id)
    chat.open(account, ADA, actor=BY_ADA)
    (second,) = keys.page(account)
    assert second.id != first.id
    assert not second.is_disabled


def test_people_and_accounts_have_each_their_own():
    digests = {
        chat_digest(AccountId(account), UserId(user))
        for account, user in (("a", "b"), ("a", "c"), ("ab", ""), ("", "ab"))
    }
    assert len(digests) == 4
