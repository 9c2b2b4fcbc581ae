"""What the pages of providers show. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

from starlette.datastructures import QueryParams

from fairlead.control.standings.types import ProviderHistory, ProviderUptimes
from fairlead.control.usage.endpoints import EndpointSpan, together
from fairlead.core.catalog import (
    DataPolicy,
    Endpoint,
    EndpointStatus,
    Model,
    ProviderInfo,
    Snapshot,
)
from fairlead.core.ids import ProviderSlug
from fairlead.web.pages import shown
from fairlead.web.pages.charts import Chart, chart
from fairlead.web.pages.model_list import model_path, short_name
from fairlead.web.pages.paging import PAGE_ROWS, addressed, page_number, paging
from fairlead.web.pages.price_line import UNKNOWN_LINE, sheet_line
from fairlead.web.pages.uptime_view import Strip, level, strip

__all__ = [
    "POLICIES",
    "SORTS",
    "Catalogue",
    "Fact",
    "Listing",
    "Offers",
    "Performance",
    "catalogue_of",
    "headquarters_of",
    "kind_of",
    "listing",
    "offers",
    "performance",
    "policy_facts",
    "policy_in_short",
    "provider_path",
]

Q_CHARACTERS_MAX: Final = 200
_MS_PER_S: Final = 1000

SORTS: Final = (("", "Name: A to Z"), ("models", "Most models"), ("uptime", "Best uptime"))
POLICIES: Final = (
    ("", "Any data policy"),
    ("no-training", "Does not train on prompts"),
    ("zdr", "Keeps nothing"),
)
_KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "lab": "Model maker",
        "cloud": "Cloud",
        "host": "Model host",
        "aggregator": "Aggregator",
        "local": "Runs locally",
        "sandbox": "Sandbox",
    }
)
_COUNTRIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "CA": "Canada",
        "CN": "China",
        "DE": "Germany",
        "FR": "France",
        "GB": "United Kingdom",
        "IL": "Israel",
        "JP": "Japan",
        "KR": "South Korea",
        "NL": "Netherlands",
        "SG": "Singapore",
        "US": "United States",
    }
)


@dataclass(frozen=True, slots=True)
class Fact:
    """What is known, in a few words. tone: of the badge. sentence: in one."""

    label: str
    tone: str
    sentence: str


@dataclass(frozen=True, slots=True)
class ProviderRow:
    """uptime: of a day, in [0, 1]; None: nothing was called."""

    slug: str
    name: str
    path: str
    kind: str
    model_count: int
    headquarters: str
    training: Fact
    keeping: Fact
    uptime: float | None
    uptime_level: str
    is_usable: bool


@dataclass(frozen=True, slots=True)
class Listing:
    rows: tuple[ProviderRow, ...]
    total: int
    is_filtered: bool
    q: str
    sort: str
    policy: str
    country: str
    is_here_only: bool
    countries: tuple[tuple[str, str], ...]
    heads: Mapping[str, tuple[str, str | None]]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A snapshot's providers with what each offers; made once for each snapshot."""

    snapshot: Snapshot
    offered: Mapping[ProviderSlug, tuple[tuple[Model, Endpoint], ...]]


@dataclass(frozen=True, slots=True)
class Offer:
    """A model at a provider. uptime_level: as uptime_view.level. region: "" where none is promised."""

    name: str
    id: str
    path: str
    prompt: str
    completion: str
    context: str
    output: str
    quantization: str
    region: str
    note: str
    uptime: str
    uptime_level: str
    latency: str
    pace: str


@dataclass(frozen=True, slots=True)
class Offers:
    rows: tuple[Offer, ...]
    q: str
    range_text: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Performance:
    """Of all its endpoints together, over 30 days."""

    calls: int
    uptime: float | None
    latency: str
    pace: str
    strip: Strip
    calls_chart: Chart
    latency_chart: Chart


def provider_path(slug: str) -> str:
    return f"/providers/{quote(slug, safe='.-_')}"


def catalogue_of(snapshot: Snapshot) -> Catalogue:
    offered: defaultdict[ProviderSlug, list[tuple[Model, Endpoint]]] = defaultdict(list)
    for model in sorted(snapshot.models.values(), key=lambda one: (-one.created, one.id)):
        if model.preset_effort is not None:
            continue  # another name of a model that is there
        for endpoint in model.usual_endpoints:
            offered[endpoint.provider].append((model, endpoint))
    return Catalogue(snapshot, {slug: tuple(of_one) for slug, of_one in offered.items()})


# --- the list ---


