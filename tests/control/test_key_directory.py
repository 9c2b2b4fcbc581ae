"""Keys in use are answered without waiting; what other processes change is known within two seconds."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace

import pytest

from fairlead.control.accounts.service import Accounts
from fairlead.control.keys import rules
from fairlead.control.keys.service import Keys
from fairlead.control.serving import keys as serving
from fairlead.control.serving.keys import LOOK_UP_TERMS, REFUSED_MAX_S, CachedKeyDirectory
from fairlead.core.caller import Caller, KeyRefused
from fairlead.core.errors import Overloaded
from fairlead.store.database import Database, DatabaseUnreadable, open_database

NOW_MS = 1_763_700_000_000
PATIENCE_S = 30.0
FRESH_MAX_S = LOOK_UP_TERMS.fresh_max_s
KNOWN_MAX_S = LOOK_UP_TERMS.known_max_s
IDLE_MAX_S = LOOK_UP_TERMS.idle_max_s
REVOKED = KeyRefused("This API key was revoked.")

pytestmark = pytest.mark.anyio


class World:
    """A directory, its clock, and a database that can be away. Keys change as if by another process."""

    def __init__(self, database: Database, address: str) -> None:
        self.now_s = 1000.0
        self.now_ms = NOW_MS
        self.look_ups = 0
        self.is_away = False
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.elsewhere = open_database(address)
        self.keys = Keys(self.elsewhere, now_ms=lambda: self.now_ms, entropy=os.urandom)
        accounts = Accounts(self.elsewhere, now_ms=lambda: NOW_MS, entropy=os.urandom)
        self.account = accounts.ensure_owner().account.id
        world = self
        self.database = database

        class Watched(Keys):
            def by_digests(self, digests):
                assert world.may_answer.wait(PATIENCE_S)
                world.look_ups += 1
                if world.is_away:
                    raise DatabaseUnreadable("away")
                return super().by_digests(digests)

        self.watched = Watched(database, now_ms=lambda: self.now_ms, entropy=os.urandom)
        self.directory = self.directory_on()

    def directory_on(self, **terms) -> CachedKeyDirectory:
        """terms: that are not as they usually are."""
        return CachedKeyDirectory(
            self.watched,
            self.database,
            now_ms=lambda: self.now_ms,
            monotonic_s=lambda: self.now_s,
            terms=replace(LOOK_UP_TERMS, **terms),
        )

    def create(self, **options) -> tuple[bytes, Caller]:
        key = self.keys.create(self.account, name="laptop", **options).key
        return key.digest, Caller(
            self.account,
            key.id,
            key.is_management,
            workspace=key.workspace,
            user=key.creator,
        )

    def revoke(self, caller: Caller) -> None:
        self.keys.revoke(self.account, caller.key)


@pytest.fixture
def world(database: Database, database_address: str):
    world = World(database, database_address)
    yield world
    world.may_answer.set()
    world.elsewhere.close()


async def test_a_key_is_looked_up_once_and_then_answered_without_waiting(world: World):
    digest, caller = world.create(is_management=True)
    assert world.directory.peek(digest) is None
    assert await world.directory.find(digest) == caller
    for _ in range(100):
        assert world.directory.peek(digest) == caller
        assert await world.directory.find(digest) == caller
    assert world.look_ups == 1


async def test_callers_who_come_at_once_share_one_look_up(world: World):
    digest, caller = world.create()
    answers = await asyncio.gather(*(world.directory.find(digest) for _ in range(50)))
    assert answers == [caller] * 50
    assert world.look_ups == 1


async def test_who_waits_for_a_caller_that_leaves_asks_for_himself(world: World):
    digest, caller = world.create()
    world.may_answer.clear()
    first = asyncio.ensure_future(world.directory.find(digest))
    second = asyncio.ensure_future(world.directory.find(digest))
    await asyncio.sleep(0)
    first.cancel()
    world.may_answer.set()
    async with asyncio.timeout(PATIENCE_S):
        assert await second == caller
    assert first.cancelled()


async def test_the_refresher_keeps_a_busy_key_answered_without_waiting(world: World):
    digest, caller = world.create()
    await world.directory.find(digest)
    for _ in range(20):
        world.now_s += FRESH_MAX_S / 2
        await world.directory.refresh()
        assert world.directory.peek(digest) == caller


async def test_a_key_that_another_process_revokes_is_refused_after_the_next_refresh(world: World):
    digest, caller = world.create()
    await world.directory.find(digest)
    world.revoke(caller)
    await world.directory.refresh()
    assert world.directory.peek(digest) == REVOKED


async def test_without_any_refresh_a_revoked_key_is_refused_within_two_seconds(world: World):
    digest, caller = world.create()
    await world.directory.find(digest)
    world.revoke(caller)
    world.now_s += FRESH_MAX_S + 0.001
    assert world.directory.peek(digest) is None
    assert await world.directory.find(digest) == REVOKED


async def test_a_disabled_key_opens_again_when_it_is_enabled(world: World):
    digest, caller = world.create()
    world.keys.disable(world.account, caller.key)
    assert await world.directory.find(digest) == KeyRefused("This API key is disabled.")
    world.keys.enable(world.account, caller.key)
    world.now_s += REFUSED_MAX_S
    assert await world.directory.find(digest) == caller


async def test_a_key_expires_while_it_is_in_use(world: World):
    digest, caller = world.create(expires_ms=NOW_MS + 1000)
    assert await world.directory.find(digest) == caller
    world.now_ms += 1000
    await world.directory.refresh()
    assert world.directory.peek(digest) == KeyRefused("This API key has expired.")


async def test_a_key_that_the_command_line_has_just_created_opens_at_once(
    world: World, database_address: str
):
    """A process of its own, while this one serves."""
    program = textwrap.dedent("""
        import os, sys, time
        from fairlead.control.keys.service import Keys
        from fairlead.store.database import open_database

        database = open_database(sys.argv[1])
        keys = Keys(database, now_ms=lambda: time.time_ns() // 1_000_000, entropy=os.urandom)
        print(keys.create(sys.argv[2], name="from the shell").secret)
        database.close()
    """)
    await world.directory.find(world.create()[0])
    ran = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", program, database_address, world.account],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    assert isinstance(await world.directory.find(rules.digest(ran.stdout.strip())), Caller)


async def test_an_unknown_key_is_refused_and_a_flood_of_it_asks_once(world: World):
    for _ in range(100):
        assert await world.directory.find(b"?" * 32) == rules.UNKNOWN
    assert world.look_ups == 1
    world.now_s += REFUSED_MAX_S
    assert await world.directory.find(b"?" * 32) == rules.UNKNOWN
    assert world.look_ups == 2


async def test_many_different_keys_at_once_are_bounded_and_never_refused_for_it(world: World):
    world.directory = world.directory_on(look_ups_max=3)
    world.may_answer.clear()
    waiting = [asyncio.ensure_future(world.directory.find(bytes([n]) * 32)) for n in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await world.directory.find(b"?" * 32)
    world.may_answer.set()
    async with asyncio.timeout(PATIENCE_S):
        assert await asyncio.gather(*waiting) == [rules.UNKNOWN] * 3


async def test_known_keys_go_on_for_a_bounded_time_when_the_database_is_away(world: World):
    digest, caller = world.create()
    await world.directory.find(digest)
    world.is_away = True
    world.now_s += FRESH_MAX_S + 1
    assert await world.directory.find(digest) == caller, "the first one learns that it is away"
    assert world.directory.peek(digest) == caller, "and the others need not wait for that"
    for _ in range(int(KNOWN_MAX_S) // 20):
        world.now_s += 10
        await world.directory.refresh()
        assert world.directory.peek(digest) == caller
    world.now_s += KNOWN_MAX_S
    assert world.directory.peek(digest) is None
    with pytest.raises(Overloaded):
        await world.directory.find(digest)


async def test_known_keys_do_not_wait_for_a_database_that_says_nothing(world: World):
    """It counts as away before it answers, and what it answers in the end counts."""
    world.directory = world.directory_on(answer_max_s=0.05)
    digest, caller = world.create()
    await world.directory.find(digest)
    world.revoke(caller)
    world.may_answer.clear()
    refreshing = asyncio.ensure_future(world.directory.refresh())
    world.now_s += FRESH_MAX_S + 0.001
    try:
        async with asyncio.timeout(PATIENCE_S):
            assert await world.directory.find(digest) == caller
            assert world.directory.peek(digest) == caller
            with pytest.raises(Overloaded):
                await world.directory.find(b"unknown")
        assert not refreshing.done()
    finally:
        world.may_answer.set()
    await refreshing
    assert world.directory.peek(digest) == REVOKED


async def test_a_key_that_rests_while_the_database_is_away_is_still_known(world: World):
    digest, caller = world.create()
    await world.directory.find(digest)
    world.is_away = True
    await world.directory.refresh()
    world.now_s += IDLE_MAX_S * 2
    await world.directory.refresh()
    assert world.directory.peek(digest) == caller


async def test_a_key_whose_time_is_over_ends_while_the_database_is_away(world: World):
    digest, caller = world.create(expires_ms=NOW_MS + 5_000)
    await world.directory.find(digest)
    world.is_away = True
    await world.directory.refresh()
    assert world.directory.peek(digest) == caller
    world.now_ms += 5_000
    await world.directory.refresh()
    with pytest.raises(Overloaded):
        await world.directory.find(digest)


async def test_a_key_that_is_not_known_is_never_refused_when_the_database_is_away(world: World):
    digest, caller = world.create()
    world.is_away = True
    for _ in range(2):
        with pytest.raises(Overloaded):
            await world.directory.find(digest)
    world.is_away = False
    assert await world.directory.find(digest) == caller


async def test_when_the_database_is_back_revocations_count_again(world: World):
    digest, caller = world.create()
    await world.directory.find(digest)
    world.is_away = True
    await world.directory.refresh()
    world.revoke(caller)
    world.now_s += 100
    assert world.directory.peek(digest) == caller
    world.is_away = False
    await world.directory.refresh()
    assert world.directory.peek(digest) == REVOKED


async def test_memory_is_bounded_and_idle_keys_are_forgotten(world: World):
    world.directory = world.directory_on(known_entries_max=3)
    made = [world.create() for _ in range(5)]
    for digest, caller in made:
        assert await world.directory.find(digest) == caller
    assert [world.directory.peek(digest) for digest, _ in made].count(None) == 2
    assert await world.directory.find(made[0][0]) == made[0][1]
    world.now_s += IDLE_MAX_S + 1
    before = world.look_ups
    await world.directory.refresh()
    assert world.look_ups == before, "nobody uses them, so nobody asks about them"
    assert all(world.directory.peek(digest) is None for digest, _ in made)


async def test_the_refresher_runs_until_it_is_cancelled(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(serving, "REFRESH_EVERY_S", 0.0)
    digest, caller = world.create()
    await world.directory.find(digest)
    running = asyncio.ensure_future(world.directory.run())
    world.revoke(caller)
    async with asyncio.timeout(PATIENCE_S):
        while world.directory.peek(digest) != REVOKED:  # noqa: ASYNC110 - the refresher has no event
            await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
