"""One `[[models]]` table of the configuration file: its fields, and what is wrong with one. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Final, Literal

import msgspec

from fairlead.core.catalog import DYNAMIC_VARIANTS, PARAMETERS, Modality, ModelKind
from fairlead.core.money import PicoUSD, PriceInvalid, parse_price
from fairlead.core.pricing import PriceSheet
from fairlead.core.service_tiers import TIERS

__all__ = ["ConfigurationInvalid", "ExtraModel", "perhaps", "prices_of", "read_table"]

ID_CHARACTERS_MAX: Final = 200
TAG_CHARACTERS_MAX: Final = 40
_TAG: Final = re.compile(rf"[a-z0-9._-]{{1,{TAG_CHARACTERS_MAX}}}")
_UNIT_PRICES: Final = frozenset(
    {"request", "web_search", "image_output", "audio_second", "character"}
)
_TOKEN_PRICES: Final = frozenset(PriceSheet.__struct_fields__) - _UNIT_PRICES - {"overrides"}


class ConfigurationInvalid(ValueError):
    """A `[[models]]` table cannot be used. path: which part, as `models[2].usd_per_token.prompt`."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message


class ExtraModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One `[[models]]` table.

    With `provider`, it adds the model's endpoint there or changes it, and adds the model if it is new;
    context_length and max_completion_tokens are then the endpoint's. Without, it changes a known model.

    tag tells several endpoints at one provider apart: `tag = "europe-west4"` is `google-vertex/europe-west4`,
    which has what the provider's endpoint without a tag has, but for what the table says. data_region: where
    the endpoint promises to answer; None: as its tag says, if it is a region.
    service_tier: the table gives the prices of that tier of the endpoint, and nothing else.

    Prices name their unit. Each is decimal text, or a number; 0 means free:
    usd_per_million_tokens, usd_per_token: prompt, completion, internal_reasoning, input_cache_read, ...
    usd_per_unit: request, web_search, image_output, audio_second, character.
    """

    id: str
    provider: str | None = None
    tag: str | None = None
    service_tier: Literal["priority", "flex"] | None = None
    data_region: Literal["eu", "us"] | None = None
    provider_model_id: str | None = None
    name: str | None = None
    description: str | None = None
    kind: ModelKind | None = None
    context_length: int | None = None
    max_completion_tokens: int | None = None
    max_prompt_tokens: int | None = None
    quantization: str | None = None
    input_modalities: tuple[Modality, ...] | None = None
    supported_parameters: tuple[str, ...] | None = None
    usd_per_million_tokens: dict[str, str | int | float] = {}
    usd_per_token: dict[str, str | int | float] = {}
    usd_per_unit: dict[str, str | int | float] = {}


def read_table(path: str, raw: Mapping[str, object]) -> ExtraModel:
    """The table at this path. Raises ConfigurationInvalid."""
    known = ExtraModel.__struct_fields__
    for field in raw:
        if field not in known:
            raise ConfigurationInvalid(f"{path}.{field}", f"unknown field{perhaps(field, known)}")
    try:
        table = msgspec.convert(raw, ExtraModel)
    except msgspec.ValidationError as error:
        message, _, at = str(error).partition(" - at `$")
        raise ConfigurationInvalid(path + at.rstrip("`"), message) from error
    _check_id(f"{path}.id", table.id)
    for name in ("context_length", "max_completion_tokens", "max_prompt_tokens"):
        count = getattr(table, name)
        if count is not None and count <= 0:
            raise ConfigurationInvalid(f"{path}.{name}", f"must be more than 0, not {count}")
    if table.tag is not None and (table.tag in TIERS or not _TAG.fullmatch(table.tag)):
        raise ConfigurationInvalid(
            f"{path}.tag",
            f"{table.tag!r} is a service tier: set `service_tier`"
            if table.tag in TIERS
            else f"must be up to {TAG_CHARACTERS_MAX} of a-z, 0-9, '.', '_' and '-', not {table.tag!r}",
        )
    for parameter in table.supported_parameters or ():
        if parameter not in PARAMETERS:
            raise ConfigurationInvalid(
                f"{path}.supported_parameters",
                f"{parameter!r} is no parameter{perhaps(parameter, PARAMETERS)}",
            )
    return table


def _check_id(path: str, slug: str) -> None:
    author, slash, rest = slug.partition("/")
    if not (author and slash and rest) or any(character.isspace() for character in slug):
        raise ConfigurationInvalid(path, f"must be 'author/slug' without spaces, not {slug!r}")
    if slug != slug.lower() or len(slug) > ID_CHARACTERS_MAX:
        raise ConfigurationInvalid(
            path, f"must be lower case and at most {ID_CHARACTERS_MAX} characters, not {slug!r}"
        )
    suffix = slug.rpartition(":")[2]
    if ":" in slug and suffix in DYNAMIC_VARIANTS:
        raise ConfigurationInvalid(path, f"':{suffix}' already works on every model")


def prices_of(path: str, table: ExtraModel) -> dict[str, PicoUSD]:
    """All prices of the table in picodollars. Raises ConfigurationInvalid for a name or number."""
    parsed: dict[str, PicoUSD] = {}
    for unit, written, names, exponent in (
        ("usd_per_million_tokens", table.usd_per_million_tokens, _TOKEN_PRICES, -6),
        ("usd_per_token", table.usd_per_token, _TOKEN_PRICES, 0),
        ("usd_per_unit", table.usd_per_unit, _UNIT_PRICES, 0),
    ):
        for name, amount in written.items():
            at = f"{path}.{unit}.{name}"
            if name not in names:
                raise ConfigurationInvalid(at, f"no price in this unit{perhaps(name, names)}")
            if name in parsed:
                raise ConfigurationInvalid(at, "is given in another unit too")
            # The shortest text of a TOML float is what was written, so it is read exactly.
            text = amount if isinstance(amount, str) else repr(amount)
            try:
                parsed[name] = parse_price(str(Decimal(text).scaleb(exponent)))
            except (PriceInvalid, InvalidOperation):
                raise ConfigurationInvalid(
                    at, f"{text!r} is not a price that we can hold exactly (in picodollars)"
                ) from None
    return parsed


def perhaps(word: str, words: Iterable[str]) -> str:
    close = get_close_matches(word, list(words), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
