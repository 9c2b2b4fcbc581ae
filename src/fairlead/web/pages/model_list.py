"""What the list of models shows, and every address of it. Pure.

The page takes the parameters of `GET /api/v1/models`, so its filters are the API's (`api/model_query.py`); a
group of boxes comes as one name several times and means its words with commas between. Besides: `view`, and
`page` from 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, urlencode

from starlette.datastructures import QueryParams

from fairlead.core.catalog import Modality, Model, ModelKind, Snapshot
from fairlead.core.ids import ModelId
from fairlead.web.api.model_listing import listed
from fairlead.web.api.model_query import (
    INDEX_SORTS,
    NOTHING_MEASURED,
    Measured,
    figures_of,
    parse_query,
    select,
)
from fairlead.web.api.model_search import named_first
from fairlead.web.pages import shown
from fairlead.web.pages.model_choices import Choice, choices_of, unshown_of, why_none
from fairlead.web.pages.price_line import PriceLine, price_line

__all__ = [
    "HIDDEN_MODEL",
    "SORTS",
    "Catalogue",
    "Listing",
    "ModelRow",
    "catalogue_of",
    "is_served",
    "listing",
    "model_path",
    "row_of",
    "short_name",
]

PAGE_SIZE: Final = 50
VALUE_CHARACTERS_MAX: Final = 2000  # of one parameter, all its values together
PARAMETERS_MAX: Final = 50  # of different names; there are some thirty
DESCRIPTION_CHARACTERS_MAX: Final = 280
OPTIONS_SEEN: Final = 9  # as many as the box of a group shows

SORTS: Final = (
    ("", "Newest"),
    ("most-popular", "Most popular"),
    ("pricing-low-to-high", "Price: low to high"),
    ("pricing-high-to-low", "Price: high to low"),
    ("context-high-to-low", "Context: high to low"),
    ("throughput-high-to-low", "Throughput: high to low"),
    ("latency-low-to-high", "Latency: low to high"),
    ("intelligence-high-to-low", "Intelligence: high to low"),
    ("coding-high-to-low", "Coding: high to low"),
    ("agentic-high-to-low", "Agentic: high to low"),
)
VIEWS: Final = ("list", "table")
_OUTPUT_WORDS: Final = (
    "text",
    "image",
    "audio",
    "embeddings",
    "speech",
    "transcription",
    "video",
    "rerank",
)
_GROUPS: Final = (
    ("input_modalities", "Input"),
    ("output_modalities", "Output"),
    ("supported_parameters", "Parameters"),
    ("model_authors", "Author"),
    ("providers", "Provider"),
    ("arch", "Series"),
)
_SERVED: Final = frozenset({ModelKind.CHAT, ModelKind.EMBEDDING, ModelKind.RERANK})
_SINGLES: Final = frozenset({"arch"})  # the API takes one word
_KNOWN_SORTS: Final = frozenset(
    {"newest", "pricing-low-to-high", "pricing-high-to-low", "context-high-to-low"}
)
_SAME_SORTS: Final = MappingProxyType({"top-weekly": "most-popular"})
_MS_PER_S: Final = 1000
_FIGURES: Final[Mapping[str, tuple[str, Callable[[float], str]]]] = MappingProxyType(
    {
        "most-popular": ("Weekly tokens", lambda tokens: f"{shown.compact(tokens)} tokens"),
        "throughput-high-to-low": ("Throughput", shown.throughput),
        "latency-low-to-high": ("Latency", lambda latency_s: shown.duration(latency_s * _MS_PER_S)),
        **{
            sort: (f"{index.capitalize()} index", lambda score: f"{score:.0f}")
            for sort, index in INDEX_SORTS.items()
        },
    }
)


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model among others. price: in a line, and in columns beside. created_s: 0: not known. expires: the last
    day that it is there for sure. is_served: whether calls of its kind are."""

    id: str
    path: str
    name: str
    author: str
    author_name: str
    description: str
    price: PriceLine
    context: str
    modality: str
    created_s: int
    is_served: bool
    expires: str | None
    provider_count: int


@dataclass(frozen=True, slots=True)
class Option:
    value: str
    label: str
    count: int


