"""Two to five models beside each other: which rows there are, and which value of a row is the best. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from fairlead.control.catalog.benchmarks import Benchmarks
from fairlead.core.catalog import Model, ModelKind, Snapshot
from fairlead.core.ids import ModelId
from fairlead.core.pricing import PriceSheet
from fairlead.web.api.model_listing import prices_of
from fairlead.web.api.model_query import called, parse_query, select
from fairlead.web.api.model_search import named_first
from fairlead.web.api.model_shapes import listed_endpoints
from fairlead.web.pages import shown
from fairlead.web.pages.model_list import (
    Catalogue,
    ModelRow,
    author_name,
    model_path,
    row_of,
    short_name,
)
from fairlead.web.pages.model_view import (
    Known,
    found_model,
    modalities,
    month_text,
)
from fairlead.web.pages.price_line import PER_MILLION, price_line

__all__ = [
    "COMPARED_MAX",
    "Cell",
    "Chosen",
    "Column",
    "Comparison",
    "Line",
    "Offer",
    "Part",
    "chosen_models",
    "comparison_of",
]

COMPARED_MAX: Final = 5
FOUND_MAX: Final = 8
QUERY_CHARACTERS_MAX: Final = 200
NAME_CHARACTERS_MAX: Final = 300
NAMES_MAX: Final = 10  # that one address may carry, known or not
_ABILITIES: Final = (
    ("tools", "Tools"),
    ("structured_outputs", "Structured outputs"),
    ("reasoning", "Reasoning"),
    ("seed", "Seed"),
    ("logprobs", "Logprobs"),
    ("web_search_options", "Web search"),
)
_PERCENT: Final = 100
_MS_PER_S: Final = 1000


@dataclass(frozen=True, slots=True)
class Column:
    """A model that is compared. chat_path: "": one cannot talk with it. without: the comparison without it."""

    id: str
    path: str
    name: str
    author_name: str
    chat_path: str
    without: str


@dataclass(frozen=True, slots=True)
class Cell:
    """is_best: better than all others, where that can be said. is_yes: of an ability; None: it is none."""

    text: str
    is_best: bool = False
    is_yes: bool | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """note: under the label."""

    label: str
    cells: tuple[Cell, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """A model that can be added. address: the comparison with it."""

    row: ModelRow
    address: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """What an address asks for. unknown: names that nobody has. is_cut: there were more."""

    models: tuple[Model, ...]
    unknown: tuple[str, ...]
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """names: those of the address that are known. unknown: those that are not. q: what was searched.
    offers: what was found, or the newest. is_full: there is no place for another."""

    columns: tuple[Column, ...]
    parts: tuple[Part, ...]
    names: tuple[str, ...]
    unknown: tuple[str, ...]
    q: str
    offers: tuple[Offer, ...]
    is_full: bool
    is_cut: bool


def comparison_of(
    catalogue: Catalogue,
    chosen: Chosen,
    q: str,
    known: Known,
    benchmarks: Benchmarks,
    weekly: Mapping[ModelId, int],
    *,
    now_s: float,
) -> Comparison:
    """q: what is searched. weekly: tokens of a week, by model."""
    models = chosen.models
    names = tuple(str(one.id) for one in models)
    q = q[:QUERY_CHARACTERS_MAX].strip()
    return Comparison(
        columns=tuple(_column(one, names) for one in models),
        parts=_parts(models, known, benchmarks, weekly) if models else (),
        names=names,
        unknown=chosen.unknown,
        q=q,
        offers=() if len(models) >= COMPARED_MAX else _offers(catalogue, q, names, now_s=now_s),
        is_full=len(models) >= COMPARED_MAX,
        is_cut=chosen.is_cut,
    )


def _address(names: Iterable[str]) -> str:
    joined = ",".join(names)
    return f"/compare?{urlencode({'models': joined}, safe='/:~,')}" if joined else "/compare"


def chosen_models(snapshot: Snapshot, given: Sequence[str]) -> Chosen:
    """Each once, in the order given. given: values of `models`, each with commas or without."""
    wanted = [one.strip() for text in given for one in text.split(",") if one.strip()][:NAMES_MAX]
    models: dict[str, Model] = {}
    unknown = []
    for name in wanted:
        found = found_model(snapshot, name[:NAME_CHARACTERS_MAX])
        if found is None:
            unknown.append(name[:NAME_CHARACTERS_MAX])
        else:
            models.setdefault(found.model.id, found.model)
    kept = tuple(models.values())
    return Chosen(kept[:COMPARED_MAX], tuple(dict.fromkeys(unknown)), len(kept) > COMPARED_MAX)


def _column(model: Model, names: Sequence[str]) -> Column:
    return Column(
        id=model.id,
        path=model_path(model.id),
        name=short_name(model),
        author_name=author_name(model),
        chat_path=f"/chat?{urlencode({'model': model.id}, safe='/:~')}"
        if model.kind is ModelKind.CHAT
        else "",
        without=_address(one for one in names if one != model.id),
    )


def _offers(
    catalogue: Catalogue, q: str, names: Sequence[str], *, now_s: float
) -> tuple[Offer, ...]:
    models: Iterable[Model] = catalogue.models
    if q:
        wanted = parse_query({"output_modalities": "all", "q": q}, catalogue.snapshot, now_s=now_s)
        models = named_first(select(catalogue.models, wanted), q)
    free = (
        one for one in models if one.id not in names and (q or one.id in catalogue.snapshot.models)
    )
    return tuple(
        Offer(row_of(one), _address((*names, one.id)))
        for one, _ in zip(free, range(FOUND_MAX), strict=False)
    )


# --- rows -----------------------------------------------------------------------------------------------


def _parts(
    models: Sequence[Model], known: Known, benchmarks: Benchmarks, weekly: Mapping[ModelId, int]
) -> tuple[Part, ...]:
    parts = (
        Part("Price", _prices(models)),
        Part("Limits", _limits(models)),
        Part("Abilities", _abilities(models)),
        Part("Here", _here(models, known, weekly)),
        Part("Benchmarks", _benchmarks(models, benchmarks)),
        Part("About", _about(models)),
    )
    return tuple(part for part in parts if part.lines)


def _prices(models: Sequence[Model]) -> tuple[Line, ...]:
    sheets = [prices_of(one) for one in models]

    def line(label: str, price: Callable[[PriceSheet], int | None], note: str = "") -> Line:
        values = [None if sheet is None else price(sheet) for sheet in sheets]
        texts = [
            "Varies" if sheet is None else shown.per_million(value)
            for sheet, value in zip(sheets, values, strict=True)
        ]
        return Line(label, _cells(texts, values, is_less_better=True), note)

    if any(price_line(one).unit != PER_MILLION for one in models):
        # Sold by the call or the second: prices of different units have no best.
        return (Line("Sold at", tuple(Cell(price_line(one).text) for one in models)),)
    lines = [
        line("Input", lambda one: one.prompt, PER_MILLION),
        line("Output", lambda one: one.completion, PER_MILLION),
    ]
    if any(one is not None and one.input_cache_read is not None for one in sheets):
        lines.append(line("Cached input", lambda one: one.input_cache_read, PER_MILLION))
    return tuple(lines)


def _limits(models: Sequence[Model]) -> tuple[Line, ...]:
    context = [one.context_length or None for one in models]
    longest = [one.max_completion_tokens for one in models]
    return (
        Line("Context", _cells([shown.tokens(one) for one in context], context), "tokens"),
        Line("Max output", _cells([shown.tokens(one) for one in longest], longest), "tokens"),
    )


def _abilities(models: Sequence[Model]) -> tuple[Line, ...]:
    lines = [
        Line(
            "Reads",
            tuple(Cell(modalities(one.input_modalities) or shown.UNKNOWN) for one in models),
        ),
        Line("Writes", tuple(Cell(", ".join(one.output_modalities)) for one in models)),
    ]
    for name, label in _ABILITIES:
        has = [name in one.supported_parameters for one in models]
        if any(has):
            lines.append(
                Line(label, tuple(Cell("Yes" if one else "No", is_yes=one) for one in has))
            )
    efforts = [", ".join(reversed(one.reasoning.efforts)) for one in models]
    if any(efforts):
        lines.append(Line("Efforts", tuple(Cell(one or shown.UNKNOWN) for one in efforts)))
    return tuple(lines)


def _here(models: Sequence[Model], known: Known, weekly: Mapping[ModelId, int]) -> tuple[Line, ...]:
    providers, latencies, paces, uptimes = [], [], [], []
    for model in models:
        endpoints = [one for one in listed_endpoints(model) if one.tier is None]
        figures = [known.figures(one) for one in endpoints]
        offered = {one.provider for one in endpoints}
        ready = {one.provider for one in endpoints if known.can_serve(one)}
        providers.append(_providers(len(offered), len(ready)) if offered else shown.UNKNOWN)
        latencies.append(
            min((one.latency_30m.p50 for one in figures if one.latency_30m), default=None)
        )
        paces.append(
            max((one.throughput_30m.p50 for one in figures if one.throughput_30m), default=None)
        )
        uptimes.append(
            max((one.uptime_1d for one in figures if one.uptime_1d is not None), default=None)
        )
    tokens = [weekly.get(called(one), 0) for one in models]
    lines = [
        Line("Providers", tuple(map(Cell, providers))),
        Line(
            "Weekly tokens",
            _cells([shown.compact(one) if one else shown.UNKNOWN for one in tokens], tokens),
        ),
        Line(
            "Latency",
            _cells(
                [shown.duration(None if one is None else one * _MS_PER_S) for one in latencies],
                latencies,
                is_less_better=True,
            ),
            "of the quickest endpoint now",
        ),
        Line(
            "Throughput",
            _cells([shown.throughput(one) for one in paces], paces),
            "of the fastest endpoint now",
        ),
        Line(
            "Uptime",
            _cells(
                [shown.share(None if one is None else one / _PERCENT, places=2) for one in uptimes],
                uptimes,
            ),
            "of the best endpoint, last day",
        ),
    ]
    return tuple(one for one in lines if any(cell.text != shown.UNKNOWN for cell in one.cells))


def _providers(offered: int, ready: int) -> str:
    """ready: how many have a key here."""
    if ready == offered:
        return f"{offered}, with a key" if offered == 1 else f"{offered}, all with keys"
    return f"{offered}, {ready or 'none'} with a key"


def _benchmarks(models: Sequence[Model], benchmarks: Benchmarks) -> tuple[Line, ...]:
    """Those of which the same one says so of at least two of the models; the best result of each."""
    scores: dict[tuple[str, str, str], dict[str, float]] = {}
    for model in models:
        for one in benchmarks.of(called(model)):
            key = (one.benchmark, one.reported_by or "", one.vouched_by)
            of_models = scores.setdefault(key, {})
            of_models[model.id] = max(one.score, of_models.get(model.id, one.score))
    return tuple(
        Line(
            benchmark,
            _cells(
                [f"{found[one.id]:g}%" if one.id in found else shown.UNKNOWN for one in models],
                [found.get(one.id) for one in models],
            ),
            reporter,
        )
        for (benchmark, reporter, _), found in sorted(scores.items())
        if len(found) > 1
    )


def _about(models: Sequence[Model]) -> tuple[Line, ...]:
    weights = {True: "Open", False: "Closed", None: shown.UNKNOWN}
    return (
        Line("Released", tuple(Cell(shown.date(one.created)) for one in models)),
        Line(
            "Knowledge until",
            tuple(Cell(month_text(one.knowledge_cutoff) or shown.UNKNOWN) for one in models),
        ),
        Line("Weights", tuple(Cell(weights[one.open_weights]) for one in models)),
        Line("Tokenizer", tuple(Cell(one.tokenizer or shown.UNKNOWN) for one in models)),
        Line("Switched off", tuple(Cell(shown.day(one.expiration_date)) for one in models)),
    )


def _cells(
    texts: Sequence[str], values: Sequence[float | None], *, is_less_better: bool = False
) -> tuple[Cell, ...]:
    """What reads as the best does is marked, unless all do: of two that are equal nobody is better."""
    told = [(value, text) for value, text in zip(values, texts, strict=True) if value is not None]
    best = None
    if len({text for _, text in told}) > 1:
        best = (min(told) if is_less_better else max(told))[1]
    return tuple(
        Cell(text, is_best=best is not None and value is not None and text == best)
        for text, value in zip(texts, values, strict=True)
    )
