"""Between caller and provider `user` becomes a digest; the record keeps it."""

from __future__ import annotations

import msgspec

from fairlead.testing.builders import a_model, a_provider, a_snapshot, an_endpoint
from fairlead.testing.gateway import GatewayInMemory
from fairlead.testing.upstream import Script, ScriptedUpstream, chat_whole
from fairlead.testing.vtime import run_simulated

ADA = "ada@example.com"


def test_the_provider_is_told_a_digest_and_the_record_keeps_the_name() -> None:
    async def main() -> None:
        upstream = ScriptedUpstream(lambda _: Script([(0.1, chat_whole("Hello"))]))
        snapshot = a_snapshot(
            a_model(an_endpoint("openai", prompt="0.000001", completion="0.000002")),
            providers=(a_provider("openai", base_url="http://openai.test/v1"),),
        )
        gateway = GatewayInMemory(upstream, snapshot)
        for _ in range(2):
            assert (await gateway.chat(user=ADA)).status == 200
        assert (await gateway.chat()).status == 200
        bodies = [msgspec.json.decode(request.body) for request in upstream.requests]
        assert not any(ADA.encode() in request.body for request in upstream.requests)
        first, second, without = (body.get("safety_identifier") for body in bodies)
        assert first == second
        assert len(first) == 32
        assert without is None
        assert [one.external_user for one in gateway.recorded] == [ADA, ADA, None]

    run_simulated(main())
