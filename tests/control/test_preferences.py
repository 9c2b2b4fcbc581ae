"""What an account wishes of routing: read precisely, kept as written, in force within two seconds."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from fairlead.control.accounts.preferences import (
    PREFERENCES_BYTES_MAX,
    CheckedPreferences,
    checked,
    effective,
    installation_preferences,
    present,
)
from fairlead.control.accounts.service import Accounts
from fairlead.control.accounts.types import AccountUnknown, PreferencesInvalid
from fairlead.control.audit.service import Audit
from fairlead.control.audit.types import Actor
from fairlead.control.keys.service import Keys
from fairlead.control.serving.keys import CachedKeyDirectory
from fairlead.control.workspaces.service import Workspaces
from fairlead.control.workspaces.types import WorkspaceChange
from fairlead.core.caller import Caller
from fairlead.core.errors import Overloaded
from fairlead.core.ids import AccountId
from fairlead.core.routing.preferences import NO_ACCOUNT_WISHES, AccountPreferences, Sort
from fairlead.settings import Routing
from fairlead.store.database import Database
from tests.shipped import SEED

ROOT = Path(__file__).resolve().parents[2]
NOW_MS = 1_763_700_000_000
PROVIDERS = SEED.providers
EVERYTHING = {
    "allowed_providers": ["openai", "Google Vertex AI", "google-vertex/europe-west1"],
    "ignored_providers": ["deepinfra"],
    "allowed_models": ["openai/*"],
    "ignored_models": ["openai/o1"],
    "data_collection_deny": True,
    "zdr": True,
    "enforce_zdr_authors": ["anthropic"],
    "enable_paid_model_training": False,
    "enable_free_model_training": False,
    "enable_free_model_publication": False,
    "enforce_distillable_text": True,
    "default_provider_sort": "throughput",
    "default_provider_order": ["openai"],
    "default_model": "openai/o1",
    "continue_streams": True,
    "hedge": True,
}


def read(value: object) -> AccountPreferences:
    return checked(msgspec.json.encode(value), PROVIDERS).value


def test_everything_can_be_set_and_comes_back() -> None:
    value = read(EVERYTHING)
    assert set(EVERYTHING) == set(AccountPreferences.__struct_fields__)
    assert value.allowed_providers == ("openai", "Google Vertex AI", "google-vertex/europe-west1")
    assert value.default_provider_sort is Sort.THROUGHPUT


def test_the_page_about_preferences_explains_every_field_by_an_example_that_is_accepted() -> None:
    page = (ROOT / "docs" / "api" / "preferences.md").read_text("utf-8")
    (example,) = re.findall(r"^```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert checked(example.encode(), PROVIDERS).value.zdr
    table = "".join(line for line in page.splitlines() if line.startswith("| `"))
    for field in AccountPreferences.__struct_fields__:
        assert f"`{field}`" in table


@pytest.mark.parametrize(
    ("value", "path", "words"),
    [
        ({"hegde": True}, "hegde", "hegde is unknown; did you mean hedge?"),
        ({"allowed_provider": []}, "allowed_provider", "did you mean allowed_providers?"),
        ({"zdr": "yes"}, "zdr", "zdr: Expected `bool`, got `str`"),
        ({"allowed_models": ["a", 5]}, "allowed_models[1]", "allowed_models[1]: Expected `str`"),
        (
            {"default_provider_sort": "fastest"},
            "default_provider_sort",
            "wanted one of price, throughput, latency, exacto",
        ),
        (
            {"ignored_providers": ["opnai"]},
            "ignored_providers[0]",
            "there is no provider 'opnai'; did you mean openai?",
        ),
        ({"presets": {"fast": {}}}, "presets", "see /presets"),
        ([], "", "preferences: wanted an object"),
        ({"x" * 5000: 1}, "x" * 60 + "...", "is unknown"),
    ],
)
def test_what_is_wrong_is_named(value: object, path: str, words: str) -> None:
    with pytest.raises(PreferencesInvalid) as raised:
        read(value)
    assert words in str(raised.value)
    assert raised.value.path == path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"{", "not JSON"),
        (b"", "not JSON"),
        (b'{"zdr": \xff}', "not JSON"),
        (b" " * (PREFERENCES_BYTES_MAX + 1), "at most 32768 bytes"),
    ],
)
def test_what_is_no_json_or_too_much_is_refused(text: bytes, words: str) -> None:
    with pytest.raises(PreferencesInvalid, match=words):
        checked(text, PROVIDERS)


# --- over the installation's --------------------------------------------------------------------------


def test_an_account_that_sets_nothing_has_what_the_installation_has() -> None:
    installation = installation_preferences(Routing(continue_streams=True, hedge=True))
    assert effective(None, installation) is installation
    assert effective("{}", installation) == installation
    assert (installation.continue_streams, installation.hedge) == (True, True)


def test_the_usual_settings_wish_nothing() -> None:
    assert installation_preferences(Routing()) is NO_ACCOUNT_WISHES


def test_an_account_may_switch_off_what_the_installation_switches_on() -> None:
    installation = installation_preferences(Routing(continue_streams=True, hedge=True))
    own = effective('{"hedge":false}', installation)
    assert (own.continue_streams, own.hedge) == (True, False)


def test_nobody_widens_what_the_installation_does_with_prompts() -> None:
    installation = installation_preferences(Routing(data_collection="deny"))
    assert effective('{"data_collection_deny":false}', installation).data_collection_deny
    assert effective('{"data_collection_deny":true}', NO_ACCOUNT_WISHES).data_collection_deny


def test_what_is_kept_is_what_was_written_and_no_default_beside_it() -> None:
    kept = checked(b' { "hedge" : false , "zdr": true } ', {})
    assert kept.text == '{"hedge":false,"zdr":true}'
    merged = effective(kept.text, AccountPreferences(hedge=True))
    assert merged == AccountPreferences(hedge=False, zdr=True)


def test_presets_in_a_text_from_before_are_passed_over() -> None:
    """Nobody else is refused for them, and whoever writes the text again leaves them out."""
    before = '{"hedge": true, "presets": {"fast": {"model": "openai/o1"}}}'
    assert effective(before, AccountPreferences()) == AccountPreferences(hedge=True)
    assert present(before) == '{"hedge":true}'
    assert present('{"hedge": true}') == '{"hedge": true}'


# --- kept, and found with a key -----------------------------------------------------------------------


@pytest.fixture
def accounts(database: Database) -> Accounts:
    return Accounts(database, now_ms=lambda: NOW_MS, entropy=os.urandom)


@pytest.fixture
def account(accounts: Accounts) -> AccountId:
    return accounts.ensure_owner().account.id


def test_preferences_are_replaced_as_a_whole_and_cleared(
    accounts: Accounts, account: AccountId
) -> None:
    assert accounts.preferences(account) == "{}"
    accounts.set_preferences(account, checked(b'{"zdr": true}', PROVIDERS))
    assert accounts.set_preferences(account, checked(b'{"hedge": true}', PROVIDERS)) == (
        '{"hedge":true}'
    )
    assert accounts.preferences(account) == '{"hedge":true}'
    accounts.set_preferences(account, checked(b"{}", PROVIDERS))
    assert accounts.preferences(account) == "{}"


def test_changes_at_once_are_made_one_after_the_other(
    accounts: Accounts, account: AccountId
) -> None:
    """Two pages of settings are saved in the same moment: neither takes back what the other said."""

    def setting(name: str) -> Callable[[str], CheckedPreferences]:
        def change(before: str) -> CheckedPreferences:
            return checked(json.dumps({**json.loads(before), name: True}).encode(), PROVIDERS)

        return change

    names = ("zdr", "hedge", "continue_streams", "data_collection_deny")
    with ThreadPoolExecutor(len(names)) as threads:
        done = [
            threads.submit(accounts.change_preferences, account, setting(name)) for name in names
        ]
        assert all(one.result(timeout=30) for one in done)
    assert json.loads(accounts.preferences(account)) == dict.fromkeys(names, True)


def test_nobodys_preferences_are_neither_read_nor_written(accounts: Accounts) -> None:
    nobody = AccountId("acc-nobody")
    with pytest.raises(AccountUnknown, match="acc-nobody"):
        accounts.preferences(nobody)
    with pytest.raises(AccountUnknown):
        accounts.set_preferences(nobody, checked(b"{}", PROVIDERS))


class World:
    """A directory over a database, and a clock that stands still."""

    def __init__(self, database: Database, accounts: Accounts, account: AccountId) -> None:
        self.keys = Keys(database, now_ms=lambda: NOW_MS, entropy=os.urandom)
        self.account = account
        self.accounts = accounts
        self.database = database
        self.digest = self.keys.create(account, name="laptop").key.digest
        self.directory = CachedKeyDirectory(
            self.keys,
            database,
            now_ms=lambda: NOW_MS,
            monotonic_s=lambda: 1000.0,
            installation=AccountPreferences(continue_streams=True),
        )

    def set(self, text: bytes) -> None:
        self.accounts.set_preferences(self.account, checked(text, PROVIDERS))

    async def found(self) -> Caller:
        caller = self.directory.peek(self.digest) or await self.directory.find(self.digest)
        assert isinstance(caller, Caller)
        return caller


@pytest.fixture
def world(database: Database, accounts: Accounts, account: AccountId) -> World:
    return World(database, accounts, account)


@pytest.mark.anyio
async def test_a_key_brings_its_accounts_wishes_and_follows_them(world: World) -> None:
    assert (await world.found()).preferences is world.directory._preferences.installation
    world.set(b'{"zdr": true}')
    await world.directory.refresh()
    assert (await world.found()).preferences == AccountPreferences(zdr=True, continue_streams=True)
    world.set(b"{}")
    await world.directory.refresh()
    assert (await world.found()).preferences == AccountPreferences(continue_streams=True)


@pytest.mark.anyio
async def test_the_keys_of_an_account_share_one_reading_of_its_wishes(world: World) -> None:
    world.set(b'{"zdr": true}')
    first = await world.found()
    other = world.keys.create(world.account, name="other").key.digest
    second = await world.directory.find(other)
    assert isinstance(second, Caller)
    assert second.preferences is first.preferences
    await world.directory.refresh()
    assert (await world.found()).preferences is first.preferences


@pytest.mark.anyio
async def test_a_workspaces_defaults_go_before_those_of_its_account(world: World) -> None:
    world.set(b'{"zdr": true, "default_model": "openai/o1", "default_provider_sort": "price"}')
    ticks = {"now_ms": lambda: NOW_MS, "entropy": os.urandom}
    workspaces = Workspaces(
        world.database, Audit(world.database, **ticks), keys=None, limits=None, **ticks
    )

    async def changed(**defaults: str | None) -> AccountPreferences:
        wanted = WorkspaceChange(**defaults)
        workspaces.update(world.account, "default", wanted, actor=Actor("test"))
        await world.directory.refresh()
        return (await world.found()).preferences

    await world.found()
    wishes = await changed(default_provider_sort="latency")
    assert (wishes.zdr, wishes.default_model) == (True, "openai/o1")
    assert wishes.default_provider_sort is Sort.LATENCY
    wishes = await changed(default_text_model="openai/o3-mini")
    assert (wishes.default_model, wishes.default_provider_sort) == ("openai/o3-mini", Sort.LATENCY)
    other = world.keys.create(world.account, name="other").key.digest
    second = await world.directory.find(other)
    assert isinstance(second, Caller)
    assert second.preferences is wishes
    wishes = await changed(default_text_model=None, default_provider_sort=None)
    assert (wishes.default_model, wishes.default_provider_sort) == ("openai/o1", Sort.PRICE)
    assert (await changed(default_text_model=" ")).default_model == "openai/o1"
    assert workspaces.find(world.account, "default").default_text_model is None
    with world.database.begin() as connection:  # as earlier versions could write
        connection.execute(sa.text("UPDATE workspaces SET default_text_model = ''"))
    await world.directory.refresh()
    assert (await world.found()).preferences.default_model == "openai/o1"


@pytest.mark.anyio
async def test_wishes_that_cannot_be_read_stop_calls_rather_than_be_overlooked(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A newer version may have written them, and one of them may be where prompts must not go."""
    await world.found()
    with world.database.begin() as connection:
        connection.execute(sa.text("""UPDATE accounts SET preferences = '{"no_moon": true}'"""))
    with caplog.at_level(logging.ERROR):
        await world.directory.refresh()
        with pytest.raises(Overloaded, match="preferences cannot be read"):
            await world.found()
    assert "no_moon" in caplog.text
    world.set(b'{"zdr": true}')
    assert (await world.found()).preferences.zdr
