"""The common chunks are read in few steps; they mean what the general reader makes of them."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from fairlead.core.chat import PlainEvent, ReasoningDelta, TextDelta, ToolCallDelta
from fairlead.wire.openai_chat import AnswerReader
from fairlead.wire.openai_pieces import CallState, ChoiceState, piece_of

CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
OPENING: dict[str, Any] = {
    "id": "x",
    "choices": [{"index": 0, "delta": {"role": "assistant", "tool_calls": [CALL]}}],
}

TEXTS = st.sampled_from([None, "", "a", "two words", 1, ["a"], {"text": "a"}])


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any of these fields, each there or not."""
    return st.fixed_dictionaries({}, optional=fields)


FUNCTIONS = some(arguments=TEXTS, name=st.sampled_from([None, "", "f"]))
PIECES = some(
    index=st.sampled_from([0, 1, None, True]),
    function=st.one_of(FUNCTIONS, st.none()),
    type=st.sampled_from(["function", None, "custom"]),
    id=st.sampled_from(["", None, "call_1", "call_2"]),
    more=st.just(1),
)
DELTAS = some(
    role=st.sampled_from(["assistant", "model", None]),
    content=st.sampled_from([None, "", "a"]),
    reasoning=TEXTS,
    reasoning_content=TEXTS,
    tool_calls=st.one_of(st.lists(PIECES, max_size=2), st.none()),
    channel=st.just("final"),
)
CHUNKS = st.builds(
    lambda delta, choice, envelope: {
        "id": "x",
        **envelope,
        "choices": [{"index": 0, "delta": delta, **choice}],
    },
    DELTAS,
    some(
        finish_reason=st.sampled_from([None, "", "stop"]),
        native_finish_reason=st.none(),
        logprobs=st.none(),
        index=st.sampled_from([0, 1, None]),
    ),
    some(
        usage=st.none(),
        obfuscation=st.just("abc"),
        meta=st.sampled_from([{"usage": {"usd_spent": 1}}, {}]),
        more=st.just(1),
    ),
)


def reader() -> AnswerReader:
    """One whose answer has begun, with a choice and a call."""
    begun = AnswerReader()
    begun.chunk(deepcopy(OPENING))
    return begun


def read_in_general(fields: dict[str, Any]) -> tuple[tuple[PlainEvent, ...], dict[str, Any], bool]:
    """What the reader makes of it when it may not read it in short: something of Groq's is in it."""
    with_more = {**deepcopy(fields), "x_groq": {}}
    used = reader()
    events = used.chunk(with_more)
    del with_more["x_groq"]
    return events, with_more, used.has_content


def chunk(**delta: Any) -> dict[str, Any]:
    return {"id": "x", "choices": [{"index": 0, "delta": delta}]}


@given(CHUNKS)
@example(chunk(reasoning_content="a", content=None, role="model"))
@example(chunk(reasoning="a", reasoning_content="b"))
@example(chunk(tool_calls=[{"index": 0, "type": "function", "function": {"arguments": "a"}}]))
def test_a_chunk_means_the_same_read_in_short_and_in_general(fields: dict[str, Any]) -> None:
    state = ChoiceState()
    state.by_upstream_index[0] = CallState(0, "call_1")
    state.by_upstream_index[0].named = True
    state.calls.append(state.by_upstream_index[0])
    untouched = deepcopy(fields)
    found = piece_of(fields, fields["choices"][0], {0: state})
    if found is None:
        assert fields == untouched
        return
    events, normalised, has_content = read_in_general(untouched)
    assert (found, fields, state.has_content) == (events, normalised, has_content)


def test_pieces_of_text_reasoning_and_arguments_are_read_in_short() -> None:
    call = CallState(0, "call_1")
    state = ChoiceState()
    state.by_upstream_index[3] = call
    piece = {"index": 3, "function": {"arguments": '{"a'}}
    expected = {
        TextDelta: chunk(content="a"),
        ReasoningDelta: chunk(role="assistant", content="", reasoning_content="a"),
        ToolCallDelta: chunk(content=None, tool_calls=[piece]),
    }
    for kind, fields in expected.items():
        found = piece_of(fields, fields["choices"][0], {0: state})
        assert found is not None
        assert isinstance(found[0], kind)
    assert piece == {"index": 0, "function": {"arguments": '{"a'}}  # by our count
