"""A chat body in, its decision out, and nothing sent."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest

from fairlead.core.capability import Capability
from fairlead.core.catalog import Snapshot
from fairlead.core.chat import ChatRequest
from fairlead.core.health import HealthBook
from fairlead.core.ids import ProviderSlug
from fairlead.core.routing.deciding import Circumstances, decided
from fairlead.core.routing.decision import Decision
from fairlead.core.routing.types import INSTALLATION
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.gateway.explaining import serve_explanation
from fairlead.gateway.ports import Caller
from fairlead.gateway.server.connection import Connections, ServerBounds
from fairlead.testing.builders import a_model, a_provider, a_snapshot, an_endpoint
from fairlead.testing.gateway import Answer, GatewayInMemory
from fairlead.testing.upstream import ScriptedUpstream
from fairlead.testing.vtime import run_simulated

SNAPSHOT = a_snapshot(
    a_model(an_endpoint("cheap"), an_endpoint("dear", prompt="0.5"), an_endpoint("closed")),
    providers=(a_provider("cheap"), a_provider("dear"), a_provider("closed")),
)
HELLO = [{"role": "user", "content": "Hello"}]


def by_the_rules(request: ChatRequest, caller: Caller, snapshot: Snapshot) -> Decision:
    open_ones = (ProviderSlug("cheap"), ProviderSlug("dear"))
    circumstances = Circumstances(
        snapshot=snapshot,
        health=HealthBook().at(0),
        account=caller.preferences,
        access=dict.fromkeys(open_ones, INSTALLATION),
        can_serve=bool,
        seed=0,
    )
    return decided(request, circumstances, capability=Capability.CHAT)


def at_a_loss(request: ChatRequest, caller: Caller, snapshot: Snapshot) -> Decision:
    raise RuntimeError("a mistake")


def explained(
    body: object,
    *,
    headers: dict[str, str] | None = None,
    decide: Callable[[ChatRequest, Caller, Snapshot], Decision] = by_the_rules,
) -> Answer:
    """The answer to one question; fails if anything was sent or recorded."""

    async def asked() -> Answer:
        upstream = ScriptedUpstream(lambda _: pytest.fail("something was sent"))
        gateway = GatewayInMemory(upstream, SNAPSHOT)
        services = gateway.services
        serve = partial(serve_explanation, dialect=OpenAIChat(), services=services, decide=decide)
        gateway.connections = Connections(
            serve, ServerBounds(), services.loop, services.clock.now_s
        )
        answer = await gateway.call("/api/v1/routing/explain", body, headers=headers)
        assert gateway.recorded == []
        return answer

    return run_simulated(asked())


def data_of(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer.body
    told: dict[str, Any] = msgspec.json.decode(answer.body)["data"]
    return told


def test_the_decision_is_told_with_every_endpoint() -> None:
    told = data_of(explained({"model": "acme/one", "messages": HELLO}))
    assert told["requested"] == "acme/one"
    assert [one["provider"] for one in told["candidates"]] == ["cheap", "dear"]
    assert [(one["provider"], one["reason"], one["detail"]) for one in told["removed"]] == [
        ("closed", "no_credential", "Set CLOSED_API_KEY.")
    ]
    assert told["attempts"] == []


def test_wishes_that_leave_nothing_are_explained_all_the_same() -> None:
    wishes = {"only": ["closed"]}
    told = data_of(explained({"model": "acme/one", "messages": HELLO, "provider": wishes}))
    assert told["candidates"] == []
    assert {one["reason"] for one in told["removed"]} == {"not_allowed", "no_credential"}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": "acme/nothing", "messages": HELLO}, "model"),
        ({"model": "acme/one"}, "messages"),
        (
            {"model": "acme/one", "messages": HELLO, "provider": {"sort": "beauty"}},
            "provider.sort",
        ),
    ],
)
def test_a_body_that_means_nothing_is_refused_as_a_call_would_be(body: object, param: str) -> None:
    answer = explained(body)
    assert answer.status == 400
    assert msgspec.json.decode(answer.body)["error"]["param"] == param


def test_only_callers_are_told() -> None:
    answer = explained(
        {"model": "acme/one", "messages": HELLO}, headers={"authorization": "Bearer wrong"}
    )
    assert answer.status == 401


def test_a_mistake_of_ours_is_masked() -> None:
    answer = explained({"model": "acme/one", "messages": HELLO}, decide=at_a_loss)
    assert answer.status == 500
    assert b"a mistake" not in answer.body
