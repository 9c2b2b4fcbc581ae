"""What calls of a model would cost that somebody has in mind. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from fairlead.core.catalog import Endpoint, Model, ModelKind
from fairlead.core.money import PicoUSD
from fairlead.core.pricing import PriceSheet, charge, prices_in_force
from fairlead.core.usage import Usage
from fairlead.web.api.model_shapes import listed_endpoints
from fairlead.web.pages import shown
from fairlead.web.pages.model_prices import is_per_million, priced_text

__all__ = ["COUNT_MAX", "Answer", "Calculator", "Entry", "Part", "calculator_of"]

COUNT_MAX: Final = 10**9  # of tokens and of calls that one may ask about
_TYPED_MAX: Final = 20
_COUNTED: Final = frozenset(
    {ModelKind.CHAT, ModelKind.EMBEDDING, ModelKind.RERANK, ModelKind.IMAGE}
)
_WRITING: Final = frozenset({ModelKind.CHAT, ModelKind.IMAGE})


@dataclass(frozen=True, slots=True)
class _Kind:
    """What of a call is counted. usage: where `Usage` counts it. plain: the prices, the nearest first, that are
    taken where there is none of its own; without them, what has none costs nothing."""

    name: str
    label: str
    what: str
    usage: str
    price: str
    plain: tuple[str, ...] = ()
    usual: str = "0"


_IN: Final = ("prompt",)
_OUT: Final = ("completion",)
_KINDS: Final = (
    _Kind("prompt", "Input tokens", "input tokens", "prompt", "prompt", usual="1000"),
    _Kind("cached", "Of these cached", "cached input tokens", "cache_read", "input_cache_read", _IN),
    _Kind(
        "written", "Of these to be cached", "input tokens written to the cache", "cache_write",
        "input_cache_write", _IN,
    ),
    _Kind(
        "written_1h", "To be cached, 1 hour", "input tokens cached for an hour", "cache_write_1h",
        "input_cache_write_1h", ("input_cache_write", *_IN),
    ),
    _Kind("image", "Image tokens, input", "image tokens", "prompt_image", "image_token", _IN),
    _Kind("audio", "Audio tokens, input", "audio tokens", "prompt_audio", "audio", _IN),
    _Kind("completion", "Output tokens", "output tokens", "completion", "completion", usual="500"),
    _Kind(
        "image_output", "Image tokens, output", "image tokens of the answer", "completion_image",
        "image_output_token", _OUT,
    ),
    _Kind(
        "audio_output", "Audio tokens, output", "audio tokens of the answer", "completion_audio",
        "audio_output", _OUT,
    ),
    _Kind("searches", "Searches", "searches", "web_searches", "web_search"),
)  # fmt: skip
_OF_THE_PROMPT: Final = ("cached", "written", "written_1h")


@dataclass(frozen=True, slots=True)
class Entry:
    """A field. value: as it was typed. problem: what is wrong with it, or None."""

    name: str
    label: str
    value: str
    problem: str | None
    hint: str | None


@dataclass(frozen=True, slots=True)
class Part:
    """One line of a sum: how many, of what, at which price, and what that is."""

    count: str
    what: str
    price: str
    amount: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What such calls cost. parts: of one call. total: of one call, as it is charged; all_calls: of all."""

    parts: tuple[Part, ...]
    total: str
    all_calls: str
    calls: str
    is_conditional: bool


@dataclass(frozen=True, slots=True)
class Calculator:
    """answer: None while there are problems."""

    endpoints: tuple[tuple[str, str], ...]
    endpoint: str
    entries: tuple[Entry, ...]
    answer: Answer | None