def listing(
    catalogue: Catalogue,
    usable: frozenset[str],
    uptimes: ProviderUptimes | None,
    query: QueryParams,
) -> Listing:
    """usable: the providers that this installation has a credential for. uptimes: of a day; None: not known."""
    known = {} if uptimes is None else {one.provider: one.uptime for one in uptimes.providers}
    every = [
        _row(info, catalogue.offered.get(info.slug, ()), usable, known.get(info.slug))
        for info in catalogue.snapshot.providers.values()
        if info.kind != "local" or info.slug in catalogue.offered
    ]
    countries = {
        one.headquarters
        for one in catalogue.snapshot.providers.values()
        if one.headquarters is not None
    }
    q = query.get("q", "")[:Q_CHARACTERS_MAX].strip()
    sort = _one_of(query.get("sort", ""), SORTS)
    policy = _one_of(query.get("policy", ""), POLICIES)
    country = query.get("country", "")
    country = country if country in countries else ""
    is_here_only = query.get("here", "") == "true"
    infos = catalogue.snapshot.providers
    rows = [
        one
        for one in every
        if q.lower() in f"{one.name} {one.slug}".lower()
        and _fits(infos[ProviderSlug(one.slug)].data_policy, policy)
        and country in ("", infos[ProviderSlug(one.slug)].headquarters)
        and (one.is_usable or not is_here_only)
    ]
    given = {
        "q": q, "policy": policy, "country": country, "here": "true" if is_here_only else "",
    }  # fmt: skip
    return Listing(
        rows=tuple(sorted(rows, key=_ORDERS[sort])),
        total=len(every),
        is_filtered=any(given.values()),
        q=q,
        sort=sort,
        policy=policy,
        country=country,
        is_here_only=is_here_only,
        countries=(
            ("", "Any country"),
            *sorted(((one, _country(one)) for one in countries), key=lambda one: one[1]),
        ),
        heads={
            name: (
                addressed("/providers", {**given, "sort": name}),
                ("ascending" if name == "" else "descending") if sort == name else None,
            )
            for name, _ in SORTS
        },
    )


_ORDERS: Final = {
    "": lambda row: row.name.lower(),
    "models": lambda row: (-row.model_count, row.name.lower()),
    "uptime": lambda row: (row.uptime is None, -(row.uptime or 0.0), row.name.lower()),
}


def _row(
    info: ProviderInfo,
    offered: Sequence[tuple[Model, Endpoint]],
    usable: frozenset[str],
    uptime: float | None,
) -> ProviderRow:
    training, keeping = policy_facts(info.data_policy)
    return ProviderRow(
        slug=info.slug,
        name=info.name,
        path=provider_path(info.slug),
        kind=kind_of(info),
        model_count=len({model.id for model, _ in offered}),
        headquarters=_country(info.headquarters),
        training=training,
        keeping=keeping,
        uptime=uptime,
        uptime_level=level(uptime),
        is_usable=info.slug in usable,
    )


def kind_of(info: ProviderInfo) -> str:
    return _KINDS.get(info.kind, info.kind.capitalize())


def _country(code: str | None) -> str:
    return shown.UNKNOWN if code is None else _COUNTRIES.get(code, code)


def _fits(policy: DataPolicy, wanted: str) -> bool:
    match wanted:
        case "no-training":
            return policy.trains_on_prompts is False
        case "zdr":
            return policy.keeps_nothing
        case _:
            return True


def _one_of(word: str, choices: Iterable[tuple[str, str]]) -> str:
    return word if word in {value for value, _ in choices} else ""


def policy_facts(policy: DataPolicy) -> tuple[Fact, Fact]:
    """Whether it trains on prompts, and whether it keeps them."""
    return _TRAINING[policy.trains_on_prompts], _keeping(policy)


def policy_in_short(policy: DataPolicy) -> Fact:
    """What matters most of it, for a table."""
    sentence = " ".join(one.sentence for one in policy_facts(policy))
    if policy.keeps_nothing:
        return Fact("Keeps nothing", "success", sentence)
    if policy.trains_on_prompts:
        return Fact("Trains on prompts", "danger", sentence)
    if policy.retains_prompts:
        days = "" if policy.retention_days is None else f" {policy.retention_days} d"
        return Fact(f"Keeps prompts{days}", "", sentence)
    return Fact("Not known", "", sentence)


_TRAINING: Final[Mapping[bool | None, Fact]] = MappingProxyType(
    {
        None: Fact(
            "Not known",
            "",
            "Whether it trains on prompts is not known; privacy filters take it that it does.",
        ),
        True: Fact("Trains on them", "warning", "It may train models on prompts."),
        False: Fact("No training", "success", "It does not train on prompts."),
    }
)


def _keeping(policy: DataPolicy) -> Fact:
    if policy.retains_prompts is None:
        return Fact(
            "Not known",
            "",
            "Whether it keeps prompts is not known; privacy filters take it that it does.",
        )
    if not policy.retains_prompts:
        return Fact("Keeps nothing", "success", "It does not keep prompts.")
    if policy.retention_days:
        days = shown.plural(policy.retention_days, "day")
        return Fact(f"Up to {days}", "", f"It keeps prompts for up to {days}.")
    return Fact("Keeps them", "warning", "It keeps prompts; for how long is not known.")


