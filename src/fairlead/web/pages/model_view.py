"""What a model's page shows in its head and its overview. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from fairlead.control.standings.types import ModelActivity
from fairlead.core.catalog import (
    Endpoint,
    Modality,
    Model,
    ModelKind,
    Snapshot,
    UnknownModel,
)
from fairlead.core.health import EndpointFigures
from fairlead.core.ids import EndpointId, ModelId, ProviderSlug
from fairlead.core.routing.routers import ROUTERS
from fairlead.core.routing.variants import FREE, VARIANTS, has_free
from fairlead.web.api.model_listing import find
from fairlead.web.api.model_shapes import listed_endpoints
from fairlead.web.pages import shown
from fairlead.web.pages.model_list import (
    ModelRow,
    author_name,
    is_served,
    model_path,
    row_of,
    short_name,
)
from fairlead.web.pages.price_line import FREE_LINE, PriceLine, price_line
from fairlead.web.services import EndpointHealth

__all__ = [
    "TABS",
    "Found",
    "Head",
    "Known",
    "Overview",
    "found_model",
    "head_of",
    "known_now",
    "modalities",
    "month_text",
    "overview_of",
    "tab_path",
]

TABS: Final = (
    ("overview", "Overview"),
    ("providers", "Providers"),
    ("performance", "Performance"),
    ("pricing", "Pricing"),
    ("benchmarks", "Benchmarks"),
    ("apps", "Apps"),
    ("activity", "Activity"),
    ("uptime", "Uptime"),
    ("api", "API"),
)
OTHER_NAMES_MAX: Final = 8
SIBLINGS_MAX: Final = 3
_VARIANT_WORDS: Final[Mapping[str, str]] = {
    "free": "only endpoints that charge nothing",
    "extended": "only the endpoints with the longest context",
    "thinking": "reasoning is on unless the request says something about it",
    "nitro": "the fastest endpoint first",
    "floor": "the cheapest endpoint first",
    "exacto": "the endpoints whose tool calls are sound most often come first",
    "online": "accepted; nothing is searched for it yet",
    "beta": "accepted, without effect",
}
_OFFERED: Final = ("nitro", "floor", "exacto")  # what every model has, and is worth a word


@dataclass(frozen=True, slots=True)
class Found:
    """What an address names. model: under the name that it has in the list. variants: as written, in order.

    meant: the model whose endpoints and figures these are; its own, but for an alias of a family.
    """

    model: Model
    variants: tuple[str, ...]
    meant: ModelId

    @property
    def name(self) -> str:
        """What a call says."""
        return ":".join((self.model.id, *self.variants))


def found_model(snapshot: Snapshot, name: str) -> Found | None:
    """By any accepted name, with any variants. None: nobody has it."""
    base, variants = name, list[str]()
    while True:
        model = _known(snapshot, base.lower())
        if model is not None:
            meant = model.endpoints[0].model if model.endpoints else model.id
            return Found(model, tuple(reversed(variants)), meant)
        base, colon, suffix = base.rpartition(":")
        if not colon or suffix.lower() not in VARIANTS:
            return None
        variants.append(suffix.lower())


def _known(snapshot: Snapshot, name: str) -> Model | None:
    if name in ROUTERS or name in snapshot.families:
        found = find(snapshot, name)
        return None if isinstance(found, UnknownModel) else found
    known = snapshot.names.get(name)
    return None if known is None else snapshot.models[known]


@dataclass(frozen=True, slots=True)
class Known:
    """What this process knows of some endpoints at one moment. ready: providers that can be asked here."""

    health: Mapping[EndpointId, EndpointFigures]
    ready: frozenset[ProviderSlug]

    def figures(self, endpoint: Endpoint) -> EndpointFigures:
        return self.health.get(endpoint.id, _UNMEASURED)

    def can_serve(self, endpoint: Endpoint) -> bool:
        return endpoint.provider in self.ready


_UNMEASURED: Final = EndpointFigures()


def known_now(health: EndpointHealth, models: Iterable[Model]) -> Known:
    """To be asked where calls are counted: in the event loop. What comes of it may go anywhere."""
    endpoints = [one for model in models for one in listed_endpoints(model)]
    return Known(
        {one.id: health.figures(one.id) for one in endpoints},
        frozenset(one.provider for one in endpoints if health.can_serve(one.provider)),
    )


# --- the head -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Head:
    """What is above the tabs. name: what a call says. shutdown, variant: sentences, or None.

    is_chat: one can talk with it. is_served: whether calls of its kind are. is_router: it has no endpoints of
    its own. alias_of: the model that it means today: its name and page.
    provider_count: who offers it. ready_count: who of them can be asked here.
    """

    name: str
    path: str
    title: str
    short_name: str
    author_name: str
    author_path: str
    description: str
    price: PriceLine
    context: str
    max_output: str
    weekly: str
    reads: str
    writes: str
    created_s: int
    is_chat: bool
    is_served: bool
    is_router: bool
    shutdown: str | None
    variant: str | None
    alias_of: tuple[str, str] | None
    provider_count: int
    ready_count: int
    chat_path: str
    compare_path: str


def head_of(
    found: Found, snapshot: Snapshot, known: Known, activity: ModelActivity | None, *, now_s: float
) -> Head:
    """activity: with the last seven days in it; None: nothing is counted here."""
    model = found.model
    endpoints = listed_endpoints(model)
    is_router = not model.endpoints
    meant = snapshot.models.get(found.meant)
    is_alias = meant is not None and meant.id != model.id
    price = FREE_LINE if FREE in found.variants and has_free(model) else price_line(model)
    return Head(
        name=found.name,
        path=model_path(found.name),
        title=model.name,
        short_name=short_name(model),
        author_name=author_name(model),
        author_path=f"/models?{urlencode({'model_authors': model.author})}",
        description=model.description,
        price=price,
        context=shown.tokens(model.context_length),
        max_output=shown.tokens(model.max_completion_tokens),
        weekly=shown.compact(None if activity is None else activity.week_tokens),
        reads=modalities(model.input_modalities),
        writes=", ".join(model.output_modalities),
        created_s=model.created,
        is_chat=model.kind is ModelKind.CHAT,
        is_served=is_served(model),
        is_router=is_router,
        shutdown=_shutdown(model, endpoints, now_s),
        variant=_variant(found),
        alias_of=(meant.name, model_path(meant.id)) if is_alias and meant is not None else None,
        provider_count=len({one.provider for one in endpoints}),
        ready_count=len({one.provider for one in endpoints if known.can_serve(one)}),
        chat_path=f"/chat?{urlencode({'model': found.name}, safe='/:~')}",
        compare_path=f"/compare?{urlencode({'models': model.id}, safe='/:~')}",
    )


def modalities(words: Iterable[str]) -> str:
    given = set(words)
    return ", ".join(one for one in Modality if one in given)


def _variant(found: Found) -> str | None:
    if not found.variants:
        return None
    said = [f"\N{LEFT DOUBLE QUOTATION MARK}:{one}\N{RIGHT DOUBLE QUOTATION MARK}: {_VARIANT_WORDS[one]}"
            for one in found.variants]  # fmt: skip
    text = "This is the model with a variant. " + "; ".join(said) + "."
    if FREE in found.variants and not has_free(found.model):
        text += " Nobody offers this model for nothing at the moment, so calls of this name fail."
    return text


def _shutdown(model: Model, endpoints: list[Endpoint], now_s: float) -> str | None:
    """What has been announced of the model's end."""
    day = model.expiration_date
    if day is None:
        return None
    if not shown.is_past(day, now_s):
        return f"Its author will switch it off on {shown.day(day)}. After that it may be gone."
    left = {
        one.provider
        for one in endpoints
        if one.deprecation_date is None or not shown.is_past(one.deprecation_date, now_s)
    }
    text = f"Its author said that it would be switched off on {shown.day(day)}."
    if left:
        count = shown.plural(len(left), "provider")
        text += f" {count} with no such date, or a later one, still offer{'s' if len(left) == 1 else ''} it."
    return text


