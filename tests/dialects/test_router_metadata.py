"""Where callers who asked how they were routed find it, in each format; and that nobody else does."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

import pytest

from fairlead.core.chat import ChatEvent, Finished, FinishReason, TextDelta
from fairlead.core.errors import FailureKind, Problem, UpstreamFailure
from fairlead.core.ids import GenerationId
from fairlead.core.money import NanoUSD
from fairlead.core.pricing import Charge
from fairlead.core.usage import Usage
from fairlead.dialects.anthropic_messages import AnthropicMessages
from fairlead.dialects.base import AnswerHead, Closing, Dialect
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.dialects.openai_completions import OpenAICompletions
from fairlead.dialects.openai_responses import OpenAIResponses

NAME: Final = "openrouter_metadata"
METADATA: Final = {"requested": "openai/o1", "strategy": "direct", "attempt": 1}
HEAD: Final = AnswerHead(GenerationId("gen-1"), "openai/o1", "OpenAI", 1_700_000_000)
CHARGE: Final = Charge(NanoUSD(3), NanoUSD(1), NanoUSD(2))
ASKED: Final = Closing(Usage(prompt=3, completion=4), CHARGE, metadata=METADATA)
NOT_ASKED: Final = Closing(Usage(prompt=3, completion=4), CHARGE)
BROKEN: Final = UpstreamFailure("It broke off.", kind=FailureKind.CUT).problem()
BROKEN_ASKED: Final = replace(BROKEN, router_metadata=METADATA)

DIALECTS: Final[list[Dialect]] = [
    OpenAIChat(),
    OpenAICompletions(),
    OpenAIResponses(),
    AnthropicMessages(),
]
pytestmark = pytest.mark.parametrize("dialect", DIALECTS, ids=[one.name for one in DIALECTS])


def an_answer() -> list[ChatEvent]:
    return [TextDelta("Hello"), Finished(FinishReason.STOP)]


def payloads(written: bytes) -> list[dict[str, Any]]:
    """What the events of a stream say, in their order."""
    lines = [line for line in written.splitlines() if line.startswith(b"data: {")]
    return [json.loads(line[6:]) for line in lines]


def told_in(payload: dict[str, Any]) -> object:
    """The metadata of one event; in the Responses format it is a field of the response."""
    return payload.get(NAME) or payload.get("response", {}).get(NAME)


def streamed(dialect: Dialect, closing: Closing) -> list[dict[str, Any]]:
    stream = dialect.stream(HEAD)
    return payloads(stream.feed(an_answer()) + stream.close(closing))


def broken(dialect: Dialect, problem: Problem, closing: Closing | None) -> list[dict[str, Any]]:
    stream = dialect.stream(HEAD)
    return payloads(stream.feed([TextDelta("Hel")]) + stream.fail(problem, closing))


def test_a_whole_answer_tells_it_at_the_top(dialect: Dialect) -> None:
    assert json.loads(dialect.whole(HEAD, an_answer(), ASKED))[NAME] == METADATA


def test_a_stream_tells_it_in_its_last_event_alone(dialect: Dialect) -> None:
    *others, last = streamed(dialect, ASKED)
    assert told_in(last) == METADATA
    assert not any(told_in(payload) for payload in others)


def test_an_error_instead_of_an_answer_tells_it_beside_the_error(dialect: Dialect) -> None:
    told = json.loads(dialect.problem(BROKEN_ASKED, HEAD.generation))
    assert told[NAME] == METADATA
    assert NAME not in told["error"]


@pytest.mark.parametrize("closing", [None, NOT_ASKED, ASKED])
def test_a_stream_that_broke_off_tells_that_of_its_error(
    dialect: Dialect, closing: Closing | None
) -> None:
    assert told_in(broken(dialect, BROKEN_ASKED, closing)[-1]) == METADATA
    assert not any(told_in(payload) for payload in broken(dialect, BROKEN, closing))


def test_a_whole_answer_that_broke_off_tells_that_of_its_error(dialect: Dialect) -> None:
    told = json.loads(dialect.partial(HEAD, [TextDelta("Hel")], BROKEN_ASKED, ASKED))
    assert told[NAME] == METADATA


def test_nobody_else_is_told(dialect: Dialect) -> None:
    written = [
        dialect.whole(HEAD, an_answer(), NOT_ASKED),
        dialect.partial(HEAD, [TextDelta("Hel")], BROKEN, NOT_ASKED),
        dialect.problem(BROKEN, HEAD.generation),
        *(json.dumps(payload).encode() for payload in streamed(dialect, NOT_ASKED)),
    ]
    assert not any(NAME.encode() in one for one in written)
