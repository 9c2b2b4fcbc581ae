"""Sooner for more: a service tier is asked for where it has a price, and paid for where it was served."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.stage import FIRST, MODEL, SECOND
from tests.recordings import RecordedHeaders, Recording
from tests.replay.caller import CHAT, Heard, read_ending
from tests.replay.replay_server import ReplayServer
from tests.routed.stage import Server, installed, replaying

PROMPT_TOKENS, COMPLETION_TOKENS = 1000, 100
USUAL_USD = 1100 * 1e-6
PRIORITY_USD = (1000 * 3 + 100 * 5) * 1e-6
PRIORITY = f"""
[[models]]
id = "{MODEL}"
provider = "{FIRST}"
service_tier = "priority"
usd_per_million_tokens = {{ prompt = 3, completion = 5 }}
"""


def answer(served: str | None, *, streamed: bool) -> Recording:
    """A provider's, with the tier that it says it served."""
    more = {} if served is None else {"service_tier": served}
    usage = {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": COMPLETION_TOKENS,
        "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS,
    }
    said = {"role": "assistant", "content": "Hello, too."}
    name = f"{served}-{streamed}"
    if not streamed:
        choice = {"index": 0, "message": said, "finish_reason": "stop"}
        whole = {"id": "one", "choices": [choice], "usage": usage, **more}
        headers = RecordedHeaders({"content-type": "application/json"})
        return Recording(name, FIRST, CHAT, False, None, 200, headers, json.dumps(whole).encode())

    def event(delta: dict[str, str], finish: str | None, **fields: object) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        chunk = {"id": "one", "choices": [choice], **more, **fields}
        return b"data: " + json.dumps(chunk).encode() + b"\n\n"

    events = event(said, None) + event({}, "stop", usage=usage) + b"data: [DONE]\n\n"
    headers = RecordedHeaders({"content-type": "text/event-stream"})
    return Recording(name, FIRST, CHAT, True, None, 200, headers, events)


ANSWERS = {
    (served, streamed): answer(served, streamed=streamed)
    for served in (None, "default", "priority")
    for streamed in (False, True)
}


@pytest.fixture(scope="module")
def upstream() -> Iterator[ReplayServer]:
    with replaying(*ANSWERS.values()) as server:
        yield server


@pytest.fixture(scope="module")
def server(upstream: ReplayServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("tiers") / "one"
    with installed(directory, upstream, more=PRIORITY).serving() as running:
        yield running


def asking(wanted: str | None, *, streamed: bool) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": streamed,
        "provider": {"only": [FIRST]},
    }
    return body if wanted is None else {**body, "service_tier": wanted}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("wanted", "sent", "served", "cost_usd"),
    [
        ("priority", "priority", "priority", PRIORITY_USD),
        ("priority", "priority", "default", USUAL_USD),
        ("priority", "priority", None, PRIORITY_USD),
        ("default", "default", "default", USUAL_USD),
        (None, None, None, USUAL_USD),
        (None, None, "default", USUAL_USD),
    ],
)
def test_a_call_costs_what_the_tier_costs_that_was_served(
    wanted: str | None,
    sent: str | None,
    served: str | None,
    cost_usd: float,
    streamed: bool,
    server: Server,
    upstream: ReplayServer,
) -> None:
    upstream.forget()
    upstream.on(answer=ANSWERS[served, streamed].id)
    answered = server.post(CHAT, asking(wanted, streamed=streamed))
    ending = read_ending(Heard(answered.status, answered.headers, answered.body))
    (request,) = upstream.received
    assert request.body.get("service_tier") == sent
    assert ending.cost == pytest.approx(cost_usd, abs=1e-12)
    record = server.get(f"/api/v1/generation?id={ending.id}")["data"]
    assert record["total_cost"] == ending.cost
    assert record["service_tier"] == served
    (asked,) = record["provider_responses"]
    tag = f"{FIRST}/priority" if wanted == "priority" else FIRST
    assert asked["endpoint_id"] == f"{tag}:{MODEL}"


def test_the_tier_is_an_endpoint_of_its_own_for_those_who_ask(server: Server) -> None:
    shown = server.endpoints()
    assert shown.keys() == {FIRST, SECOND, f"{FIRST}/priority"}
    assert shown[f"{FIRST}/priority"]["service_tier"] == "priority"
    assert float(shown[f"{FIRST}/priority"]["pricing"]["prompt"]) == pytest.approx(3e-6)
    asked = server.explained(asking("priority", streamed=False))
    assert [one["tag"] for one in asked["candidates"]] == [f"{FIRST}/priority", FIRST]
    assert asked["candidates"][0]["why"] == "tier"
    unasked = server.explained(asking(None, streamed=False))
    assert [one["tag"] for one in unasked["candidates"]] == [FIRST]
    assert {one["tag"]: one["reason"] for one in unasked["removed"]} == {
        f"{FIRST}/priority": "service_tier",
        SECOND: "not_allowed",
    }