# --- the overview ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Overview:
    """facts: label and value. names: other names that calls may use. variants: name, page and words of each.
    siblings: the newest other models of its author."""

    facts: tuple[tuple[str, str], ...]
    hugging_face: str | None
    parameters: tuple[str, ...]
    names: tuple[str, ...]
    variants: tuple[tuple[str, str, str], ...]
    siblings: tuple[ModelRow, ...]


def overview_of(found: Found, snapshot: Snapshot, models: Iterable[Model]) -> Overview:
    """models: those that are listed, newest first."""
    model = found.model
    siblings = [
        one
        for one in models
        if one.author == model.author and one.id != model.id and one.id not in snapshot.families
    ]
    return Overview(
        facts=tuple((label, value) for label, value in _facts(model) if value),
        hugging_face=model.hugging_face_id,
        parameters=tuple(sorted(model.supported_parameters)),
        names=_other_names(model, snapshot),
        variants=tuple(
            (f"{model.id}:{one}", model_path(f"{model.id}:{one}"), _VARIANT_WORDS[one])
            for one in _OFFERED
            if model.endpoints
        ),
        siblings=tuple(map(row_of, siblings[:SIBLINGS_MAX])),
    )


def _facts(model: Model) -> Iterable[tuple[str, str]]:
    reasoning = model.reasoning
    yield "Author", author_name(model)
    yield "Released", shown.date(model.created) if model.created else ""
    yield "Knowledge until", month_text(model.knowledge_cutoff)
    yield "Context", f"{shown.count(model.context_length)} tokens" if model.context_length else ""
    most = model.max_completion_tokens
    yield "Max output", f"{shown.count(most)} tokens" if most else ""
    yield "Reads", modalities(model.input_modalities)
    yield "Writes", ", ".join(model.output_modalities)
    if reasoning.supported:
        efforts = (
            f"efforts {', '.join(reversed(reasoning.efforts))}" if reasoning.efforts else "yes"
        )
        yield "Reasoning", f"{efforts}{', always on' if reasoning.mandatory else ''}"
    elif model.endpoints:  # of a router, its choice decides
        yield "Reasoning", "no"
    yield "Tokenizer", model.tokenizer
    yield "Weights", {True: "open", False: "closed", None: ""}[model.open_weights]


def month_text(text: str | None) -> str:
    """A month of the catalogue, or a day: "Oct 2023"; nothing where none is known."""
    if text is None:
        return ""
    if len(text) != len("2023-10"):
        return shown.day(text)
    try:
        return f"{datetime.strptime(text, '%Y-%m').replace(tzinfo=UTC):%b %Y}"
    except ValueError:
        return text


def _other_names(model: Model, snapshot: Snapshot) -> tuple[str, ...]:
    names = (name for name, owner in snapshot.names.items() if owner == model.id)
    others = sorted(
        (one for one in names if one != model.id.lower()), key=lambda one: (len(one), one)
    )
    return tuple(others[:OTHER_NAMES_MAX])


def tab_path(head: Head, tab: str, **more: str) -> str:
    asked = ({} if tab == "overview" else {"tab": tab}) | more
    return f"{head.path}?{urlencode(asked)}" if asked else head.path
