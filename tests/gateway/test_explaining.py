"""A chat body in, its decision out, and nothing sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from fairlead.testing.builders import a_model, a_provider, a_snapshot, an_endpoint
from fairlead.testing.gateway import Answer, GatewayInMemory
from fairlead.testing.upstream import ScriptedUpstream
from fairlead.testing.vtime import run_simulated

SNAPSHOT = a_snapshot(
    a_model(an_endpoint("cheap"), an_endpoint("dear", prompt="0.5"), an_endpoint("closed")),
    providers=(a_provider("cheap"), a_provider("dear"), a_provider("closed")),
)
HELLO = [{"role": "user", "content": "Hello"}]


def explained(
    body: object,
    *,
    headers: dict[str, str] | None = None,
    spoil: Callable[[GatewayInMemory], None] = lambda _: None,
) -> Answer:
    """The answer to one question; fails if anything was sent, recorded or counted."""

    async def asked() -> Answer:
        upstream = ScriptedUpstream(lambda _: pytest.fail("something was sent"))
        missing = frozenset({"closed"})
        gateway = GatewayInMemory(upstream, SNAPSHOT, missing_credentials=missing)
        spoil(gateway)
        answer = await gateway.call("/api/v1/routing/explain", body, headers=headers)
        assert gateway.recorded == []
        assert gateway.limits.asked == []
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


def test_of_a_mere_list_of_models_the_first_is_told_as_the_one_asked_for() -> None:
    told = data_of(explained({"models": ["acme/one"], "messages": HELLO}))
    assert told["requested"] == "acme/one"


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
    def lose_the_catalogue(gateway: GatewayInMemory) -> None:
        del gateway.catalog.snapshot

    answer = explained({"model": "acme/one", "messages": HELLO}, spoil=lose_the_catalogue)
    assert answer.status == 500
    assert b"snapshot" not in answer.body


def test_tokens_are_counted_for_whatever_name_a_call_may_use() -> None:
    """The same names as for a call, which are more than the catalogue's own."""

    async def asked() -> list[Answer]:
        upstream = ScriptedUpstream(lambda _: pytest.fail("something was sent"))
        gateway = GatewayInMemory(upstream, SNAPSHOT)
        return [
            await gateway.call("/api/v1/messages/count_tokens", {"model": name, "messages": HELLO})
            for name in ("acme/one", "acme/one:extended", "acme/one:nitro", "acme/nothing")
        ]

    *counted, unknown = run_simulated(asked())
    assert [answer.json() for answer in counted] == [{"input_tokens": 1}] * 3
    assert unknown.status == 400
    assert "acme/nothing" in unknown.json()["error"]["message"]
