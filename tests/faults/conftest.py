"""A gateway between two misbehaving providers, once per test process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.stage import STREAMS, UNASKED_MODELS, stage_configuration
from tests.recordings import recording
from tests.replay.caller import Caller, OfficialCaller
from tests.replay.gateway import RunningGateway, running_gateway
from tests.replay.replay_server import ReplayServer


@pytest.fixture(scope="session")
def providers() -> Iterator[ReplayServer]:
    with ReplayServer([recording(case) for case in STREAMS.values()]) as server:
        yield server


@pytest.fixture(scope="session")
def gateway(
    providers: ReplayServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    toml = stage_configuration(providers, more_models=UNASKED_MODELS)
    with running_gateway(tmp_path_factory.mktemp("faults"), toml) as running:
        yield running


@pytest.fixture
def upstream(providers: ReplayServer) -> Iterator[ReplayServer]:
    """Without rules at first; afterwards nothing may be under way there."""
    providers.forget()
    yield providers
    providers.wait_until(lambda: not providers.connections.in_flight)


@pytest.fixture
def caller(gateway: RunningGateway) -> Iterator[Caller]:
    with Caller(gateway.fairlead) as one:
        yield one


@pytest.fixture(scope="session")
def unasked_models(gateway: RunningGateway) -> Iterator[str]:
    """`next` is a model that this gateway knows nothing of yet."""
    return iter(UNASKED_MODELS)


@pytest.fixture(scope="session")
def official(gateway: RunningGateway) -> Iterator[OfficialCaller]:
    one = OfficialCaller(gateway.fairlead)
    yield one
    one.close()
