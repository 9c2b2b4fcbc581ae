from __future__ import annotations

import msgspec
import pytest

from fairlead.settings import Settings, SignIn
from fairlead.store.database import Database
from tests.control.people.world import World, make_world

GENEROUS = SignIn(
    sign_up="open",
    attempts_per_minute_from=0,
    attempts_per_minute_to=0,
    mails_per_minute_from=0,
    mails_per_day_to=0,
)


@pytest.fixture
def sign_in_settings() -> SignIn:
    """A test that wants others overrides this fixture, or makes its own world."""
    return GENEROUS


@pytest.fixture
def world(database: Database, sign_in_settings: SignIn) -> World:
    return make_world(database, msgspec.structs.replace(Settings(), sign_in=sign_in_settings))
