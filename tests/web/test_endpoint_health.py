"""What the endpoints of a model say of their health."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from fairlead.core.errors import FailureKind
from fairlead.core.health import EndpointFigures, EndpointOutcome, HealthBook
from fairlead.core.ids import EndpointId, ProviderSlug
from fairlead.core.routing.facts import Percentiles, Standing
from fairlead.web.api.endpoint_health import NOT_ROUTABLE, STATUS, health_fields

pytestmark = pytest.mark.anyio

T = 1_800_000_000.0
O1 = EndpointId("openai:o1")
PATH = "/api/v1/models/openai/o1/endpoints"


@dataclass
class Health:
    """A real book, and who there are credentials for."""

    book: HealthBook = field(default_factory=HealthBook)
    without_credential: frozenset[ProviderSlug] = frozenset()

    def figures(self, endpoint: EndpointId) -> EndpointFigures:
        return self.book.figures(endpoint, T)

    def can_serve(self, provider: ProviderSlug) -> bool:
        return provider not in self.without_credential


async def shown(browse, health: Health, headers: dict[str, str], check_schema) -> dict[str, dict]:
    async with browse(health=health) as client:
        document = (await client.get(PATH, headers=headers)).json()
    check_schema(document, "ModelEndpointsAnswer")
    return {one["tag"]: one for one in document["data"]["endpoints"]}


async def test_measured_endpoints_show_their_figures(browse, signed_in, check_schema):
    health = Health()
    for number in range(200):
        failure = FailureKind.SERVER if number % 40 == 0 else None
        health.book.ended(
            O1,
            EndpointOutcome(failure, first_token_s=0.5, output_tokens=100, duration_s=2.0),
            T,
        )
    endpoints = await shown(browse, health, signed_in, check_schema)
    openai = endpoints["openai"]
    assert openai["uptime_last_5m"] == openai["uptime_last_30m"] == openai["uptime_last_1d"] == 97.5
    assert openai["latency_last_30m"]["p50"] == pytest.approx(500, rel=0.03), "milliseconds"
    assert openai["throughput_last_30m"]["p99"] == pytest.approx(50, rel=0.03)
    assert openai["status"] == 0
    others = [one for tag, one in endpoints.items() if tag != "openai"]
    assert others
    assert {one["uptime_last_1d"] for one in others} == {None}
    assert {one["latency_last_30m"] for one in others} == {None}


async def test_speeds_are_for_callers_with_a_key(browse, signed_in, check_schema):
    health = Health()
    for _ in range(100):
        health.book.ended(O1, EndpointOutcome(None, first_token_s=0.5), T)
    for headers in ({}, {"authorization": "Bearer wrong"}):
        openai = (await shown(browse, health, headers, check_schema))["openai"]
        assert openai["uptime_last_5m"] == 100.0
        assert openai["latency_last_30m"] is None
    assert (await shown(browse, health, signed_in, check_schema))["openai"]["latency_last_30m"]


async def test_an_endpoint_that_is_down_says_so(browse, signed_in, check_schema):
    health = Health()
    for _ in range(3):
        health.book.ended(O1, EndpointOutcome(FailureKind.UNREACHABLE), T)
    assert (await shown(browse, health, signed_in, check_schema))["openai"]["status"] == -5


async def test_an_endpoint_without_a_credential_says_so(browse, signed_in, check_schema):
    health = Health(without_credential=frozenset({ProviderSlug("openai")}))
    endpoints = await shown(browse, health, signed_in, check_schema)
    assert endpoints["openai"]["status"] == NOT_ROUTABLE == -10
    assert {one["status"] for tag, one in endpoints.items() if not tag.startswith("openai")} == {0}


@pytest.mark.parametrize("standing", list(Standing))
def test_every_standing_has_a_status_of_its_own(standing: Standing) -> None:
    assert health_fields(EndpointFigures(standing))["status"] == STATUS[standing]
    assert len(set(STATUS.values()) | {NOT_ROUTABLE}) == len(Standing) + 1


def test_uptime_is_rounded_to_hundredths_of_a_percent() -> None:
    fields = health_fields(EndpointFigures(uptime_1d=100.0 * 2 / 3))
    assert fields["uptime_last_1d"] == 66.67


def test_percentiles_are_named() -> None:
    fields = health_fields(EndpointFigures(latency_30m=Percentiles(0.25, 0.5, 1.0, 2.0)))
    assert fields["latency_last_30m"] == {"p50": 250, "p75": 500, "p90": 1000, "p99": 2000}
