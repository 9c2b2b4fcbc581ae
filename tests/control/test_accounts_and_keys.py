"""Accounts and keys: what is kept, what is shown once, what several processes agree on."""

from __future__ import annotations

import hashlib
import os
import re
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from fairlead.control.accounts.rules import default_workspace
from fairlead.control.accounts.service import Accounts
from fairlead.control.accounts.types import Billing, EmailInvalid, EmailTaken
from fairlead.control.keys import rules
from fairlead.control.keys.service import Keys
from fairlead.control.keys.types import ApiKey, FoundKey, KeyInvalid, KeyUnknown, LimitReset
from fairlead.control.prices.service import Prices
from fairlead.core.budgets.types import CallerBudget, account_budget
from fairlead.core.caller import NO_KEY_LIMITS, Caller, KeyLimits, KeyRefused
from fairlead.core.ids import AccountId, KeyId
from fairlead.core.money import NanoUSD, PicoUSD
from fairlead.core.pricing import PriceOverride, PriceSheet
from fairlead.store.database import DATABASE_FILE, Database, open_database

NOW_MS = 1_763_700_000_000


@pytest.fixture
def accounts(database: Database) -> Accounts:
    return Accounts(database, now_ms=lambda: NOW_MS, entropy=os.urandom)


@pytest.fixture
def keys(database: Database) -> Keys:
    ticks = count(NOW_MS)
    return Keys(database, now_ms=lambda: next(ticks), entropy=os.urandom)


@pytest.fixture
def account(accounts: Accounts) -> AccountId:
    return accounts.ensure_owner().account.id


def test_the_owner_is_created_once_and_is_postpaid(accounts: Accounts):
    first, again = accounts.ensure_owner(), accounts.ensure_owner()
    assert (first.is_new, again.is_new) == (True, False)
    assert first.account == again.account == accounts.owner()
    assert (first.account.billing, first.account.is_owner) == (Billing.POSTPAID, True)


def test_processes_that_start_at_once_agree_on_one_owner(database_address: str):
    others = [open_database(database_address) for _ in range(4)]
    services = [Accounts(one, now_ms=lambda: NOW_MS, entropy=os.urandom) for one in others]
    with ThreadPoolExecutor(len(services)) as threads:
        ensured = list(threads.map(Accounts.ensure_owner, services))
    assert len({one.account.id for one in ensured}) == 1
    assert [one.is_new for one in ensured].count(True) == 1
    for one in others:
        one.close()


def test_an_account_is_found_by_its_email_however_it_is_written(accounts: Accounts):
    created = accounts.create(email=" Ada@Example.com ", billing=Billing.PREPAID)
    assert created.email == "ada@example.com"
    assert accounts.find_by_email("ADA@example.COM") == accounts.find(created.id) == created
    with pytest.raises(EmailTaken):
        accounts.create(email="ada@example.com", billing=Billing.POSTPAID)
    assert accounts.page() == [created]


@pytest.mark.parametrize(
    "text", ["", "ada", "ada@", "@example.com", "a b@c", "a@b@c", "a" * 300 + "@b"]
)
def test_what_is_no_email_is_refused(accounts: Accounts, text: str):
    with pytest.raises(EmailInvalid):
        accounts.create(email=text, billing=Billing.PREPAID)


@pytest.mark.parametrize("database_kind", ["sqlite"])  # whose files can be searched
def test_a_key_has_the_documented_form_and_only_its_digest_is_kept(
    keys: Keys, account: AccountId, database: Database, data: Path
):
    plain = keys.create(account, name="laptop")
    management = keys.create(account, name="ci", is_management=True)
    assert re.fullmatch(r"sk-fl-v1-[0-9a-f]{64}", plain.secret)
    assert re.fullmatch(r"sk-fl-mgmt-v1-[0-9a-f]{64}", management.secret)
    assert plain.key.digest == hashlib.sha256(plain.secret.encode()).digest()
    assert plain.key.label == f"sk-fl-v1-{plain.secret[9:12]}...{plain.secret[-3:]}"
    assert management.key.label.startswith("sk-fl-mgmt-v1-")
    assert plain.secret not in repr(plain)
    database.close()
    for file in data.glob(f"{DATABASE_FILE}*"):
        assert plain.secret[9:].encode() not in file.read_bytes()


def test_a_key_is_listed_as_it_was_created(keys: Keys, account: AccountId):
    first = keys.create(
        account,
        name="  my   laptop ",
        limit=NanoUSD(5_000_000_000),
        limit_reset=LimitReset.WEEKLY,
        expires_ms=NOW_MS + 1,
    ).key
    second = keys.create(account, name="ci").key
    assert first.name == "my laptop"
    assert keys.page(account) == [first, second]
    assert keys.page(account, after=first.id) == [second]
    assert keys.page(account, limit=1) == [first]
    assert keys.find(account, first.id) == first
    assert keys.by_digests([first.digest, b"?" * 32]) == {
        first.digest: FoundKey(first, is_prepaid=False)
    }


