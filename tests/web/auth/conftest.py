from __future__ import annotations

import os
from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from fairlead.compose.control_plane import DatabaseThreads
from fairlead.compose.people import build_auth
from fairlead.core.errors import FairleadError
from fairlead.settings import Server, Settings
from fairlead.store.database import Database
from fairlead.web.answers import on_crash, on_expected, on_http
from fairlead.web.auth.app import auth_routes
from tests.control.people.conftest import GENEROUS
from tests.control.people.world import ADDRESS, World, make_world

JSON = {"accept": "application/json"}


@pytest.fixture
def auth_settings() -> Settings:
    return msgspec.structs.replace(Settings(), sign_in=GENEROUS, server=Server(public_url=ADDRESS))


@pytest.fixture
def world(database: Database, auth_settings: Settings) -> World:
    return make_world(database, auth_settings)


def app_of(world: World, settings: Settings) -> Starlette:
    services = build_auth(
        DatabaseThreads(world.database),
        world.services,
        world.audit,
        settings,
        sign_in=world.sign_in,
        address=ADDRESS,
        now_s=world.clock.now_s,
        entropy=os.urandom,
    )
    app = Starlette(
        routes=auth_routes(services),
        exception_handlers={
            FairleadError: on_expected,
            HTTPException: on_http,
            Exception: on_crash,
        },
    )
    app.router.redirect_slashes = False
    return app


def browser_of(app: Starlette, address: str = "192.0.2.7") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=(address, 1), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=ADDRESS, headers=JSON)


@pytest.fixture
def app(world: World, auth_settings: Settings) -> Starlette:
    return app_of(world, auth_settings)


@pytest.fixture
async def browser(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    async with browser_of(app) as client:
        yield client
