"""Recorded answers in the Messages format, through its decoder and back to callers of the same format.

The official client reads what the provider wrote and what we write, and must find the same message, but for
what is ours: id, model, provider and usage.
"""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.core.answer import plain
from fairlead.core.chat import ChatEvent, UsageReported
from fairlead.core.ids import GenerationId
from fairlead.core.money import NanoUSD
from fairlead.core.pricing import Charge
from fairlead.core.usage import Usage
from fairlead.dialects.anthropic_messages import AnthropicMessages
from fairlead.dialects.base import AnswerHead, Closing
from fairlead.providers.anthropic_decoder import AnthropicStreamDecoder, AnthropicWholeDecoder
from tests.dialects.anthropic_client import assert_official_order, read_stream, read_whole
from tests.recordings import Recording, load_native

DIALECT = AnthropicMessages()
HEAD = AnswerHead(GenerationId("gen-1"), "author/model", "Somebody", 1_700_000_000)
CHARGE = Charge(NanoUSD(3), NanoUSD(1), NanoUSD(2))
ANSWERS = [
    case
    for case in load_native("anthropic")
    if case.status == 200 and "count_tokens" not in case.path
]
STREAMS = [case for case in ANSWERS if case.is_sse]
# Kept in a stream, besides what its own blocks say.
SAME = ("content", "stop_reason", "stop_sequence", "stop_details", "container")


def by_id(cases: list[Recording]) -> list[object]:
    return [pytest.param(case, id=case.id) for case in cases]


def events_of(case: Recording) -> list[ChatEvent]:
    decoder = AnthropicStreamDecoder() if case.is_sse else AnthropicWholeDecoder()
    return decoder.feed(case.body) + decoder.finish()


def closing_of(events: list[ChatEvent]) -> Closing:
    reports = [event for event in plain(events) if isinstance(event, UsageReported)]
    return Closing(reports[-1].usage if reports else Usage(), CHARGE)


def fields_of(message: Any, *names: str) -> dict[str, Any]:
    # Blocks newer than the client are typed as some other; their fields are kept.
    told = message.model_dump(exclude_none=True, warnings=False)
    for block in told["content"]:
        block.pop("caller", None)  # documented, and left out by some versions of the format
    return {name: told.get(name) for name in names}


def test_there_is_something_to_check() -> None:
    assert len(STREAMS) > 70
    assert len(ANSWERS) - len(STREAMS) > 300


@pytest.mark.parametrize("case", by_id(ANSWERS))
def test_an_answer_comes_through_as_it_was_written(case: Recording) -> None:
    events = events_of(case)
    closing = closing_of(events)
    if case.is_sse:
        encoder = DIALECT.stream(HEAD)
        written = b"".join(encoder.feed([event]) for event in events) + encoder.close(closing)
        assert_official_order(written)
        theirs, ours = read_stream(case.body), read_stream(written)
    else:
        written = DIALECT.whole(HEAD, events, closing)
        theirs, ours = read_whole(case.body), read_whole(written)
    assert fields_of(ours, *SAME) == fields_of(theirs, *SAME)
    assert (ours.id, ours.model, ours.provider) == ("gen-1", "author/model", "Somebody")
    assert ours.usage.output_tokens == closing.usage.completion_tokens


@pytest.mark.parametrize("case", by_id(ANSWERS))
def test_its_events_alone_tell_the_same_to_a_caller(case: Recording) -> None:
    """As when the same model is served in another format: what the vocabulary holds is not lost."""
    events = events_of(case)
    closing = closing_of(events)
    bare: list[ChatEvent] = list(plain(events))
    encoder = DIALECT.stream(HEAD)
    written = encoder.feed(bare) + encoder.close(closing)
    assert_official_order(written)
    theirs = (read_stream if case.is_sse else read_whole)(case.body)
    for ours in (read_stream(written), read_whole(DIALECT.whole(HEAD, bare, closing))):
        assert said(ours) == said(theirs)
        assert ours.stop_reason == theirs.stop_reason


def said(message: Any) -> list[tuple[Any, ...]]:
    """The blocks that every format knows; neighbouring texts are one."""
    blocks: list[tuple[Any, ...]] = []
    for block in message.content:
        match block.type:
            case "text" if block.text:
                if blocks and blocks[-1][0] == "text":
                    blocks[-1] = ("text", blocks[-1][1] + block.text)
                else:
                    blocks.append(("text", block.text))
            case "thinking":
                blocks.append(("thinking", block.thinking, block.signature))
            case "redacted_thinking":
                blocks.append(("redacted_thinking", block.data))
            case "tool_use":
                blocks.append(("tool_use", block.id, block.name, block.input))
            case _:
                pass
    return blocks
