from __future__ import annotations

from collections.abc import Iterator

import pytest

from fairlead.store.database import Database
from tests.control.billing.world import World, build_world
from tests.stripe_server import StripeServer, stripe_server


@pytest.fixture(scope="session")
def _stripe_server() -> Iterator[StripeServer]:
    with stripe_server() as server:
        yield server


@pytest.fixture
def stripe(_stripe_server: StripeServer, monkeypatch: pytest.MonkeyPatch) -> StripeServer:
    """One per test process, started when first asked for."""
    # The library's own pause before it repeats a call: nobody else is there to be spared.
    monkeypatch.setattr("stripe.HTTPClient.INITIAL_DELAY", 0.0)
    _stripe_server.clear()
    return _stripe_server


@pytest.fixture
def world(database: Database, stripe: StripeServer) -> World:
    return build_world(database, stripe)
