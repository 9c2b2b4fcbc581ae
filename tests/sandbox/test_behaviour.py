from __future__ import annotations

import json
import math
from dataclasses import replace

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.sandbox.ask import Answer, Ask, AskInvalid, Finish, ToolOffer, ToolRule
from fairlead.sandbox.behaviour import CHAT_MODELS, answer, embedding, flaky_fault
from fairlead.sandbox.faults import Fault
from fairlead.sandbox.words import count, pieces, speak

_CITY = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "minLength": 2},
        "days": {"type": "integer", "minimum": 1},
    },
    "required": ["city", "days"],
    "additionalProperties": False,
}
_TOOLS = (ToolOffer("get_weather", _CITY), ToolOffer("get_time"))


def _ask(model: str = "echo", text: str = "Hello there.", **changes: object) -> Ask:
    return replace(Ask(model=model, text=text, prompt_tokens=count(text)), **changes)


def _text(made: Answer, choice: int = 0) -> str:
    return "".join(made.choices[choice].text)


@given(st.text())
def test_pieces_join_to_the_text_and_are_as_many_as_counted(text: str) -> None:
    assert "".join(pieces(text)) == text
    assert count(text) == len(pieces(text))


@given(st.text("ab é ß\u00a0\x85\n.,_9", max_size=60))
def test_the_fast_count_agrees_for_every_latin_text(text: str) -> None:
    assert count(text) == len(pieces(text))


@given(st.integers(0, 300), st.integers(0, 100), st.booleans())
def test_speech_has_exactly_so_many_tokens(tokens: int, start: int, thinking: bool) -> None:
    assert len(speak(start=start, tokens=tokens, thinking=thinking)) == tokens


@given(
    st.sampled_from(CHAT_MODELS),
    st.text(max_size=100),
    st.integers(1, 50),
    st.lists(st.text(min_size=1, max_size=3), max_size=2),
)
def test_limits_and_counts_hold_for_every_model(
    model: str, text: str, tokens_max: int, stop: list[str]
) -> None:
    ask = _ask(model, text, tokens_max=tokens_max, stop=tuple(stop), tools=_TOOLS)
    made = answer(ask)
    assert made == answer(ask)
    assert made.counts.completion <= tokens_max
    assert made.counts.reasoning <= made.counts.completion
    if not made.choices[0].calls:
        assert not any(word in _text(made) for word in stop)


def test_echo_repeats_and_counts_the_same_both_ways() -> None:
    made = answer(_ask(text="One two, three!"))
    assert _text(made) == "One two, three!"
    assert made.counts.completion == made.counts.prompt


def test_the_limit_ends_a_story_with_length() -> None:
    made = answer(_ask("story", tokens_max=10))
    assert (made.counts.completion, made.choices[0].finish) == (10, Finish.LENGTH)


def test_a_stop_sequence_ends_the_text_before_itself() -> None:
    made = answer(_ask(text="left, right", stop=("xx", ", ri")))
    assert _text(made) == "left"
    assert made.choices[0].finish is Finish.STOP_SEQUENCE
    assert made.choices[0].stopped_by == ", ri"


def test_the_seed_chooses_the_story_and_choices_differ() -> None:
    first, again, other = (answer(_ask("story", seed=seed, choices=2)) for seed in (1, 1, 2))
    assert first == again
    assert _text(first) != _text(other)
    assert _text(first) != _text(first, 1)


def test_more_effort_is_more_reasoning_and_none_is_none() -> None:
    efforts = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
    tokens = [answer(_ask("reasoner", effort=effort)).counts.reasoning for effort in efforts]
    assert tokens[0] == 0
    assert tokens == sorted(set(tokens))


def test_a_name_that_is_not_ours_reasons_only_if_it_is_asked_to() -> None:
    for asked, reasons in ((None, False), ("none", False), ("low", True)):
        made = answer(_ask("some-model", effort=asked))
        assert (made.counts.reasoning > 0) is reasons
        assert (_text(made) == "Hello there.") is not reasons


def test_a_budget_bounds_reasoning() -> None:
    assert answer(_ask("reasoner", reasoning_tokens_max=20)).counts.reasoning == 20


def test_reasoning_that_uses_up_the_limit_leaves_no_answer() -> None:
    made = answer(_ask("reasoner", effort="high", tokens_max=30))
    assert (made.counts.reasoning, _text(made), made.choices[0].finish) == (30, "", Finish.LENGTH)


