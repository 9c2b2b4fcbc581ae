"""A simulated model goes on with its own answer, in every format, and is as slow as it is told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.sandbox.faults import Fault, parse_fault
from fairlead.sandbox.perform import Incoming, Performance, Situation, respond

FORMATS = ("openai", "anthropic", "gemini")
GO_ON = "Your last message was cut off. Begin with these words:\n"


def performed(form: str, model: str, said: Sequence[str], *, number: int = 0) -> Performance:
    """said: by the user and the model in turn."""
    texts = [(("user", "assistant")[place % 2], text) for place, text in enumerate(said)]
    body: dict[str, Any]
    match form:
        case "openai":
            path = "/v1/chat/completions"
            messages = [{"role": role, "content": text} for role, text in texts]
            body = {"model": model, "messages": messages}
        case "anthropic":
            path = "/v1/messages"
            messages = [{"role": role, "content": text} for role, text in texts]
            body = {"model": model, "messages": messages, "max_tokens": 1000}
        case _:
            path = f"/v1beta/models/{model}:generateContent"
            contents = [
                {"role": "model" if role == "assistant" else role, "parts": [{"text": text}]}
                for role, text in texts
            ]
            body = {"contents": contents}
    return respond(
        Incoming("POST", path, {}, json.dumps(body).encode()),
        Situation(number=number, run="t", created_s=0),
    )


def answered(form: str, model: str, *said: str) -> str:
    """The text of a whole answer."""
    made = performed(form, model, said)
    assert made.status == 200
    answer = json.loads(b"".join(chunk for _, chunk in made.chunks))
    match form:
        case "openai":
            text = answer["choices"][0]["message"]["content"]
        case "anthropic":
            text = "".join(b["text"] for b in answer["content"] if b["type"] == "text")
        case _:
            parts = answer["candidates"][0]["content"]["parts"]
            text = "".join(part["text"] for part in parts if not part.get("thought"))
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("model", ["story", "echo", "reasoner"])
def test_a_begun_answer_is_gone_on_with_to_the_same_end(form: str, model: str) -> None:
    question = "Tell me of the harbour, and of the boats in it."
    whole = answered(form, model, question)
    for cut in range(1, len(whole), 3):
        said, rest = whole[:cut], whole[cut:]
        assert answered(form, model, question, said) == rest
        assert answered(form, model, question, said, "It was cut off.") == rest
        end = said[-20:]
        if end.strip() == end:
            assert answered(form, model, question, said, GO_ON + end) == end + rest


@pytest.mark.parametrize("form", FORMATS)
def test_a_script_decides_how_much_is_repeated(form: str) -> None:
    question = "twin:repeat=7 Tell me of the harbour."
    whole = answered(form, "echo", question)
    assert answered(form, "echo", question, whole[:30]) == whole[23:]
    assert answered(form, "echo", question, whole[:30], GO_ON + whole[20:30]) == whole[23:]
    assert answered(form, "echo", question, whole[:3]) == whole


@pytest.mark.parametrize("form", FORMATS)
def test_other_conversations_are_answered_as_ever(form: str) -> None:
    assert answered(form, "echo", "Hello", "Hello", "And now?") == "And now?"
    assert answered(form, "echo", "Hello", "Something else") == "Hello"
    assert answered(form, "echo", "Hello", "Something else", "It was cut off.") == "Hello"


def test_a_prefill_leaves_no_place_for_thoughts() -> None:
    def thoughts(*said: str) -> bool:
        made = performed("openai", "reasoner", said)
        body = json.loads(b"".join(chunk for _, chunk in made.chunks))
        return "reasoning_content" in body["choices"][0]["message"]

    assert thoughts("Hello")
    assert not thoughts("Hello", "I thought")
    assert thoughts("Hello", "I thought", "It was cut off.")


# --- pace ---------------------------------------------------------------------------------------------


def test_every_so_many_calls_are_slow_to_begin() -> None:
    model = "echo!first_ms=20;slow_first_ms=2000;slow_every=4"
    starts = [
        performed("openai", model, ["Hello"], number=number).head_after_s for number in range(8)
    ]
    assert starts == [0.02, 0.02, 0.02, 2.0] * 2


@given(st.integers(0, 2**32))
def test_a_share_of_calls_is_slow_by_seed(seed: int) -> None:
    fault = parse_fault("first_ms=20;slow_first_ms=2000;slow_percent=10")
    slow = [fault.at_call(number, seed).delay_first_ms == 2000 for number in range(2000)]
    assert 0.06 < sum(slow) / len(slow) < 0.14
    assert slow == [fault.at_call(number, seed).delay_first_ms == 2000 for number in range(2000)]


def test_without_a_script_all_calls_have_the_same_pace() -> None:
    assert Fault(delay_first_ms=5).at_call(3, 0) == Fault(delay_first_ms=5)
    assert Fault(slow_first_ms=5).at_call(3, 0).delay_first_ms is None
    assert Fault(slow_first_ms=5, slow_percent=0).at_call(3, 0).delay_first_ms is None
    assert Fault(slow_first_ms=5, slow_percent=100).at_call(3, 0).delay_first_ms == 5
