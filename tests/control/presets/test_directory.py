"""Presets as calls find them: known at once, followed within a second, and never guessed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from itertools import count

import pytest

from fairlead.control.accounts.rules import default_workspace
from fairlead.control.accounts.service import Accounts
from fairlead.control.accounts.types import Billing
from fairlead.control.audit.service import Audit
from fairlead.control.audit.types import OPERATOR
from fairlead.control.presets.service import Presets
from fairlead.control.presets.types import PresetPlace
from fairlead.control.serving.presets import LOOK_UP_TERMS, PresetDirectory, PresetReader
from fairlead.core.caller import Caller
from fairlead.core.errors import Overloaded
from fairlead.core.ids import KeyId, WorkspaceId
from fairlead.core.presets import Preset, PresetDraft, PresetStatus
from fairlead.store.database import Database, DatabaseUnreadable

pytestmark = pytest.mark.anyio

FRESH_MAX_S = LOOK_UP_TERMS.fresh_max_s
KNOWN_MAX_S = LOOK_UP_TERMS.known_max_s
FIRST = PresetDraft("Be brief.", '{"model":"openai/o1","cache_enabled":true}')
SECOND = PresetDraft(None, "{}")


class Stage:
    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        ticks = count(1000)
        audit = Audit(database, now_ms=lambda: 0, entropy=os.urandom)
        self.presets = Presets(database, audit, now_ms=lambda: next(ticks), entropy=os.urandom)
        accounts = Accounts(database, now_ms=lambda: 1000, entropy=os.urandom)
        account = accounts.create(email="ada@example.com", billing=Billing.PREPAID).id
        self.place = PresetPlace(account, default_workspace(account))
        self.now_s = 0.0
        self.asked = 0
        self.is_away = False
        self.directory = PresetDirectory(
            PresetReader(database, ["cache_enabled"]), database, monotonic_s=lambda: self.now_s
        )
        run = database.run

        async def watched(
            function: Callable[..., object], *given: object, timeout_s: float
        ) -> object:
            self.asked += 1
            if self.is_away:
                await asyncio.sleep(0)  # until all have asked
                raise DatabaseUnreadable("it is away")
            return await run(function, *given, timeout_s=timeout_s)

        monkeypatch.setattr(database, "run", watched)

    async def find(self, slug: str, workspace: str | None = None) -> object:
        place = WorkspaceId(workspace) if workspace else self.place.workspace
        return await self.directory.find(
            Caller(self.place.account, KeyId("key-1"), workspace=place), slug
        )


@pytest.fixture
def stage(database: Database, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(database, monkeypatch)


async def test_a_preset_is_read_once_and_followed_within_a_second(stage: Stage):
    stage.presets.put(stage.place, "a", FIRST, actor=OPERATOR)
    found = await stage.find("a")
    assert isinstance(found, Preset)
    assert (found.version, found.system_prompt, list(found.fields)) == (1, "Be brief.", ["model"])
    stage.presets.put(stage.place, "a", SECOND, actor=OPERATOR)
    stage.now_s = FRESH_MAX_S * 0.99
    assert await stage.find("a") is found
    assert stage.asked == 1
    stage.now_s = FRESH_MAX_S
    revised = await stage.find("a")
    assert isinstance(revised, Preset)
    assert (revised.version, revised.system_prompt, revised.fields) == (2, None, {})
    stage.presets.set_status(stage.place, "a", PresetStatus.DISABLED, actor=OPERATOR)
    stage.now_s *= 2
    disabled = await stage.find("a")
    assert isinstance(disabled, Preset)
    assert (disabled.version, disabled.status) == (2, PresetStatus.DISABLED)


async def test_nobody_finds_another_workspaces_preset(stage: Stage):
    stage.presets.put(stage.place, "a", FIRST, actor=OPERATOR)
    assert await stage.find("a", "another") == []
    assert await stage.find("b") == ["a"]
    stage.presets.put(stage.place, "b", FIRST, actor=OPERATOR)
    assert isinstance(await stage.find("b"), Preset)  # that there was none is not kept


async def test_a_database_that_is_away_takes_nothing_away_for_a_while(stage: Stage):
    stage.presets.put(stage.place, "a", FIRST, actor=OPERATOR)
    found = await stage.find("a")
    stage.is_away = True
    stage.now_s = FRESH_MAX_S
    assert await stage.find("a") is found
    assert await stage.find("a") is found
    assert stage.asked == 2  # it is left alone for a second
    with pytest.raises(Overloaded):
        await stage.find("unknown")
    stage.now_s = KNOWN_MAX_S + FRESH_MAX_S
    with pytest.raises(Overloaded):
        await stage.find("a")
    stage.is_away = False
    assert isinstance(await stage.find("a"), Preset)


async def test_who_waits_for_the_same_answer_is_refused_with_it(stage: Stage):
    stage.is_away = True
    told = await asyncio.gather(*(stage.find("a") for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in told] == [Overloaded] * 3
    assert stage.asked == 1
