"""Sessions: they end by themselves, by their person's doing, and with what they were for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.control.people import rules
from fairlead.control.people.rules import SignInRules
from fairlead.control.people.sessions import SESSIONS_MAX
from tests.control.people.world import PASSWORD, PLACE, World

pytestmark = pytest.mark.anyio

# What the database has no part in is shown on one of them.
ON_SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"])

ADA = "ada@example.com"
DAY_MS = 86_400_000


async def test_who_was_away_for_long_signs_in_again_and_everybody_does_in_the_end(world: World):
    idle = await world.newcomer(ADA)
    used = await world.sign_in.with_password(ADA, PASSWORD, PLACE)
    began_ms = world.clock.ms
    seen_until_ms = 0
    while (await world.sign_in.find(used.token)) is not None:
        seen_until_ms = world.clock.ms
        world.clock.ms += 13 * DAY_MS
        if world.clock.ms - began_ms < 20 * DAY_MS:
            continue
        assert await world.sign_in.find(idle.token) is None
    assert 77 * DAY_MS <= seen_until_ms - began_ms < 90 * DAY_MS


async def test_when_it_was_used_is_written_down_now_and_then(world: World):
    new = await world.newcomer(ADA)
    for _ in range(5):
        world.clock.ms += 20_000
        assert await world.sign_in.find(new.token) is not None
    signed_in = await world.sign_in.find(new.token)
    assert signed_in is not None
    (session,) = await world.sign_in.sessions(signed_in)
    assert 60_000 <= session.used_ms - new.session.used_ms <= 100_000


async def test_somebody_has_a_bounded_number_of_sessions_and_the_oldest_goes(world: World):
    first = await world.newcomer(ADA)
    for _ in range(SESSIONS_MAX):
        world.clock.ms += 1
        last = await world.sign_in.with_password(ADA, PASSWORD, PLACE)
    assert await world.sign_in.find(first.token) is None
    signed_in = await world.sign_in.find(last.token)
    assert signed_in is not None
    found = await world.sign_in.sessions(signed_in)
    assert (len(found), found[0].id) == (SESSIONS_MAX, last.session.id)


@ON_SQLITE
@pytest.mark.parametrize("token", ["", "x", "x" * 43, "é" * 43, "x" * 10_000, "' OR 1=1; --"])
async def test_what_is_no_token_is_nobodys(world: World, token: str):
    await world.newcomer(ADA)
    assert await world.sign_in.find(token) is None


@given(
    created=st.integers(0, 10**12),
    used=st.integers(0, 10**12),
    now=st.integers(0, 10**12),
)
def test_a_session_is_over_when_either_span_is(created: int, used: int, now: int):
    settings = SignInRules(session_idle_ms=1000, session_max_ms=5000)
    ends = rules.session_expires_ms(settings, created_ms=created, used_ms=used, now_ms=now)
    is_over = now >= used + 1000 or now >= created + 5000
    assert (ends is None) is is_over
    assert ends is None or now < ends <= created + 5000


@given(st.binary(min_size=32, max_size=32))
def test_what_a_form_holds_does_not_open_the_session(entropy: bytes):
    token = rules.token(entropy)
    assert rules.is_token(token)
    assert rules.is_token(rules.csrf(token))
    assert rules.csrf(token) != token
    assert rules.digest(rules.csrf(token)) != rules.digest(token)
