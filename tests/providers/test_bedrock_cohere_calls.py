"""Whole calls in memory: a caller of the OpenAI dialect, answered by Bedrock or Cohere."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fairlead.core.generation import Outcome
from fairlead.providers.base import UpstreamRequest
from fairlead.testing.builders import a_model, a_provider, a_snapshot, an_endpoint
from fairlead.testing.gateway import Answer, GatewayInMemory
from fairlead.testing.upstream import Script, ScriptedUpstream
from fairlead.testing.vtime import run_simulated
from tests.bedrock_truth import read_converse
from tests.cohere_truth import read_cohere
from tests.event_streams import event, exception
from tests.recordings import Recording, load_native

BEDROCK = an_endpoint("amazon-bedrock", prompt="0.000001")
COHERE = an_endpoint("cohere", prompt="0.000002")
SNAPSHOT = a_snapshot(
    a_model(BEDROCK, COHERE),
    a_model(COHERE, slug="acme/two"),
    providers=(
        a_provider("amazon-bedrock", base_url="http://amazon.test"),
        a_provider("cohere", base_url="http://cohere.test/v2"),
    ),
)
CONVERSED = next(c for c in load_native("bedrock") if "sonnet-4-5" in c.path and c.streamed)
CONVERSED_WHOLE = next(c for c in load_native("bedrock") if c.status == 200 and not c.streamed)
CHATTED = next(c for c in load_native("cohere") if c.path == "/v2/chat" and c.streamed)


def called(script: Callable[[UpstreamRequest], Script], **fields: object) -> tuple[Answer, Outcome]:
    """One call, with its recorded outcome."""
    told: list[tuple[Answer, Outcome]] = []

    async def scenario() -> None:
        upstream = ScriptedUpstream(script)
        gateway = GatewayInMemory(upstream, SNAPSHOT)
        answer = await gateway.chat(**fields)
        await upstream.aclose()
        told.append((answer, gateway.recorded[-1].outcome))

    run_simulated(scenario())
    return told[0]


def replayed(case: Recording) -> Callable[[UpstreamRequest], Script]:
    """The recorded answer, in pieces that no network would be so unkind as to cut."""
    pieces = [case.body[at : at + 37] for at in range(0, len(case.body), 37)]
    headers = (("content-type", case.headers.get("content-type") or ""),)
    return lambda _: Script([(0.01, piece) for piece in pieces], headers=headers)


@pytest.mark.parametrize(
    ("case", "model", "text", "tokens"),
    [
        pytest.param(
            CONVERSED,
            "acme/one",
            read_converse(CONVERSED.body, is_stream=True).text,
            read_converse(CONVERSED.body, is_stream=True).usage["totalTokens"],
            id="bedrock-stream",
        ),
        pytest.param(
            CONVERSED_WHOLE,
            "acme/one",
            read_converse(CONVERSED_WHOLE.body, is_stream=False).text,
            read_converse(CONVERSED_WHOLE.body, is_stream=False).usage["totalTokens"],
            id="bedrock-whole",
        ),
        pytest.param(
            CHATTED,
            "acme/two",
            read_cohere(CHATTED.body, is_sse=True).text,
            sum(read_cohere(CHATTED.body, is_sse=True).usage["billed_units"].values()),
            id="cohere-stream",
        ),
    ],
)
def test_the_caller_reads_what_the_provider_said(
    case: Recording, model: str, text: str, tokens: int
) -> None:
    answer, outcome = called(replayed(case), model=model, stream=case.streamed)
    assert answer.status == 200
    assert answer.text() == text
    assert outcome is Outcome.COMPLETED
    usage = answer.events()[-1]["usage"] if case.streamed else answer.json()["usage"]
    assert usage["total_tokens"] == tokens


def test_an_exception_behind_the_first_token_is_told_in_band() -> None:
    said = event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hi"}})
    steps = [(0.01, said), (0.01, exception("throttlingException", "Too many requests"))]
    answer, outcome = called(lambda _: Script(steps), stream=True)
    assert answer.status == 200
    assert answer.text() == "Hi"
    error = answer.events()[-1]["error"]
    assert error["metadata"]["error_type"] == "rate_limit_exceeded"
    assert outcome is not Outcome.COMPLETED


def test_where_bedrock_refuses_before_the_first_token_cohere_answers() -> None:
    def script(request: UpstreamRequest) -> Script:
        if "amazon.test" in request.url:
            headers = (("x-amzn-errortype", "ThrottlingException"),)
            return Script([(0, b'{"message":"Too many requests"}')], status=429, headers=headers)
        return replayed(CHATTED)(request)

    answer, outcome = called(script, stream=True)
    assert answer.text() == read_cohere(CHATTED.body, is_sse=True).text
    assert outcome is Outcome.COMPLETED
