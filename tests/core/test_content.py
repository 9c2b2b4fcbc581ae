"""What is kept of a call, and its bounds."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.chat import ReasoningDelta, TextChunk, TextDelta
from fairlead.core.content import ANSWER_CHARACTERS_MAX, INPUT_BYTES_MAX, Answer, Content, asked
from fairlead.core.ids import AccountId, GenerationId, WorkspaceId
from fairlead.dialects.anthropic_messages import AnthropicMessages
from fairlead.dialects.embeddings import Embeddings
from fairlead.dialects.openai_chat import OpenAIChat
from fairlead.dialects.openai_completions import OpenAICompletions
from fairlead.dialects.openai_responses import OpenAIResponses
from fairlead.dialects.rerank import Rerank

MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
]


def messages_of(dialect: object, body: dict[str, object]) -> object:
    kept, prompt = asked(dialect.decode(json.dumps({"model": "m"} | body).encode()))
    assert prompt is None
    return json.loads(kept)


def test_messages_are_kept_as_they_were_sent() -> None:
    assert messages_of(OpenAIChat(), {"messages": MESSAGES}) == MESSAGES


def test_other_dialects_are_kept_in_the_shapes_of_chat() -> None:
    said = {"role": "user", "content": "Hi"}
    found = messages_of(
        AnthropicMessages(), {"messages": [said], "system": "Be brief.", "max_tokens": 5}
    )
    assert [one["role"] for one in found] == ["system", "user"]
    assert "Be brief." in json.dumps(found[0])
    found = messages_of(OpenAIResponses(), {"input": "Hi", "instructions": "Be brief."})
    assert "Hi" in json.dumps(found)


def test_what_has_no_messages_is_a_prompt() -> None:
    for dialect, body, expected in (
        (OpenAICompletions(), {"prompt": "Once"}, "Once"),
        (OpenAICompletions(), {"prompt": ["Once", "Twice"]}, '["Once","Twice"]'),
        (Embeddings(), {"input": ["a", "b"]}, "a\nb"),
        (Rerank(), {"query": "which", "documents": ["a"]}, "which"),
    ):
        request = dialect.decode(json.dumps({"model": "m"} | body).encode())
        assert asked(request) == (None, expected)


def test_of_a_long_conversation_the_last_messages_are_kept() -> None:
    long = "x" * (INPUT_BYTES_MAX // 3)
    sent = [{"role": "user", "content": f"{number} {long}"} for number in range(5)]
    found = messages_of(OpenAIChat(), {"messages": sent})
    assert found == [
        {"role": "system", "content": "[3 earlier messages are too long to keep]"},
        *sent[3:],
    ]
    assert len(json.dumps(found)) < INPUT_BYTES_MAX + 1000
    alone = messages_of(OpenAIChat(), {"messages": [{"role": "user", "content": long * 4}]})
    assert alone == [{"role": "system", "content": "[1 earlier messages are too long to keep]"}]


@given(st.lists(st.integers(0, ANSWER_CHARACTERS_MAX), max_size=4))
def test_of_a_long_answer_the_beginning_is_kept(lengths: list[int]) -> None:
    answer = Answer()
    answer.watch([TextChunk("x" * length, b"") for length in lengths])
    kept = answer.completion or ""
    total = sum(lengths)
    if total <= ANSWER_CHARACTERS_MAX:
        assert kept == "x" * total
    else:
        assert kept == "x" * ANSWER_CHARACTERS_MAX + "[...]"


def test_text_and_thoughts_are_kept_apart() -> None:
    answer = Answer()
    assert (answer.completion, answer.reasoning) == (None, None)
    answer.watch([ReasoningDelta("hm"), TextDelta("yes"), TextDelta("!")])
    assert (answer.completion, answer.reasoning) == ("yes!", "hm")


def test_a_content_is_shown_by_no_repr() -> None:
    content = Content(
        GenerationId("gen-1"),
        AccountId("a"),
        WorkspaceId("w"),
        0,
        b"canary",
        "canary",
        "canary",
        None,
    )
    assert repr(content) == "Content(gen-1)"
    assert content.size_bytes > 18
