"""What accounts have that their calls use: known at once, renewed within two seconds, and never guessed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from itertools import count

import pytest
import sqlalchemy as sa

from fairlead.control.accounts.service import Accounts
from fairlead.control.credentials.service import Credentials
from fairlead.control.credentials.types import Changes
from fairlead.control.keys.service import Keys
from fairlead.control.serving.belongings import (
    LOOK_UP_TERMS,
    BelongingsDirectory,
    BelongingsReader,
)
from fairlead.core.belongings import NOTHING, Belongings, ContentPolicy, is_sampled
from fairlead.core.byok import ByokTerms
from fairlead.core.caller import Caller
from fairlead.core.errors import Overloaded
from fairlead.core.ids import AccountId, GenerationId, KeyId, WorkspaceId
from fairlead.core.money import NanoUSD
from fairlead.store.database import Database, DatabaseUnreadable
from fairlead.store.sealing import MasterKeys
from fairlead.store.secrets import Secrets
from fairlead.store.tables.credentials import provider_credentials
from fairlead.store.tables.people import workspaces
from fairlead.store.tables.usage import MEASURES, usage_days, usage_series
from tests.shipped import SEED

pytestmark = pytest.mark.anyio

FRESH_MAX_S = LOOK_UP_TERMS.fresh_max_s
IDLE_MAX_S = LOOK_UP_TERMS.idle_max_s
KNOWN_MAX_S = LOOK_UP_TERMS.known_max_s
MASTER = MasterKeys((bytes(32),))
SECRET = "sk-proj-canary-0123456789"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Stage:
    """One account, its credentials, and a directory that looks at them."""

    def __init__(self, database: Database) -> None:
        self.database = database
        accounts = Accounts(database, now_ms=lambda: 1000, entropy=os.urandom)
        self.account = accounts.ensure_owner().account.id
        ticks = count(1000)
        self.credentials = Credentials(
            database,
            Secrets(database, lambda: MASTER, now_ms=lambda: 0, entropy=os.urandom),
            lambda: MASTER,
            lambda: SEED,
            now_ms=lambda: next(ticks),
            entropy=os.urandom,
        )
        with database.read() as connection:
            self.workspace = WorkspaceId(
                connection.execute(sa.select(workspaces.c.id)).scalar_one()
            )
        self.clock = Clock()
        self.directory = BelongingsDirectory(
            BelongingsReader(database, self.credentials, lambda: SEED.providers),
            database,
            monotonic_s=self.clock,
        )
        self.caller = Caller(self.account, KeyId("key-1"), workspace=self.workspace)

    def bring(self, **settings: object) -> str:
        return self.credentials.create(
            self.account,
            provider="openai",
            key=SECRET,
            workspace=None,
            settings=Changes(**settings),
        ).id

    async def found(self) -> Belongings:
        return await self.directory.find(self.caller)


@pytest.fixture
def stage(database: Database) -> Stage:
    return Stage(database)


async def test_who_has_nothing_is_told_by_identity(stage: Stage) -> None:
    assert stage.directory.peek(stage.caller) is None
    assert await stage.found() is NOTHING
    assert stage.directory.peek(stage.caller) is NOTHING


async def test_a_credential_is_open_with_its_filters(stage: Stage) -> None:
    keys = Keys(stage.database, now_ms=lambda: 1000, entropy=os.urandom)
    key = keys.create(stage.account, name="k").key
    made = stage.bring(
        allowed_key_hashes=(key.digest.hex(),), allowed_models=("openai/o1",), is_required=True
    )
    (own,) = (await stage.found()).credentials
    assert (own.id, own.provider, own.keys[0].api_key) == (made, "openai", SECRET)
    assert (own.workspace, own.callers, own.models) == (
        stage.workspace,
        frozenset({key.id}),
        ("openai/o1",),
    )
    assert "canary" not in repr(own)


async def test_changes_are_known_after_a_refresh_and_nothing_else_is_another_object(
    stage: Stage,
) -> None:
    made = stage.bring()
    before = await stage.found()
    await stage.directory.refresh()
    assert stage.directory.peek(stage.caller) is before
    stage.credentials.change(stage.account, made, Changes(key="sk-proj-another-9876543210"))
    await stage.directory.refresh()
    after = stage.directory.peek(stage.caller)
    assert after is not None
    assert after.credentials[0].keys[0].api_key == "sk-proj-another-9876543210"
    stage.credentials.delete(stage.account, made)
    await stage.directory.refresh()
    assert stage.directory.peek(stage.caller) == NOTHING


async def test_what_was_not_confirmed_in_time_is_not_given(stage: Stage) -> None:
    await stage.found()
    stage.clock.now = FRESH_MAX_S + 0.01
    assert stage.directory.peek(stage.caller) is None
    made = stage.bring()
    assert [one.id for one in (await stage.found()).credentials] == [made]


async def test_keys_of_accounts_that_do_not_call_are_forgotten(stage: Stage) -> None:
    stage.bring()
    await stage.found()
    stage.clock.now = IDLE_MAX_S + 1
    await stage.directory.refresh()
    assert not stage.directory._known
    assert stage.directory.peek(stage.caller) is None


async def test_of_many_who_ask_at_once_one_asks_the_database(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    run = stage.database.run

    async def counted(
        function: Callable[..., object], *arguments: object, **given: float
    ) -> object:
        nonlocal asked
        asked += 1
        return await run(function, *arguments, **given)

    monkeypatch.setattr(stage.database, "run", counted)
    found = await asyncio.gather(*(stage.found() for _ in range(20)))
    assert asked == 1
    assert all(one is NOTHING for one in found)


async def test_one_who_leaves_while_he_asks_leaves_nobody_behind(stage: Stage) -> None:
    first = asyncio.ensure_future(stage.found())
    second = asyncio.ensure_future(stage.found())
    await asyncio.sleep(0)
    first.cancel()
    assert await second is NOTHING


async def away(_function: object, *_arguments: object, **_given: float) -> None:
    raise DatabaseUnreadable("away")


async def test_while_the_database_is_away_what_it_confirmed_holds(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.bring()
    before = await stage.found()
    with monkeypatch.context() as patch:
        patch.setattr(stage.database, "run", away)
        stage.clock.now = FRESH_MAX_S + 1
        await stage.directory.refresh()
        assert stage.directory.peek(stage.caller) is before
        stranger = Caller(AccountId("acc-unknown"), KeyId("key-2"))
        with pytest.raises(Overloaded):
            await stage.directory.find(stranger)
        stage.clock.now = KNOWN_MAX_S + 1
        with pytest.raises(Overloaded):
            await stage.found()
    await stage.directory.refresh()
    assert [one.id for one in (await stage.found()).credentials] == [
        one.id for one in before.credentials
    ]


async def test_a_credential_that_does_not_open_stops_its_account_and_no_other(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.bring()
    stage.bring(name="other")
    with stage.database.begin() as connection:
        connection.execute(
            sa.update(provider_credentials)
            .where(provider_credentials.c.name == "other")
            .values(sealed=b"\x01" + bytes(60))
        )
    with pytest.raises(Overloaded, match="provider keys"):
        await stage.found()
    assert "cannot be opened" in caplog.text
    assert "canary" not in caplog.text
    other = Caller(AccountId("acc-2"), KeyId("key-2"))
    assert await stage.directory.find(other) is NOTHING


async def test_workspaces_say_what_is_kept_and_what_is_shared(stage: Stage) -> None:
    with stage.database.begin() as connection:
        connection.execute(
            sa.update(workspaces).values(
                io_logging=True, io_logging_sampling_rate=0.25, data_discount_logging=True
            )
        )
    found = await stage.found()
    assert found == Belongings(
        contents={stage.workspace: ContentPolicy(250_000)}, shared=frozenset({stage.workspace})
    )
    kept = sum(found.keeps(stage.caller, GenerationId(f"gen-{number}")) for number in range(4000))
    assert 850 < kept < 1150
    elsewhere = Caller(stage.account, KeyId("key-1"), workspace=WorkspaceId("w-other"))
    assert not found.keeps(elsewhere, GenerationId("gen-1"))


def test_a_sample_is_the_same_everywhere_and_grows_with_its_share() -> None:
    ids = [GenerationId(f"gen-{number}") for number in range(500)]
    small = {one for one in ids if is_sampled(one, 100_000)}
    large = {one for one in ids if is_sampled(one, 500_000)}
    assert small
    assert small < large
    assert all(is_sampled(one, 1_000_000) for one in ids)
    assert not any(is_sampled(one, 0) for one in ids)


def test_a_policy_may_be_for_some_keys_alone() -> None:
    caller = Caller(AccountId("a"), KeyId("key-1"))
    generation = GenerationId("gen-1")
    assert ContentPolicy(1_000_000, frozenset({KeyId("key-1")})).keeps(caller, generation)
    assert not ContentPolicy(1_000_000, frozenset({KeyId("key-2")})).keeps(caller, generation)
    assert not NOTHING.keeps(caller, generation)


# --- the fee ----------------------------------------------------------------------------------------------


async def test_the_fee_begins_where_the_months_allowance_ends(stage: Stage) -> None:
    stage.bring()
    terms = ByokTerms(allowance=NanoUSD(50_000_000))
    directory = BelongingsDirectory(
        BelongingsReader(stage.database, stage.credentials, lambda: SEED.providers),
        stage.database,
        monotonic_s=stage.clock,
        terms=terms,
        discount_permille=10,
    )
    cost = NanoUSD(45_000_000)
    assert directory.fee(stage.caller, cost) == 0  # of one that nothing is known of
    await directory.find(stage.caller)
    assert directory.fee(stage.caller, cost) == 0
    settled(stage, byok_nano=45_000_000, requests=1)
    await directory.refresh()
    assert directory.fee(stage.caller, cost) == 2_000_000  # 5 % of what is above
    settled(stage, byok_nano=45_000_000, requests=1, start_ms=86_400_000)
    await directory.refresh()
    assert directory.fee(stage.caller, cost) == 2_250_000


async def test_only_who_shares_has_the_discount(stage: Stage) -> None:
    directory = BelongingsDirectory(
        BelongingsReader(stage.database, stage.credentials, lambda: SEED.providers),
        stage.database,
        monotonic_s=stage.clock,
        discount_permille=10,
    )
    sharing = Belongings(shared=frozenset({stage.workspace}))
    assert directory.discount(stage.caller, sharing, NanoUSD(45_000_000)) == 450_000
    elsewhere = Belongings(shared=frozenset({WorkspaceId("w-other")}))
    assert directory.discount(stage.caller, elsewhere, NanoUSD(45_000_000)) == 0


def settled(stage: Stage, *, byok_nano: int, requests: int, start_ms: int = 0) -> None:
    """One day's sum of calls with own credentials, as the settler writes it; the stage's month is January
    1970.
    """
    with stage.database.begin() as connection:
        connection.execute(
            sa.insert(usage_series).values(
                id=start_ms + 1,
                account_id=stage.account,
                level=1,
                workspace_id="",
                key_id="",
                user_id="",
                model="m",
                endpoint="e",
                provider="p",
                api_type="",
                is_byok=True,
                app_id=0,
            )
        )
        measures = dict.fromkeys(MEASURES, 0) | {"byok_nano": byok_nano, "requests": requests}
        connection.execute(
            sa.insert(usage_days).values(
                account_id=stage.account,
                level=1,
                start_ms=start_ms,
                series_id=start_ms + 1,
                **measures,
            )
        )
