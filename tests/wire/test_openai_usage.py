"""Whatever a provider's arithmetic, our buckets are disjoint and add up to its total."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fairlead.core.money import NanoUSD
from fairlead.core.pricing import Charge
from fairlead.core.usage import Usage
from fairlead.wire.openai_usage import read_cost_usd, read_usage, written_usage
from tests.recordings import load, names

COUNTS = st.integers(0, 1_000_000)
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.text(max_size=5),
    st.floats(),
    st.integers(),
    st.lists(st.integers()),
)
NAMES = st.sampled_from(
    [
        "prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "prompt_tokens_details",
        "completion_tokens_details", "reasoning_tokens", "audio_tokens", "cost", "server_tool_use",
    ]
)  # fmt: skip


# A usage object in recorded bytes, with one level of details at most.
FLAT_USAGE = re.compile(rb'"usage": ?(\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\})')
# Small, so that sums often agree, and often just do not; seldom odd.
SMALL = st.sampled_from([0, 1, 2, 3, 4] * 4 + [2.0, -1, True, None])


def _some_of(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, SMALL))


DOCUMENTED = st.fixed_dictionaries(
    {"prompt_tokens": st.integers(0, 4), "completion_tokens": st.integers(0, 4)},
    optional={
        "prompt_tokens_details": _some_of("cached_tokens", "audio_tokens"),
        "completion_tokens_details": _some_of(
            "reasoning_tokens", "audio_tokens", "accepted_prediction_tokens",
            "rejected_prediction_tokens",
        ),
    },
)  # fmt: skip


def _agrees_with_the_long_way(reported: dict[str, Any]) -> bool:
    # A field that nobody knows means nothing, but keeps usage from being read the short way.
    return read_usage(reported) == read_usage({**reported, "unknown": 1})


@example(
    {
        "prompt_tokens": 1,
        "completion_tokens": 0,
        "prompt_tokens_details": {"cached_tokens": 1, "audio_tokens": 1},
    },
    0,
)
@given(DOCUMENTED, st.sampled_from([0, 0, 0, 1, -1]))
def test_documented_usage_reads_the_same_the_short_way(
    reported: dict[str, Any], off_by: int
) -> None:
    reported["total_tokens"] = reported["prompt_tokens"] + reported["completion_tokens"] + off_by
    assert _agrees_with_the_long_way(reported)


def test_recorded_usage_reads_the_same_the_short_way() -> None:
    reported = [
        msgspec.json.decode(match)
        for provider in names()
        for case in load(provider)
        for match in FLAT_USAGE.findall(case.body)
    ]
    assert len(reported) > 50
    assert all(_agrees_with_the_long_way(usage) for usage in reported)


def test_cached_tokens_are_inside_the_prompt() -> None:
    usage = read_usage(
        {
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "total_tokens": 120,
            "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
        }
    )
    assert usage is not None
    assert (usage.prompt, usage.cache_read, usage.cache_write) == (10, 60, 30)


def test_reasoning_beside_the_completion_is_added_to_it() -> None:
    """xAI's way: only the total tells."""
    usage = read_usage(
        {
            "prompt_tokens": 10,
            "completion_tokens": 31,
            "total_tokens": 331,
            "completion_tokens_details": {"reasoning_tokens": 290},
        }
    )
    assert usage is not None
    assert (usage.completion, usage.reasoning) == (31, 290)


def test_reasoning_inside_the_completion_is_taken_out_of_it() -> None:
    usage = read_usage(
        {
            "prompt_tokens": 10,
            "completion_tokens": 300,
            "total_tokens": 310,
            "completion_tokens_details": {"reasoning_tokens": 290},
        }
    )
    assert usage is not None
    assert (usage.completion, usage.reasoning) == (10, 290)


