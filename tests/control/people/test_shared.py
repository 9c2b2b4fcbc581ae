"""What several processes share of signing in, and what a process that only serves calls does without."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import aclosing

import msgspec
import pytest

from fairlead.compose.people import build_sign_in
from fairlead.control.people.types import Place, SignInRefused
from fairlead.core.errors import RateLimited
from fairlead.settings import Settings
from fairlead.store.cache import Cache
from fairlead.store.database import Database
from tests.cache_server import CacheServer
from tests.control.people.test_pace import PACED
from tests.control.people.world import CHEAP, make_world

pytestmark = pytest.mark.anyio

LATE = """
import sys
import fairlead.compose.serving
late = {"argon2", "joserfc", "smtplib", "aiohttp", "authlib", "jsonschema_rs", "fairlead.sandbox.exchange"}
print(sorted(late & set(sys.modules)))
"""


@pytest.mark.parametrize("database_kind", ["sqlite"])
async def test_processes_with_a_cache_count_attempts_together(
    database: Database, shared_cache: CacheServer
):
    settings = msgspec.structs.replace(Settings(), sign_in=PACED)
    world = make_world(database, settings)
    async with aclosing(Cache(shared_cache.url)) as one, aclosing(Cache(shared_cache.url)) as two:
        processes = [
            build_sign_in(
                database,
                world.services,
                settings,
                cache=cache,
                now_ms=world.clock.now_ms,
                entropy=os.urandom,
                cost=CHEAP,
            )
            for cache in (one, two)
        ]
        outcomes = []
        for attempt in range(14):
            try:
                await processes[attempt % 2].with_password(
                    "ada@example.com", "x", Place(f"198.51.100.{attempt}")
                )
            except (SignInRefused, RateLimited) as refusal:
                outcomes.append(type(refusal))
    assert outcomes == [SignInRefused] * 10 + [RateLimited] * 4


def test_what_few_need_is_loaded_when_they_need_it():
    """Signing in costs those who only serve calls neither memory nor time."""
    ended = subprocess.run(
        [sys.executable, "-c", LATE], capture_output=True, text=True, check=True, timeout=60
    )
    assert ended.stdout.strip() == "[]"
