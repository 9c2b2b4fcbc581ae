"""Counts in the Messages format: disjoint buckets that add up to the provider's totals, and back again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.chat import FinishReason
from fairlead.core.money import NanoUSD
from fairlead.core.pricing import Charge
from fairlead.core.usage import Usage
from fairlead.wire.anthropic_stops import finish_reason_of, stop_reason_of
from fairlead.wire.anthropic_usage import (
    count_fields,
    merged,
    read_usage,
    service_tier_of,
    usage_fields,
)
from tests.recordings import load_native

COUNTS = st.integers(0, 1_000_000)
JUNK = st.recursive(
    st.none() | st.booleans() | st.text(max_size=3) | st.floats() | st.integers(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
)
NAMES = st.sampled_from(
    [
        "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
        "cache_creation", "output_tokens_details", "server_tool_use", "iterations", "service_tier",
        "ephemeral_1h_input_tokens", "thinking_tokens", "speed",
    ]
)  # fmt: skip
REPORTS = [
    report
    for case in load_native("anthropic")
    if case.status == 200 and not case.streamed
    if (report := json.loads(case.body).get("usage")) is not None
]


def test_there_are_many_recorded_reports() -> None:
    assert len(REPORTS) > 300


@pytest.mark.parametrize("report", REPORTS[::7], ids=str)
def test_the_buckets_of_recorded_usage_add_up_to_the_reported_totals(
    report: dict[str, Any],
) -> None:
    usage = read_usage(report)
    assert usage is not None
    cached = report.get("cache_read_input_tokens", 0) + report.get("cache_creation_input_tokens", 0)
    assert usage.prompt_tokens == report["input_tokens"] + cached
    assert usage.completion_tokens == report["output_tokens"]


def test_each_kind_of_token_has_its_bucket() -> None:
    report = {
        "input_tokens": 1,
        "cache_read_input_tokens": 20,
        "cache_creation_input_tokens": 700,
        "cache_creation": {"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 400},
        "output_tokens": 5000,
        "output_tokens_details": {"thinking_tokens": 4000},
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1},
    }
    assert read_usage(report) == Usage(
        prompt=1,
        cache_read=20,
        cache_write=300,
        cache_write_1h=400,
        completion=1000,
        reasoning=4000,
        web_searches=2,
    )


def test_what_the_split_by_time_leaves_out_was_written_for_the_short_time() -> None:
    report = {
        "input_tokens": 10,
        "output_tokens": 1,
        "cache_creation_input_tokens": 12174,
        "cache_creation": {"ephemeral_5m_input_tokens": 291, "ephemeral_1h_input_tokens": 100},
    }
    assert read_usage(report) == Usage(
        prompt=10, completion=1, cache_write=12074, cache_write_1h=100
    )


def test_the_tokens_of_a_compaction_are_added_and_those_of_its_turns_are_not() -> None:
    turn = {"type": "message", "input_tokens": 100, "output_tokens": 10}
    compaction = {"type": "compaction", "input_tokens": 3000, "output_tokens": 500}
    advice = {"type": "advisor_message", "input_tokens": 7, "output_tokens": 7, "model": "other"}
    report = {"input_tokens": 100, "output_tokens": 10, "iterations": [compaction, turn, advice]}
    assert read_usage(report) == Usage(prompt=3100, completion=510)


def test_a_later_count_replaces_an_earlier_one_and_null_does_not() -> None:
    started = {"input_tokens": 17, "output_tokens": 1, "cache_read_input_tokens": 5}
    ended = {"input_tokens": None, "output_tokens": 108, "cache_read_input_tokens": 6}
    assert read_usage(merged(started, ended)) == Usage(prompt=17, cache_read=6, completion=108)
    assert merged(started, None) == started


def test_a_report_without_counts_is_none() -> None:
    assert read_usage({"service_tier": "standard", "input_tokens": None}) is None


@given(st.dictionaries(NAMES, JUNK | st.dictionaries(NAMES, JUNK | COUNTS) | COUNTS))
def test_any_report_gives_counts_or_nothing(report: dict[str, object]) -> None:
    usage = read_usage(report)
    if usage is not None:
        counts = [getattr(usage, name) for name in usage.__struct_fields__ if name != "source"]
        assert min(counts) >= 0


@given(*[COUNTS] * 7)
def test_what_is_written_reads_as_what_it_was(
    prompt: int, read: int, short: int, hour: int, visible: int, thinking: int, searches: int
) -> None:
    usage = Usage(
        prompt=prompt,
        cache_read=read,
        cache_write=short,
        cache_write_1h=hour,
        completion=visible,
        reasoning=thinking,
        web_searches=searches,
    )
    assert read_usage(count_fields(usage)) == usage


def test_costs_are_dollars_beside_the_counts() -> None:
    charge = Charge(
        total=NanoUSD(3_000_000), prompt=NanoUSD(1_000_000), completion=NanoUSD(2_000_000)
    )
    fields = usage_fields(Usage(prompt=1), charge, is_byok=True, service_tier="default")
    assert fields["cost"] == 0.003
    assert fields["is_byok"] is True
    assert fields["service_tier"] == "standard"


@pytest.mark.parametrize(
    ("report", "tier"),
    [
        ({"service_tier": "standard"}, "default"),
        ({"service_tier": "priority"}, "priority"),
        ({"service_tier": "batch"}, "batch"),
        ({"service_tier": "standard", "speed": "fast"}, "priority"),
        ({"service_tier": None}, None),
        ({}, None),
    ],
)
def test_the_tier_that_served_is_told_in_our_words(
    report: dict[str, object], tier: str | None
) -> None:
    assert service_tier_of(report) == tier


@pytest.mark.parametrize(
    ("native", "reason"),
    [
        ("end_turn", FinishReason.STOP),
        ("stop_sequence", FinishReason.STOP),
        ("pause_turn", FinishReason.STOP),
        ("compaction", FinishReason.STOP),
        ("max_tokens", FinishReason.LENGTH),
        ("model_context_window_exceeded", FinishReason.LENGTH),
        ("tool_use", FinishReason.TOOL_CALLS),
        ("refusal", FinishReason.CONTENT_FILTER),
    ],
)
def test_stop_reasons_translate_both_ways(native: str, reason: FinishReason) -> None:
    assert finish_reason_of(native) is reason
    assert stop_reason_of(reason, native) == native
    assert finish_reason_of(stop_reason_of(reason)) is reason


def test_a_stop_reason_nobody_knows_is_a_stop_and_anothers_word_is_translated() -> None:
    assert finish_reason_of("something_new") is FinishReason.STOP
    assert stop_reason_of(FinishReason.LENGTH, "length") == "max_tokens"
    assert stop_reason_of(FinishReason.LENGTH, "end_turn") == "max_tokens"
