"""A gateway in front of every recorded provider, once per test process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.recordings import load, names
from tests.replay.caller import Caller
from tests.replay.catalogue import recorded_configuration
from tests.replay.gateway import running_gateway
from tests.replay.replay_server import ReplayServer


@pytest.fixture(scope="session")
def replaying() -> Iterator[ReplayServer]:
    with ReplayServer(case for name in names() for case in load(name)) as server:
        yield server


@pytest.fixture(scope="session")
def caller(replaying: ReplayServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    toml = recorded_configuration(replaying)
    with (
        running_gateway(tmp_path_factory.mktemp("recorded"), toml) as gateway,
        Caller(gateway.fairlead) as caller,
    ):
        yield caller
