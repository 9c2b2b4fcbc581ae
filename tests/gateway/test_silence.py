"""A provider that takes requests and says nothing: later callers do not wait for what earlier ones wait for."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from fairlead.providers.base import UpstreamRequest
from fairlead.testing.builders import a_model, a_provider, a_snapshot, an_endpoint
from fairlead.testing.gateway import GatewayInMemory
from fairlead.testing.upstream import Script, ScriptedUpstream, chat_stream, chat_whole
from fairlead.testing.vtime import run_simulated

STREAM = (("content-type", "text/event-stream"),)


class HangingAfterwards:
    """The cheap provider answers until `hangs`; the other one always does."""

    def __init__(self) -> None:
        self.hangs = False

    def script(self, request: UpstreamRequest) -> Script:
        name = request.url.split("/")[2].partition(".")[0]
        if b'"stream":true' not in request.body:
            script = Script([(0.5, chat_whole(name))])
        else:
            script = Script([(0.5, event) for event in chat_stream([name])], headers=STREAM)
        if self.hangs and name == "cheap":
            return replace(script, steps=[], end="hang")
        return script


def _gateway(provider: HangingAfterwards) -> GatewayInMemory:
    cheap, dear = an_endpoint("cheap"), an_endpoint("dear", prompt="0.000009")
    providers = (
        a_provider("cheap", base_url="http://cheap.test/v1"),
        a_provider("dear", base_url="http://dear.test/v1"),
    )
    snapshot = a_snapshot(a_model(cheap, dear), providers=providers)
    return GatewayInMemory(ScriptedUpstream(provider.script), snapshot)


def _seconds_after_hanging_began(*, streamed: bool) -> list[float]:
    """How long each of four callers waited: three at once, and one 20 s later."""

    async def main() -> list[float]:
        provider = HangingAfterwards()
        gateway = _gateway(provider)
        for _ in range(5):
            assert (await gateway.chat(stream=True)).text() == "cheap"
        provider.hangs = True

        async def a_caller(after_s: float) -> float:
            await asyncio.sleep(after_s)
            began_s = gateway.services.loop.time()
            answer = await gateway.chat(stream=streamed)
            assert answer.status == 200
            return gateway.services.loop.time() - began_s

        return await asyncio.gather(*map(a_caller, (0.0, 0.1, 0.2, 20.0)))

    return run_simulated(main())


def test_after_three_silent_streams_the_next_caller_goes_elsewhere_at_once() -> None:
    *first, last = _seconds_after_hanging_began(streamed=True)
    assert min(first) > 100, "they wait until the attempt has used up its share of the time"
    assert last < 5


def test_a_silent_whole_answer_may_just_be_a_long_one() -> None:
    assert min(_seconds_after_hanging_began(streamed=False)) > 100
