"""What can be asked about usage, by its public name, and how it is had from sums. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from fairlead.core.money import NanoUSD, usd

__all__ = ["METRICS", "Metric", "Number"]

Number: TypeAlias = int | float | None  # None: there is nothing to have it from
Display: TypeAlias = Literal["number", "currency", "percent", "latency", "throughput"]

_MS_PER_S: Final = 1000


@dataclass(frozen=True, slots=True)
class Metric:
    """measures: what it needs, of store.tables.usage.MEASURES. value: from those, in that order.

    is_rate: of two rows together it is not the sum. is_recent: not to be had for long ranges.
    """

    name: str
    label: str
    display: Display
    measures: tuple[str, ...]
    value: Callable[..., Number]
    is_rate: bool = False
    is_recent: bool = False


def _same(count: int) -> int:
    return count


def _dollars(nano: int) -> float:
    return usd(NanoUSD(nano))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _mean(total: int, count: int) -> float | None:
    return total / count if count else None


def _pace(tokens: int, ms: int) -> float | None:
    return tokens * _MS_PER_S / ms if ms else None


def _together(one: int, other: int) -> int:
    return one + other


def _nothing(_: int) -> float:
    return 0.0


def _count(name: str, label: str, measure: str) -> Metric:
    return Metric(name, label, "number", (measure,), _same)


def _spent(name: str, label: str, measure: str) -> Metric:
    return Metric(name, label, "currency", (measure,), _dollars)


def _rate(name: str, label: str, part: str, whole: str) -> Metric:
    return Metric(name, label, "percent", (part, whole), _share, is_rate=True)


_ALL: Final = (
    _count("request_count", "Requests", "requests"),
    _spent("total_usage", "Spend", "cost_nano"),
    Metric("tokens_total", "Tokens", "number", ("prompt_tokens", "completion_tokens"), _together),
    _count("tokens_prompt", "Prompt tokens", "prompt_tokens"),
    _count("tokens_completion", "Completion tokens", "completion_tokens"),
    _count("reasoning_tokens", "Reasoning tokens", "reasoning_tokens"),
    _count("cached_tokens", "Cached tokens", "cached_tokens"),
    _count("cache_write_tokens", "Tokens written to caches", "cache_write_tokens"),
    _rate("cache_hit_rate", "Cache hit rate", "cached_tokens", "prompt_tokens"),
    _spent("usage_upstream", "Charged by providers", "upstream_nano"),
    _spent("usage_byok", "BYOK, at list prices", "byok_nano"),
    _spent("usage_cache", "Saved by caching", "cache_saved_nano"),
    _spent("usage_data", "Discounts", "discount_nano"),
    _spent("usage_web", "Web search", "web_nano"),
    # Nothing reads files for money yet.
    Metric("usage_file", "File processing", "currency", ("requests",), _nothing),
    _count("web_search_count", "Web searches", "web_searches"),
    _count("cancelled_count", "Cancelled requests", "cancelled"),
    _count("error_count", "Failed requests", "failed"),
    _rate("error_rate", "Error rate", "failed", "requests"),
    _count("tool_call_count", "Answers that call tools", "tool_calls"),
    Metric(
        "latency_avg", "Time to first token", "latency", ("latency_ms", "latencies"), _mean,
        is_rate=True, is_recent=True,
    ),
    Metric(
        "generation_time_avg", "Time to the end", "latency", ("duration_ms", "requests"), _mean,
        is_rate=True, is_recent=True,
    ),
    Metric(
        "throughput_avg", "Tokens per second", "throughput", ("paced_tokens", "paced_ms"), _pace,
        is_rate=True, is_recent=True,
    ),
)  # fmt: skip

METRICS: Final[Mapping[str, Metric]] = {metric.name: metric for metric in _ALL}
