"""From a request's `provider` object and its account's settings to `Preferences`. Pure.

A value that means nothing is refused with its path, as `provider.sort.by`: a wish that is silently dropped
could send a prompt where it must not go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from math import isfinite
from typing import Final, TypeVar

import msgspec

from fairlead.core.chat import HedgeSettings, ProviderPreferences
from fairlead.core.errors import RequestInvalid
from fairlead.core.money import PICO_PER_USD, PicoUSD
from fairlead.core.routing.preferences import (
    NO_ACCOUNT_WISHES,
    NO_WISHES,
    VARIANT_SORTS,
    AccountPreferences,
    Bounds,
    Hedge,
    MaxPrice,
    Partition,
    Preferences,
    Sort,
)

__all__ = ["NAMES_MAX", "NAME_CHARACTERS_MAX", "QUANTIZATIONS", "preferences_of"]

# Of each list. They are kept with every decision; there are some 70 providers, with a few endpoints each.
NAMES_MAX: Final = 200
NAME_CHARACTERS_MAX: Final = 128
QUANTIZATIONS: Final = (
    "int4", "int8", "fp4", "mxfp4", "nvfp4", "fp6", "fp8", "mxfp8", "fp16", "bf16", "fp32", "unknown",
)  # fmt: skip
_ROUTES: Final = {"fallback": Partition.MODEL, "sort": Partition.NONE}
_ANY_PROVIDER: Final = "auto"
_USD_MAX: Final = Decimal(
    10**6
)  # a bound beyond this bounds nothing; keeps the integers under 64 bits
_PICO_PER_USD_PER_MILLION: Final = PICO_PER_USD // 1_000_000
_BOUND_NAMES: Final = Bounds.__struct_fields__
_PRICE_SCALES: Final = {
    "prompt": _PICO_PER_USD_PER_MILLION,
    "completion": _PICO_PER_USD_PER_MILLION,
    "request": PICO_PER_USD,
    "image": PICO_PER_USD,
    "audio": PICO_PER_USD,
}

_Word = TypeVar("_Word", bound=StrEnum)


def preferences_of(
    provider: ProviderPreferences | str | None,
    account: AccountPreferences,
    *,
    route: str | None = None,
    variants: tuple[str, ...] = (),
    region: str | None = None,
) -> Preferences:
    """All wishes about one call.

    provider: the request's; a plain name means that provider and no other, "auto" any.
    route: the deprecated word for a partition. region: of the host that was called, "eu" or "us".
    variants: dynamic suffixes that hold for every model of the request; those of one model are its target's.
    Raises RequestInvalid with the path of the field that is wrong.
    """
    if provider is None or provider == _ANY_PROVIDER:
        if account is NO_ACCOUNT_WISHES and not variants and route is None and region is None:
            return NO_WISHES
        wishes = _NOTHING
    elif isinstance(provider, str):
        if len(provider) > NAME_CHARACTERS_MAX:
            raise _wrong("provider", _NAME_RULE)
        wishes = ProviderPreferences(only=[provider], allow_fallbacks=False)
    else:
        wishes = provider
    sort, partition = _sort(wishes.sort)
    if sort is None:
        sort = next(
            (VARIANT_SORTS[one] for one in reversed(variants) if one in VARIANT_SORTS), None
        )
    if partition is None:
        partition = Partition.MODEL if route is None else _one_of(_ROUTES, route, "route")
    only = _names(wishes.only, "provider.only")
    order = _names(wishes.order, "provider.order")
    if not order and sort is None:
        order = _lowered(account.default_provider_order)
    return Preferences(
        order=order,
        only=only or None,  # an empty list is what clients send for none
        ignore=_names(wishes.ignore, "provider.ignore"),
        allow_fallbacks=wishes.allow_fallbacks is not False,
        require_parameters=wishes.require_parameters is True,
        no_training=account.data_collection_deny or wishes.data_collection == "deny",
        zdr=account.zdr or wishes.zdr is True,
        enforce_distillable_text=(
            account.enforce_distillable_text or wishes.enforce_distillable_text is True
        ),
        quantizations=_quantizations(wishes.quantizations),
        sort=sort,
        partition=partition,
        max_price=_max_price(wishes.max_price),
        preferred_min_throughput=_bounds(
            wishes.preferred_min_throughput, "provider.preferred_min_throughput"
        ),
        preferred_max_latency=_bounds(
            wishes.preferred_max_latency, "provider.preferred_max_latency"
        ),
        hedge=_hedge(wishes.hedge, by_default=account.hedge),
        continue_streams=(
            account.continue_streams if wishes.continue_streams is None else wishes.continue_streams
        ),
        region=region,
        allowed_providers=(
            None if account.allowed_providers is None else _lowered(account.allowed_providers)
        ),
        ignored_providers=_lowered(account.ignored_providers),
        allowed_models=(
            None if account.allowed_models is None else _lowered(account.allowed_models)
        ),
        ignored_models=_lowered(account.ignored_models),
        zdr_authors=account.enforce_zdr_authors,
        no_paid_training=not account.enable_paid_model_training,
        no_free_training=not account.enable_free_model_training,
        no_free_publication=not account.enable_free_model_publication,
        default_sort=account.default_provider_sort,
    )


_NOTHING: Final = ProviderPreferences()


def _lowered(names: Iterable[str]) -> tuple[str, ...]:
    return tuple([name.lower() for name in names])


def _names(names: Sequence[str] | None, path: str) -> tuple[str, ...]:
    if not names:
        return ()
    if len(names) > NAMES_MAX:
        raise _wrong(path, f"must have at most {NAMES_MAX} names, not {len(names)}")
    for number, name in enumerate(names):
        if len(name) > NAME_CHARACTERS_MAX:
            raise _wrong(f"{path}[{number}]", _NAME_RULE)
    return _lowered(names)


_NAME_RULE: Final = f"must have at most {NAME_CHARACTERS_MAX} characters"


def _quantizations(words: Sequence[str] | None) -> tuple[str, ...]:
    if not words:
        return ()
    for number, word in enumerate(words):
        if word not in QUANTIZATIONS:
            raise _wrong(f"provider.quantizations[{number}]", _among(QUANTIZATIONS))
    return tuple(dict.fromkeys(words))


def _sort(raw: msgspec.Raw) -> tuple[Sort | None, Partition | None]:
    """By what, and whether across models; None for what is not said."""
    value = _decoded(raw, "provider.sort")
    if value is None:
        return None, None
    if not isinstance(value, dict):
        return _one_of(_SORTS, value, "provider.sort"), None
    by, partition = value.get("by"), value.get("partition")
    return (
        None if by is None else _one_of(_SORTS, by, "provider.sort.by"),
        None if partition is None else _one_of(_PARTITIONS, partition, "provider.sort.partition"),
    )


_SORTS: Final = {word.value: word for word in Sort}
_PARTITIONS: Final = {word.value: word for word in Partition}


def _one_of(words: dict[str, _Word], value: object, path: str) -> _Word:
    found = words.get(value) if isinstance(value, str) else None
    if found is None:
        raise _wrong(path, _among(words))
    return found


def _max_price(raw: msgspec.Raw) -> MaxPrice | None:
    value = _decoded(raw, "provider.max_price")
    if value is None:
        return None
    if not isinstance(value, dict):
        raise _wrong("provider.max_price", f"must be an object of {', '.join(_PRICE_SCALES)}")
    bounds = {
        name: _price(value[name], scale, f"provider.max_price.{name}")
        for name, scale in _PRICE_SCALES.items()
        if value.get(name) is not None
    }
    return MaxPrice(**bounds) if bounds else None


def _price(value: object, scale: int, path: str) -> PicoUSD:
    """Picodollars per unit, rounded down: what is finer than a picodollar decides between no two prices."""
    try:
        amount = Decimal(value) if isinstance(value, str) else _number(value)
    except InvalidOperation:
        amount = None
    if amount is None or not amount.is_finite() or amount < 0:
        raise _wrong(path, _PRICE_RULE)
    return PicoUSD(int(min(amount, _USD_MAX) * scale))


def _number(value: object) -> Decimal | None:
    """A JSON number; true and false are none."""
    if isinstance(value, Decimal):
        return value
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else None


_PRICE_RULE: Final = "must be a number of dollars that is not negative"


def _bounds(raw: msgspec.Raw, path: str) -> Bounds | None:
    """A bare number is about p50."""
    value = _decoded(raw, path)
    if value is None:
        return None
    if not isinstance(value, dict):
        return Bounds(p50=_bound(value, path))
    bounds = {
        name: _bound(value[name], f"{path}.{name}")
        for name in _BOUND_NAMES
        if value.get(name) is not None
    }
    return Bounds(**bounds) if bounds else None


def _bound(value: object, path: str) -> float:
    number = _number(value)
    if number is None or number < 0 or not isfinite(bound := float(number)):
        raise _wrong(path, "must be a number that is not negative")
    return bound


def _hedge(wish: bool | HedgeSettings | None, *, by_default: bool) -> Hedge | None:
    if wish is None:
        wish = by_default
    if isinstance(wish, bool):
        return _HEDGE if wish else None
    after_s = wish.after_s
    if after_s is not None and not (isfinite(after_s) and after_s > 0):
        raise _wrong("provider.hedge.after_s", "must be a number of seconds above 0")
    return Hedge(after_s)


_HEDGE: Final = Hedge()


def _decoded(raw: msgspec.Raw, path: str) -> object:
    """The value of a raw field, its numbers exact; None if it is absent or null."""
    if not raw:
        return None
    try:
        return _DECODER.decode(raw)
    except (msgspec.DecodeError, InvalidOperation):
        raise _wrong(path, "is not valid JSON") from None


_DECODER: Final = msgspec.json.Decoder(float_hook=Decimal)


def _among(words: Iterable[str]) -> str:
    return f"must be one of {', '.join(words)}"


def _wrong(path: str, rule: str) -> RequestInvalid:
    return RequestInvalid(f"`{path}` {rule}.", param=path)