def test_the_first_tool_is_called_with_arguments_that_fit() -> None:
    made = answer(_ask("tools", tools=_TOOLS))
    (call,) = made.choices[0].calls
    jsonschema.validate(json.loads("".join(call.arguments)), _CITY)
    assert (call.name, made.choices[0].finish) == ("get_weather", Finish.TOOL_CALLS)


def test_tools_named_in_the_text_are_called_together_unless_forbidden() -> None:
    text = "use get_weather and get_time"
    together = answer(_ask("tools", text, tools=_TOOLS)).choices[0].calls
    assert [call.name for call in together] == ["get_weather", "get_time"]
    alone = answer(_ask("tools", text, tools=_TOOLS, tools_parallel=False)).choices[0].calls
    assert [call.name for call in alone] == ["get_weather"]


@pytest.mark.parametrize("model", CHAT_MODELS)
def test_every_model_calls_a_forced_tool(model: str) -> None:
    forced = _ask(model, tools=_TOOLS, tool_rule=ToolRule.REQUIRED, tool_forced="get_time")
    assert [call.name for call in answer(forced).choices[0].calls] == ["get_time"]


def test_once_the_tools_answered_the_model_reports_in_words() -> None:
    made = answer(_ask("tools", tools=_TOOLS, results=("22 degrees",)))
    assert not made.choices[0].calls
    assert "22 degrees" in _text(made)


def test_forbidden_tools_are_not_called() -> None:
    assert not answer(_ask("tools", tools=_TOOLS, tool_rule=ToolRule.NONE)).choices[0].calls


@pytest.mark.parametrize("model", CHAT_MODELS)
def test_every_model_fills_in_a_schema(model: str) -> None:
    jsonschema.validate(json.loads(_text(answer(_ask(model, schema=_CITY)))), _CITY)


def test_any_object_will_do_without_a_schema() -> None:
    assert json.loads(_text(answer(_ask(schema=True)))) == {}


@pytest.mark.parametrize(
    "ask",
    [
        _ask(choices=0),
        _ask(choices=1000),
        _ask(tools=_TOOLS, tool_rule=ToolRule.REQUIRED, tool_forced="other"),
        _ask("embed"),
    ],
)
def test_impossible_requests_are_refused(ask: Ask) -> None:
    with pytest.raises(AskInvalid):
        answer(ask)


def test_a_foreign_model_behaves_as_the_request_suggests() -> None:
    assert _text(answer(_ask("gpt-4o"))) == "Hello there."
    assert answer(_ask("gpt-4o", tools=_TOOLS)).choices[0].calls
    assert answer(_ask("o3-mini", effort="low")).counts.reasoning > 0


def test_directives_decide_length_reasoning_and_cache() -> None:
    fault = Fault(tokens=7, reasoning_tokens=5, cached_tokens=2)
    counts = answer(_ask(fault=fault)).counts
    assert (counts.completion, counts.reasoning, counts.cached) == (12, 5, 2)
    assert answer(_ask(fault=Fault(empty=True))).counts.completion == 0


@pytest.mark.parametrize("seed", range(5))
def test_flaky_fails_in_every_way_and_always_recovers(seed: int) -> None:
    faults = [flaky_fault(turn, seed) for turn in range(400)]
    assert {fault.status for fault in faults} == {None, 429, 500}
    assert any(fault.cut_after_events for fault in faults)
    assert all(fault == Fault() for fault in faults[1::2])
    assert faults == [flaky_fault(turn, seed) for turn in range(400)]


@given(st.text(max_size=80), st.integers(1, 300))
def test_embeddings_are_unit_vectors_of_the_size_asked_for(text: str, dimensions: int) -> None:
    vector, tokens = embedding(text, dimensions)
    assert len(vector) == dimensions
    assert math.hypot(*vector) == pytest.approx(1)
    assert tokens >= 1
    assert (vector, tokens) == embedding(text, dimensions)


def test_texts_that_share_words_are_closer_than_strangers() -> None:
    def likeness(a: str, b: str) -> float:
        return (
            math.sumprod(*(embedding(t)[0] for t in (a, b)))
            if hasattr(math, "sumprod")
            else sum(x * y for x, y in zip(embedding(a)[0], embedding(b)[0], strict=True))
        )

    assert (
        likeness("the grey boat", "a grey boat")
        > likeness("the grey boat", "money laundering") + 0.3
    )