def test_tokens_that_only_the_total_knows_were_thought() -> None:
    usage = read_usage({"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109})
    assert usage is not None
    assert (usage.prompt, usage.completion, usage.reasoning) == (35, 12, 62)


def test_audio_beside_the_prompt_is_of_the_prompt() -> None:
    usage = read_usage(
        {
            "prompt_tokens": 9,
            "completion_tokens": 201,
            "total_tokens": 585,
            "prompt_tokens_details": {"audio_tokens": 375},
        }
    )
    assert usage is not None
    assert (usage.prompt, usage.prompt_audio, usage.completion_tokens) == (9, 375, 201)


def test_more_cached_than_prompted_is_clamped() -> None:
    usage = read_usage(
        {
            "prompt_tokens": 10,
            "completion_tokens": 1,
            "total_tokens": 11,
            "prompt_tokens_details": {"cached_tokens": 161},
        }
    )
    assert usage is not None
    assert (usage.prompt, usage.cache_read) == (0, 10)


@pytest.mark.parametrize(
    "fields",
    [
        {"cached_tokens": 4},
        {"num_cached_tokens": 4},
        {"prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 6},
        {"prompt_token_details": {"cached_tokens": 4}},
        {"cache_read_input_tokens": 4},
    ],
)
def test_every_spelling_of_cached_is_known(fields: dict[str, Any]) -> None:
    usage = read_usage({"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11, **fields})
    assert usage is not None
    assert (usage.prompt, usage.cache_read) == (6, 4)


def test_nothing_countable_is_no_usage() -> None:
    assert read_usage({"prompt_tokens": None, "cost": 1}) is None


@given(COUNTS, COUNTS, st.one_of(st.none(), COUNTS), COUNTS, COUNTS, COUNTS, COUNTS)
def test_buckets_add_up_to_the_total(
    prompt: int,
    completion: int,
    beside: int | None,
    cached: int,
    written: int,
    audio: int,
    reasoning: int,
) -> None:
    total = None if beside is None else prompt + completion + beside
    usage = read_usage(
        {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": total,
            "prompt_tokens_details": {
                "cached_tokens": cached,
                "cache_write_tokens": written,
                "audio_tokens": audio,
            },
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        }
    )
    assert usage is not None
    if total is not None:
        assert usage.total_tokens == total
    else:
        assert usage.total_tokens >= prompt + completion
    assert min(getattr(usage, name) for name in usage.__struct_fields__ if name != "source") >= 0


@given(st.dictionaries(NAMES, st.one_of(JUNK, COUNTS, st.dictionaries(NAMES, JUNK, max_size=4))))
def test_junk_is_never_a_count(fields: dict[str, Any]) -> None:
    usage = read_usage(fields)
    assert usage is None or 0 <= usage.total_tokens < 10_000_000_000
    cost = read_cost_usd(fields)
    assert cost is None or cost >= 0


@pytest.mark.parametrize(
    ("fields", "cost"),
    [
        ({"cost": 0.001}, 0.001),
        ({"cost": 0}, 0.0),
        ({"cost": {"total_cost": 0.006, "request_cost": 0.005}}, 0.006),
        ({"estimated_cost": 0.5}, 0.5),
        ({"cost": True}, None),
        ({"cost": "1"}, None),
        ({"cost": float("nan")}, None),
        ({}, None),
    ],
)
def test_a_cost_is_a_number_of_dollars(fields: dict[str, Any], cost: float | None) -> None:
    assert read_cost_usd(fields) == cost


def written(usage: Usage, charge: Charge) -> dict[str, object]:
    """As a caller gets it."""
    fields = msgspec.to_builtins(written_usage(usage, charge, is_byok=False))
    assert isinstance(fields, dict)
    return fields


def test_the_documented_object_has_every_field() -> None:
    usage = Usage(
        prompt=1, cache_read=2, cache_write=3, cache_write_1h=4, prompt_audio=5, prompt_image=6,
        prompt_video=7, completion=8, reasoning=9, completion_audio=10, completion_image=11,
        web_searches=12, accepted_prediction=13, rejected_prediction=14,
    )  # fmt: skip
    charge = Charge(NanoUSD(45_000_000), NanoUSD(15_000_000), NanoUSD(30_000_000))
    assert written(usage, charge) == {
        "prompt_tokens": 28,
        "completion_tokens": 38,
        "total_tokens": 66,
        "prompt_tokens_details": {
            "cached_tokens": 2,
            "cache_write_tokens": 7,
            "audio_tokens": 5,
            "image_tokens": 6,
            "video_tokens": 7,
        },
        "completion_tokens_details": {
            "reasoning_tokens": 9,
            "audio_tokens": 10,
            "image_tokens": 11,
            "accepted_prediction_tokens": 13,
            "rejected_prediction_tokens": 14,
        },
        "cost": 0.045,
        "is_byok": False,
        "cost_details": {
            "upstream_inference_cost": None,
            "upstream_inference_prompt_cost": 0.015,
            "upstream_inference_completions_cost": 0.03,
        },
        "server_tool_use": {
            "tool_calls_requested": 12,
            "tool_calls_executed": 12,
            "web_search_requests": 12,
        },
        "server_tool_use_details": {
            "tool_calls_requested": 12,
            "tool_calls_executed": 12,
            "web_search_requests": 12,
        },
    }


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_what_we_write_we_read_back(prompt: int, cached: int, answer: int, thought: int) -> None:
    usage = Usage(prompt=prompt, cache_read=cached, completion=answer, reasoning=thought)
    charge = Charge(NanoUSD(0), NanoUSD(0), NanoUSD(0))
    assert read_usage(written(usage, charge)) == usage