# --- one provider ---


def headquarters_of(info: ProviderInfo) -> str:
    return _country(info.headquarters)


def offers(
    info: ProviderInfo,
    offered: Sequence[tuple[Model, Endpoint]],
    wholes: Mapping[str, EndpointSpan],
    query: QueryParams,
    *,
    now_s: float,
) -> Offers:
    """wholes: how those that are shown did lately, by endpoint."""
    q = query.get("q", "")[:Q_CHARACTERS_MAX].strip()
    found = [
        (model, endpoint)
        for model, endpoint in offered
        if q.lower() in f"{model.name} {model.id}".lower()
    ]
    last = max(1, -(-len(found) // PAGE_ROWS))
    number = min(page_number(query.get("page")), last)
    start = (number - 1) * PAGE_ROWS
    here = found[start : start + PAGE_ROWS]
    path = provider_path(info.slug)

    def address(wanted: int) -> str:
        return addressed(path, {"q": q, "page": str(wanted) if wanted > 1 else ""})

    pages = paging(number, len(here), has_more=number < last, address=address, total=len(found))
    return Offers(
        rows=tuple(
            _offer(model, endpoint, wholes.get(endpoint.id), now_s) for model, endpoint in here
        ),
        q=q,
        range_text=shown.plural(len(found), "offer") if last == 1 else f"{pages.shown} offers",
        before=pages.before,
        after=pages.after,
    )


def _offer(model: Model, endpoint: Endpoint, span: EndpointSpan | None, now_s: float) -> Offer:
    is_priced = endpoint.status is not EndpointStatus.UNPRICED
    price = sheet_line(model.kind, endpoint.prices) if is_priced else UNKNOWN_LINE
    latency_s = None if span is None else span.latency_percentile_s(0.5)
    return Offer(
        name=short_name(model),
        id=model.id,
        path=model_path(model.id),
        prompt=price.input,
        completion=price.completion,
        context=shown.tokens(endpoint.context_length),
        output=shown.tokens(endpoint.max_completion_tokens),
        quantization="" if endpoint.quantization == "unknown" else endpoint.quantization,
        region=(endpoint.data_region or "").upper(),
        note=_note(endpoint, now_s),
        uptime=shown.share(None if span is None else span.uptime),
        uptime_level=level(None if span is None else span.uptime),
        latency=shown.duration(None if latency_s is None else latency_s * _MS_PER_S),
        pace=shown.throughput(None if span is None else span.pace_percentile(0.5)),
    )


def _note(endpoint: Endpoint, now_s: float) -> str:
    match endpoint.status:
        case EndpointStatus.DEPRECATED:
            last = endpoint.deprecation_date
            return "Deprecated" if last is None else shown.ending(last, now_s)
        case EndpointStatus.UNPRICED:
            return "No price known"
        case _:
            return ""


def performance(history: ProviderHistory) -> Performance:
    days = {span.start_ms: span for span in history.spans}
    starts_ms = history.starts_ms
    whole = together(history.spans).get("")  # they are of all endpoints, and have no name
    return Performance(
        calls=0 if whole is None else whole.calls,
        uptime=None if whole is None else whole.uptime,
        latency=shown.duration(_latency_ms(whole, 0.5)),
        pace=shown.throughput(None if whole is None else whole.pace_percentile(0.5)),
        strip=strip(
            [days[one].uptime if one in days else None for one in starts_ms], starts_ms, unit="day"
        ),
        calls_chart=chart(
            "Day",
            ("Answered", "Failed", "Asked to wait", "Caller's mistakes"),
            [
                (
                    one // _MS_PER_S,
                    shown.date(one // _MS_PER_S),
                    [
                        days[one].count(name) if one in days else 0
                        for name in ("successes", "outages", "limited", "caller_faults")
                    ],
                )
                for one in starts_ms
            ],
            written=shown.count,
        )
        if days
        else _NO_CHART,
        latency_chart=chart(
            "Day",
            ("Median", "95th percentile"),
            [
                (
                    one // _MS_PER_S,
                    shown.date(one // _MS_PER_S),
                    [_latency_ms(days.get(one), share) for share in (0.5, 0.95)],
                )
                for one in starts_ms
            ],
            written=shown.duration,
        )
        if days
        else _NO_CHART,
    )


_NO_CHART: Final = Chart("Day", (), ())


def _latency_ms(span: EndpointSpan | None, share: float) -> float | None:
    found = None if span is None else span.latency_percentile_s(share)
    return None if found is None else found * _MS_PER_S