def test_a_revoked_key_stays_revoked_since_the_first_time(keys: Keys, account: AccountId):
    key = keys.create(account, name="laptop").key
    revoked = keys.revoke(account, key.id)
    assert revoked.revoked_ms is not None
    assert keys.revoke(account, key.id) == revoked
    with pytest.raises(KeyInvalid):
        keys.enable(account, key.id)
    with pytest.raises(KeyInvalid):
        keys.rotate(account, key.id)
    assert keys.find(account, key.id) == revoked


def test_another_accounts_key_cannot_be_touched(accounts: Accounts, keys: Keys, account: AccountId):
    other = accounts.create(email="other@example.com", billing=Billing.PREPAID).id
    key = keys.create(account, name="laptop").key
    for touch in (keys.find, keys.revoke, keys.disable, keys.enable):
        with pytest.raises(KeyUnknown):
            touch(other, key.id)
    assert keys.find(account, key.id) == key
    assert keys.page(other) == []


def test_a_key_needs_a_name_and_an_account(keys: Keys, account: AccountId):
    for name in ("", " \n ", "x" * 201):
        with pytest.raises(KeyInvalid):
            keys.create(account, name=name)
    with pytest.raises(sa.exc.IntegrityError):
        keys.create(AccountId("acc-nobody"), name="laptop")


def verdict(key: ApiKey, *, now_ms: int) -> Caller | KeyRefused:
    return rules.verdict(FoundKey(key, is_prepaid=False), now_ms=now_ms)


def test_a_key_opens_unless_there_is_a_reason_against_it(keys: Keys, account: AccountId):
    key = keys.create(account, name="laptop", expires_ms=NOW_MS + 1000).key
    opened = Caller(
        account=account, key=key.id, workspace=default_workspace(account), user=key.creator
    )
    assert verdict(key, now_ms=NOW_MS + 999) == opened
    assert verdict(key, now_ms=NOW_MS + 1000) == KeyRefused("This API key has expired.")
    disabled = keys.disable(account, key.id)
    assert verdict(disabled, now_ms=NOW_MS) == KeyRefused("This API key is disabled.")
    assert verdict(keys.enable(account, key.id), now_ms=NOW_MS) == opened
    revoked = keys.revoke(account, key.id)
    assert verdict(revoked, now_ms=NOW_MS) == KeyRefused("This API key was revoked.")
    assert rules.verdict(None, now_ms=NOW_MS) == rules.UNKNOWN


def test_a_key_carries_its_own_pace_and_one_without_is_known_by_identity(
    keys: Keys, account: AccountId
):
    plain = keys.create(account, name="plain").key
    paced = keys.create(account, name="paced", requests_per_minute=30, requests_per_day=900).key
    assert keys.find(account, paced.id) == paced
    caller = verdict(paced, now_ms=NOW_MS)
    assert isinstance(caller, Caller)
    assert caller.rate_limits == KeyLimits(requests_per_minute=30, requests_per_day=900)
    caller = verdict(plain, now_ms=NOW_MS)
    assert isinstance(caller, Caller)
    assert caller.rate_limits is NO_KEY_LIMITS


def test_a_key_is_found_with_how_its_account_pays(accounts: Accounts, keys: Keys):
    for billing in Billing:
        account = accounts.create(email=f"{billing}@example.com", billing=billing).id
        key = keys.create(account, name="laptop").key
        found = keys.by_digests([key.digest])[key.digest]
        is_prepaid = billing is Billing.PREPAID
        credit = (CallerBudget(account_budget(account)),) if is_prepaid else ()
        assert found == FoundKey(key, is_prepaid=is_prepaid, budgets=credit)


@given(st.binary(min_size=32, max_size=32), st.booleans())
def test_a_label_gives_away_six_digits_at_most(entropy: bytes, is_management: bool):
    secret = rules.secret(entropy, is_management=is_management)
    label = rules.label(secret)
    assert len(label.removeprefix(secret[: secret.rindex("-") + 1]).replace("...", "")) == 6


def test_ids_sort_by_time_of_creation():
    early = rules.key_id(NOW_MS, b"\xff" * 10)
    late = rules.key_id(NOW_MS + 1, b"\x00" * 10)
    assert early < late
    assert KeyId(early) == early


def test_a_price_version_names_one_sheet_for_ever(database: Database):
    prices = Prices(database, now_ms=lambda: NOW_MS)
    sheet = PriceSheet(
        prompt=PicoUSD(150_000),
        completion=PicoUSD(600_000),
        overrides=(PriceOverride({"prompt": PicoUSD(1)}, weekdays=(6, 7)),),
    )
    prices.keep({"v1": sheet})
    prices.keep({"v1": PriceSheet(), "v2": PriceSheet()})
    prices.keep({})
    assert prices.find("v1") == sheet
    assert prices.find("v2") == PriceSheet()
    assert prices.find("v3") is None
