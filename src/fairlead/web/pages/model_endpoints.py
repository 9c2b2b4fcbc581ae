"""What a model's page shows of its endpoints: one row each, and what each of them takes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from fairlead.core.catalog import Endpoint, Model, ModelKind, Snapshot
from fairlead.core.routing.facts import Standing
from fairlead.web.api.model_shapes import listed_endpoints
from fairlead.web.pages import shown
from fairlead.web.pages.model_view import Known
from fairlead.web.pages.price_line import sheet_line
from fairlead.web.pages.provider_view import Fact, policy_in_short, provider_path

__all__ = ["EndpointRow", "Taken", "endpoint_rows", "taken_by_endpoints"]

_STANDINGS: Final[Mapping[Standing, tuple[str, str]]] = {
    Standing.GOOD: ("Up", "success"),
    Standing.LIMITED: ("Rate limited", "warning"),
    Standing.DEGRADED: ("Degraded", "warning"),
    Standing.UNSTABLE: ("Unstable", "warning"),
    Standing.DOWN: ("Down", "danger"),
}


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """An endpoint among a model's. status, tone: how it is now. ends: when it is switched off, or was."""

    provider: str
    provider_name: str
    provider_path: str
    tag: str
    tier: str | None
    region: str | None
    policy: Fact
    quantization: str
    context: str
    max_output: str
    prompt: str
    completion: str
    cache_read: str
    status: str
    tone: str
    uptime: str
    latency: str
    throughput: str
    tool_errors: str
    ends: str | None
    is_ready: bool


def endpoint_rows(
    model: Model, snapshot: Snapshot, known: Known, *, now_s: float
) -> tuple[EndpointRow, ...]:
    """In the order of the catalogue: cheapest first, those that end last, then service tiers."""
    return tuple(
        _endpoint_row(one, model.kind, snapshot, known, now_s=now_s)
        for one in listed_endpoints(model)
    )


def _endpoint_row(
    endpoint: Endpoint, kind: ModelKind, snapshot: Snapshot, known: Known, *, now_s: float
) -> EndpointRow:
    provider = snapshot.providers[endpoint.provider]
    figures = known.figures(endpoint)
    is_ready = known.can_serve(endpoint)
    status, tone = _STANDINGS[figures.standing]
    is_quiet = figures.standing is Standing.GOOD and figures.latency_30m is None
    if not is_ready:
        status, tone = "No key here", ""
    elif is_quiet:
        status, tone = "Ready", ""
    uptime = figures.uptime_1d
    latency, pace = figures.latency_30m, figures.throughput_30m
    ends = None
    if endpoint.deprecation_date is not None:
        ends = shown.ending(endpoint.deprecation_date, now_s)
    tool_calls = figures.tool_requests_2h
    price = sheet_line(kind, endpoint.prices)
    cache_read = endpoint.prices.input_cache_read
    return EndpointRow(
        provider=provider.slug,
        provider_name=provider.name,
        provider_path=provider_path(provider.slug),
        tag=endpoint.tag,
        tier=endpoint.tier,
        region=endpoint.data_region,
        policy=policy_in_short(provider.data_policy),
        quantization="" if endpoint.quantization == "unknown" else endpoint.quantization,
        context=shown.tokens(endpoint.context_length),
        max_output=shown.tokens(endpoint.max_completion_tokens),
        prompt=price.input,
        completion=price.completion,
        cache_read=shown.per_million(cache_read),
        status=status,
        tone=tone,
        uptime=shown.UNKNOWN if uptime is None else shown.share(uptime / 100, places=2),
        latency=shown.UNKNOWN if latency is None else shown.duration(latency.p50 * 1000),
        throughput=shown.throughput(None if pace is None else pace.p50),
        tool_errors=shown.share(figures.tool_errors_2h / tool_calls if tool_calls else None),
        ends=ends,
        is_ready=is_ready,
    )


@dataclass(frozen=True, slots=True)
class Taken:
    """What an endpoint takes. facts: what is known, each with a label. lacking: parameters of others alone."""

    provider_name: str
    tag: str
    facts: tuple[tuple[str, str], ...]
    parameters: tuple[str, ...]
    lacking: tuple[str, ...]


def taken_by_endpoints(model: Model, snapshot: Snapshot) -> tuple[Taken, ...]:
    """In the order of `endpoint_rows`."""
    endpoints = listed_endpoints(model)
    every = frozenset[str]().union(*(one.supported_parameters for one in endpoints))
    return tuple(
        Taken(
            provider_name=snapshot.providers[one.provider].name,
            tag=one.tag,
            facts=tuple(_facts(one)),
            parameters=tuple(sorted(one.supported_parameters)),
            lacking=tuple(sorted(every - one.supported_parameters)),
        )
        for one in endpoints
    )


def _facts(endpoint: Endpoint) -> Iterator[tuple[str, str]]:
    """Those that are known."""
    for label, tokens in (
        ("Context", endpoint.context_length),
        ("Longest prompt", endpoint.max_prompt_tokens),
        ("Max output", endpoint.max_completion_tokens),
    ):
        if tokens:
            yield label, f"{shown.count(tokens)} tokens"
    if endpoint.prices.input_cache_read is not None:
        # As the API says it: what has a price of its own is asked for.
        is_asked_for = endpoint.prices.input_cache_write is not None
        yield "Caching", "asked for with cache_control" if is_asked_for else "happens by itself"
