"""Plain answers are read the short way; nobody must be able to tell."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.chat import PlainEvent
from fairlead.core.errors import UpstreamFailure
from fairlead.wire.openai_chat import AnswerReader
from fairlead.wire.openai_plain import read_plain
from tests.recordings import load, names

PLAIN: dict[str, Any] = {
    "id": "x",
    "object": "chat.completion",
    "created": 1_760_000_000,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Hello",
                "refusal": None,
                "annotations": [],
            },
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {
        "prompt_tokens": 4,
        "completion_tokens": 3,
        "total_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 1, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    },
    "service_tier": "default",
    "system_fingerprint": None,
}


def the_long_way(body: bytes) -> tuple[dict[str, object], tuple[PlainEvent, ...]]:
    fields = msgspec.json.decode(body)
    return fields, AnswerReader().whole(fields)


def assert_nobody_can_tell(answer: dict[str, Any]) -> bool:
    """Whether it was read the short way."""
    body = msgspec.json.encode(answer)
    short = read_plain(body)
    if short is not None:
        assert short == the_long_way(body)
    return short is not None


def test_most_recorded_answers_of_text_are_plain() -> None:
    shapes = [
        msgspec.json.decode(case.body)
        for name in ("openai", "groq")
        for case in load(name)
        if case.status == 200 and not case.is_sse and case.body.startswith(b"{")
    ]
    texts = [shape for shape in shapes if _is_text(shape)]
    assert len(texts) > 50
    assert sum(map(assert_nobody_can_tell, texts)) > 0.9 * len(texts)


def _is_text(shape: dict[str, Any]) -> bool:
    message = shape.get("choices", [{}])[0].get("message", {})
    return bool(message.get("content")) and not (message.keys() & {"tool_calls", "reasoning"})


def test_recorded_answers_read_the_same_the_short_way() -> None:
    for name in names():
        for case in load(name):
            short = read_plain(case.body)
            if short is not None:
                assert short == the_long_way(case.body)


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-1, 9), st.floats(0, 9), st.sampled_from(["", "a", "error"]),
    st.just([]), st.just({}), st.just([{}]),
)  # fmt: skip
FIELDS = (
    *((name,) for name in (*PLAIN, "x_groq", "usage_breakdown", "error", "citations", "meta")),
    *(("choices", 0, name) for name in ("index", "logprobs", "finish_reason", "delta", "text")),
    *(("choices", 0, name) for name in ("native_finish_reason", "usage", "error")),
    *(
        ("choices", 0, "message", name)
        for name in (
            "role", "content", "refusal", "annotations", "tool_calls", "function_call", "audio",
            "reasoning", "reasoning_content", "reasoning_details", "images",
        )
    ),
    *(("usage", name) for name in (*PLAIN["usage"], "cost", "queue_time", "cached_tokens")),
    ("usage", "prompt_tokens_details", "cached_tokens"),
    ("usage", "completion_tokens_details", "reasoning_tokens"),
    ("x_groq", "id"),
    ("x_groq", "usage"),
)  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(FIELDS), ODD | st.just(...)), max_size=3))
def test_any_answer_reads_the_same_the_short_way(
    changes: list[tuple[tuple[str | int, ...], Any]],
) -> None:
    """Changes that are an ellipsis take the field away."""
    answer = msgspec.json.decode(msgspec.json.encode(PLAIN))
    for path, value in changes:
        holder = answer
        for name in path[:-1]:
            if isinstance(holder, dict) and name == "x_groq":
                holder.setdefault(name, {})
            holder = holder[name] if _has(holder, name) else None
        if not isinstance(holder, dict):
            continue
        if value is ...:
            holder.pop(path[-1], None)
        else:
            holder[path[-1]] = value
    try:
        assert_nobody_can_tell(answer)
    except UpstreamFailure as failure:
        raise AssertionError("the short way reads what the long way refuses") from failure


def _has(holder: Any, name: str | int) -> bool:
    if isinstance(holder, list):
        return isinstance(name, int) and name < len(holder)
    return isinstance(holder, dict) and name in holder


def test_a_plain_answer_is_read_the_short_way() -> None:
    assert assert_nobody_can_tell(PLAIN)
