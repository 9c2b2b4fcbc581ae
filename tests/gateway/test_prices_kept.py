"""A call keeps the prices that it was planned with, whatever the operator changes meanwhile."""

from __future__ import annotations

import asyncio

from fairlead.core.catalog_amendments import Amendments, EndpointAmendment, amended
from fairlead.core.catalog_assembly import assembled
from fairlead.core.ids import ModelId
from fairlead.core.money import PicoUSD
from fairlead.testing.builders import a_model, a_provider, an_endpoint
from fairlead.testing.gateway import GatewayInMemory
from fairlead.testing.upstream import Script, ScriptedUpstream, chat_stream
from fairlead.testing.vtime import run_simulated

CHEAP, DEAR = an_endpoint("cheap"), an_endpoint("dear", prompt="0.000003", completion="0.000004")
MODEL = a_model(CHEAP, DEAR)
CATALOGUE = assembled(
    version="test",
    as_of="2026-01-01",
    models={MODEL.id: MODEL},
    providers={slug.slug: slug for slug in map(a_provider, ("cheap", "dear"))},
    records={},
)
SLOW = Script(
    [(1.0, event) for event in chat_stream(("Hello", " to", " you"))],
    headers=(("content-type", "text/event-stream"),),
)


def test_prices_and_switches_hold_for_calls_that_begin_afterwards() -> None:
    async def main() -> None:
        gateway = GatewayInMemory(ScriptedUpstream(lambda _: SLOW), CATALOGUE)
        under_way = asyncio.create_task(gateway.chat(stream=True))
        await asyncio.sleep(1.5)  # it has begun
        gateway.catalog.snapshot = amended(
            CATALOGUE,
            Amendments(
                endpoints={
                    CHEAP.id: EndpointAmendment(is_off=True),
                    DEAR.id: EndpointAmendment(
                        prices={"prompt": PicoUSD(10), "completion": PicoUSD(20)}
                    ),
                }
            ),
        )
        await gateway.chat(stream=True)
        await under_way
        before, after = sorted(gateway.recorded, key=lambda one: one.created_s)
        assert (before.endpoint, before.price_version) == (CHEAP.id, CHEAP.price_version)
        assert after.endpoint == DEAR.id
        now = gateway.catalog.snapshot.models[ModelId("acme/one")].endpoints[0]
        assert after.price_version == now.price_version != DEAR.price_version
        usage = after.usage
        assert after.cost == -(-(usage.prompt * 10 + usage.completion * 20) // 1000)

    run_simulated(main())