def calculator_of(model: Model, asked: Mapping[str, str], *, now_s: float) -> Calculator | None:
    """asked: what it was given. None: there is nothing to count."""
    endpoints = listed_endpoints(model)
    if model.kind not in _COUNTED or not endpoints:
        return None
    chosen = next((one for one in endpoints if one.tag == asked.get("at")), endpoints[0])
    kinds = [one for one in _KINDS if _is_asked_for(one, model, endpoints)]
    usual = {one.name: one.usual for one in kinds} | {"calls": "1000"}
    typed = {name: asked.get(name, default)[:_TYPED_MAX] for name, default in usual.items()}
    numbers = {name: _whole(text) for name, text in typed.items()}
    problems = _problems(numbers)
    labels = {one.name: one.label for one in kinds} | {"calls": "Calls"}
    return Calculator(
        endpoints=tuple((one.tag, _offer(one)) for one in endpoints),
        endpoint=chosen.tag,
        entries=tuple(
            Entry(name, labels[name], text, problems.get(name), _hint(name, chosen.prices))
            for name, text in typed.items()
        ),
        answer=None
        if problems
        else _answer(
            chosen.prices,
            kinds,
            {name: number or 0 for name, number in numbers.items()},
            now_s=now_s,
        ),
    )


def _is_asked_for(kind: _Kind, model: Model, endpoints: Sequence[Endpoint]) -> bool:
    """Plain tokens where the model has any; all else where somebody has a price for it."""
    if kind.name == "prompt":
        return True
    if kind.name == "completion":
        return model.kind in _WRITING
    return any(getattr(one.prices, kind.price) is not None for one in endpoints)


def _problems(numbers: Mapping[str, int | None]) -> dict[str, str]:
    problems = {
        name: f"A whole number from 0 to {shown.count(COUNT_MAX)}."
        for name, number in numbers.items()
        if number is None
    }
    left = numbers["prompt"] or 0
    for name in () if problems else _OF_THE_PROMPT:
        left -= numbers.get(name) or 0
        if left < 0:
            return {name: "Not more than there are input tokens."}
    return problems


def _hint(name: str, sheet: PriceSheet) -> str | None:
    """How many tokens an image of the answer is, from what each costs."""
    if name != "image_output" or not sheet.image_output or not sheet.image_output_token:
        return None
    return (
        f"About {shown.count(round(sheet.image_output / sheet.image_output_token, -1))} an image."
    )


def _offer(endpoint: Endpoint) -> str:
    prices = endpoint.prices
    prompt, completion = shown.per_million(prices.prompt), shown.per_million(prices.completion)
    return f"{endpoint.tag}: {prompt} in, {completion} out"


def _whole(text: str) -> int | None:
    """People write commas and spaces into big numbers."""
    text = text.replace(",", "").replace(" ", "").replace("\N{NO-BREAK SPACE}", "")
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()) or int(text) > COUNT_MAX:
        return None
    return int(text)


def _answer(
    sheet: PriceSheet, kinds: Sequence[_Kind], numbers: Mapping[str, int], *, now_s: float
) -> Answer:
    counts = {one.name: numbers[one.name] for one in kinds}
    counts["prompt"] -= sum(counts.get(name, 0) for name in _OF_THE_PROMPT)
    usage = msgspec.structs.replace(Usage(), **{one.usage: counts[one.name] for one in kinds})
    held = prices_in_force(sheet, prompt_tokens=usage.prompt_tokens, at_s=now_s)
    parts = [
        _part(counts[one.name], one.what, one.price, _price(held, one))
        for one in kinds
        if counts[one.name]
    ]
    if held.request:
        parts.append(_part(1, "call", "request", held.request))
    total = charge(usage, sheet, at_s=now_s).total
    return Answer(
        parts=tuple(parts),
        total=shown.dollars(total),
        all_calls=shown.dollars(total * numbers["calls"]),
        calls=shown.plural(numbers["calls"], "call"),
        is_conditional=held is not sheet,
    )


def _price(sheet: PriceSheet, kind: _Kind) -> PicoUSD:
    """As `charge` takes it."""
    prices: Iterator[PicoUSD | None] = (getattr(sheet, name) for name in (kind.price, *kind.plain))
    return next((one for one in prices if one is not None), PicoUSD(0))


def _part(count: int, what: str, name: str, price: PicoUSD) -> Part:
    """what: of many."""
    if count == 1:
        what = what.replace("tokens", "token").replace("searches", "search")
    return Part(
        shown.count(count),
        what,
        priced_text(name, price) + (" per million" if is_per_million(name) and price else ""),
        shown.unit_price(PicoUSD(count * price)),
    )