@dataclass(frozen=True, slots=True)
class Group:
    """Boxes that belong together. is_single: one of them at a time."""

    name: str
    title: str
    options: tuple[Option, ...]
    chosen: frozenset[str]
    is_single: bool


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A snapshot's models in the default order, and what they can be told apart by; made once for each."""

    snapshot: Snapshot
    models: tuple[Model, ...]
    options: Mapping[str, tuple[Option, ...]]


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of the list. before, after: None at the ends. clear: the list with no filter.

    sorts, choices: what can be chosen. unshown: names and values of filters that no field shows. why_none: what
    to say where nothing was found.

    figure: what it is sorted by, if that is neither in a row nor in a column already. figures: of that, by the
    id of a row; those without any are missing. note: what is to be known about the sort.
    """

    rows: tuple[ModelRow, ...]
    total: int
    range_text: str
    is_filtered: bool
    q: str
    sort: str
    figure: str
    figures: Mapping[str, str]
    note: str
    sorts: tuple[tuple[str, str], ...]
    choices: tuple[Choice, ...]
    unshown: tuple[tuple[str, str], ...]
    why_none: str
    view: str
    groups: tuple[Group, ...]
    views: tuple[tuple[str, str, str], ...]
    sorted_by: Mapping[str, tuple[str, str | None]]
    before: str | None
    after: str | None
    clear: str
    feed: str


def catalogue_of(snapshot: Snapshot) -> Catalogue:
    models = tuple(listed(snapshot))
    author_names = {model.author: author_name(model) for model in reversed(models)}
    provider_names = {str(one.slug): one.name for one in snapshot.providers.values()}
    options = {
        "input_modalities": _options(
            (word for model in models for word in model.input_modalities), order=tuple(Modality)
        ),
        "output_modalities": _options(
            (word for model in models for word in model.output_modalities), order=_OUTPUT_WORDS
        ),
        "supported_parameters": _options(
            word for model in models for word in model.supported_parameters
        ),
        "model_authors": _options((model.author for model in models), author_names),
        "providers": _options(
            (slug for model in models for slug in {one.provider for one in model.endpoints}),
            provider_names,
        ),
        "arch": _options(model.tokenizer for model in models if model.tokenizer),
    }
    return Catalogue(snapshot, models, MappingProxyType(options))


def _options(
    words: Iterable[str],
    labels: Mapping[str, str] | None = None,
    *,
    order: tuple[str, ...] = (),
) -> tuple[Option, ...]:
    """By `order` where there is one, else by label."""
    found = [
        Option(word, (labels or {}).get(word) or _label(word), number)
        for word, number in Counter(words).items()
        if not order or word in order
    ]
    if order:
        return tuple(sorted(found, key=lambda one: order.index(one.value)))
    return tuple(sorted(found, key=lambda one: one.label.lower()))


def _label(word: str) -> str:
    return word.replace("_", " ").capitalize() if word.islower() and "_" not in word else word


def listing(
    catalogue: Catalogue,
    query: QueryParams,
    *,
    now_s: float,
    measured: Measured = NOTHING_MEASURED,
) -> Listing:
    """Raises RequestInvalid that names the parameter."""
    given = _given(query)
    wanted = {"output_modalities": "all"} | {
        name: value for name, value in given.items() if name not in ("view", "page")
    }
    asked = parse_query(wanted, catalogue.snapshot, now_s=now_s, measured=measured)
    found = select(catalogue.models, asked)
    if not given.get("sort"):
        found = named_first(found, given.get("q", ""))
    sort = _SAME_SORTS.get(given.get("sort", ""), given.get("sort", ""))
    figure, written = _FIGURES.get(sort, ("", str))  # str writes nothing: there are no figures
    figures = figures_of(sort, measured) if figure else {}
    number = _page_number(given.get("page", "1"), len(found))
    start = (number - 1) * PAGE_SIZE
    here = found[start : start + PAGE_SIZE]
    view = given["view"] if given.get("view") in VIEWS else "list"
    filters = {name: value for name, value in given.items() if name not in ("view", "page", "sort")}
    return Listing(
        rows=tuple(row_of(model) for model in here),
        total=len(found),
        range_text=_range(start, len(here), len(found)),
        is_filtered=bool(filters),
        q=given.get("q", ""),
        sort=sort,
        figure=figure,
        figures={model.id: written(figures[model.id]) for model in here if model.id in figures},
        note=_note(sort, found, figures),
        sorts=_sorts(sort, measured),
        choices=choices_of(given, has_indices=any(measured.indices.values())),
        unshown=unshown_of(given),
        why_none=why_none(given),
        view=view,
        groups=tuple(
            Group(
                name,
                title,
                _chosen_first(catalogue.options[name], given.get(name, "")),
                frozenset(given.get(name, "").split(",")) - {""},
                name in _SINGLES,
            )
            for name, title in _GROUPS
        ),
        views=tuple((one, one.capitalize(), _address(given, view=one, page=None)) for one in VIEWS),
        sorted_by=_heads(given),
        before=_address(given, page=str(number - 1)) if number > 1 else None,
        after=_address(given, page=str(number + 1)) if start + PAGE_SIZE < len(found) else None,
        clear=_address({name: given[name] for name in ("view", "sort") if name in given}),
        feed=_address(filters, path="/models/feed.xml"),
    )


def _chosen_first(options: tuple[Option, ...], given: str) -> tuple[Option, ...]:
    """Of those that do not fit into their box at once, so that nobody looks for them."""
    chosen = frozenset(given.lower().split(","))
    if len(options) <= OPTIONS_SEEN or not given:
        return options
    return tuple(sorted(options, key=lambda one: one.value.lower() not in chosen))


def _sorts(chosen: str, measured: Measured) -> tuple[tuple[str, str], ...]:
    """Those that there are figures for, and what was chosen; what is not among them is the first."""
    has_indices = any(measured.indices.values())
    usual = tuple((one, said) for one, said in SORTS if has_indices or one not in INDEX_SORTS)
    others = {**dict(SORTS), "design-arena-elo-high-to-low": "Design arena: high to low"}
    if chosen in dict(usual) or chosen not in others:
        return usual
    return (*usual, (chosen, others[chosen]))


def _note(sort: str, found: Iterable[Model], figures: Mapping[ModelId, float]) -> str:
    if sort in INDEX_SORTS:
        number = sum(model.id in figures for model in found)
        return (
            f"By the share of comparisons with others that a model wins in published benchmarks;"
            f" {shown.plural(number, 'model has any', 'models have any')}."
        )
    if sort in _FIGURES:
        number = sum(model.id in figures for model in found)
        if not number:
            return "None of these was called here in the last seven days. The newest are first."
        return (
            f"By calls made here in the last seven days; {shown.plural(number, 'model')} had any."
        )
    if sort and sort not in _KNOWN_SORTS:
        return "Nobody has published this figure for models of the catalogue. The newest are first."
    return ""


def _given(query: QueryParams) -> dict[str, str]:
    """Each name once; several boxes of a group with commas between. In one pass, for there may be thousands."""
    found: dict[str, list[str]] = {}
    for name, value in query.multi_items():
        if value and (name in found or len(found) < PARAMETERS_MAX):
            found.setdefault(name, []).append(value)
    return {name: ",".join(values)[:VALUE_CHARACTERS_MAX] for name, values in found.items()}


def _page_number(text: str, total: int) -> int:
    """What is no page is the first one; what is beyond the last one is the last."""
    last = max(1, -(-total // PAGE_SIZE))
    return (
        min(max(1, int(text)), last) if text.isascii() and text.isdigit() and len(text) < 7 else 1
    )


def _range(start: int, here: int, total: int) -> str:
    if total <= PAGE_SIZE:
        return shown.plural(total, "model")
    return f"{start + 1:,}\N{EN DASH}{start + here:,} of {total:,} models"


def _address(given: Mapping[str, str], *, path: str = "/models", **changes: str | None) -> str:
    """The same list with some parameters changed; None takes one away."""
    kept = {name: value for name, value in {**given, **changes}.items() if value}
    return f"{path}?{urlencode(kept, safe='/,')}" if kept else path


def _heads(given: Mapping[str, str]) -> Mapping[str, tuple[str, str | None]]:
    """For each column that sorts: where its head leads, and which way it is sorted now."""
    sort = given.get("sort", "newest")

    def to(name: str) -> str:
        return _address(given, sort=name, page=None)

    is_rising, is_falling = sort == "pricing-low-to-high", sort == "pricing-high-to-low"
    return MappingProxyType(
        {
            "price": (
                to("pricing-high-to-low" if is_rising else "pricing-low-to-high"),
                "ascending" if is_rising else "descending" if is_falling else None,
            ),
            "context": (
                to("context-high-to-low"),
                "descending" if sort == "context-high-to-low" else None,
            ),
            "created": (to("newest"), "descending" if sort == "newest" else None),
        }
    )


def row_of(model: Model) -> ModelRow:
    return ModelRow(
        id=model.id,
        path=model_path(model.id),
        name=short_name(model),
        author=model.author,
        author_name=author_name(model),
        description=_first_words(model.description),
        price=price_line(model),
        context=shown.tokens(model.context_length),
        modality=(model.modality or "").replace("->", " → ").replace("+", ", "),
        created_s=model.created,
        is_served=is_served(model),
        expires=model.expiration_date,
        provider_count=len({one.provider for one in model.endpoints}),
    )


def is_served(model: Model) -> bool:
    """Whether the API has a way to call models of its kind."""
    return model.kind in _SERVED or "image" in model.output_modalities


HIDDEN_MODEL: Final = "A model that is not shown"  # in what was counted of it in public


def short_name(model: Model) -> str:
    """Without who made it."""
    return model.name.partition(": ")[2] or model.name


def author_name(model: Model) -> str:
    maker, colon, _ = model.name.partition(": ")
    return maker if colon else model.author.removeprefix("~")


def model_path(model_id: str) -> str:
    return "/" + quote(model_id, safe="/:~.-_")


def _first_words(text: str) -> str:
    text = " ".join(text.split())
    if len(text) <= DESCRIPTION_CHARACTERS_MAX:
        return text
    return text[:DESCRIPTION_CHARACTERS_MAX].rpartition(" ")[0].rstrip(",;:.") + "…"
