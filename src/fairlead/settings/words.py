"""Settings in words: for messages about wrong values, and for the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, get_args

import msgspec
from msgspec import Meta, inspect

from fairlead.settings.people import OidcSettings
from fairlead.settings.types import (
    ANNOTATIONS,
    OIDC_ANNOTATIONS,
    PROVIDER_ANNOTATIONS,
    SECTIONS,
    ProviderSettings,
)

__all__ = ["Setting", "every_setting", "kind_of", "nearest", "seen", "wanted"]

SEEN_CHARACTERS_MAX: Final = 40  # of a wrong value, in a message


def nearest(name: str, known: list[str]) -> str:
    """The known name that looks most like `name`."""
    return get_close_matches(name, known, n=1, cutoff=0.0)[0]


def kind_of(value: object) -> str:
    match value:
        case bool():
            return "true or false"
        case int():
            return "a whole number"
        case float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case dict():
            return "a table"
        case _:
            return f"a {type(value).__name__}"


def seen(value: object, annotation: object) -> str:
    """A wrong value, where it may be shown: never a secret's or an address's (people paste keys into the
    wrong field), never a text so long that it may be a key."""
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value) if isinstance(value, str | int | float) else ""
    is_private = _is_private(inspect.type_info(annotation)) or text.startswith("'env:")
    if is_private or not text or len(text) > SEEN_CHARACTERS_MAX:
        return kind_of(value)
    return text


def _is_private(kind: inspect.Type) -> bool:
    match kind:
        case inspect.Metadata(type=inner):
            return _is_private(inner)
        case inspect.UnionType(types=types):
            return any(_is_private(one) for one in types)
        case inspect.StrType(pattern=pattern):
            return pattern is not None
        case _:
            return isinstance(kind, inspect.CustomType)


def wanted(annotation: object) -> str:
    """What a setting may be, as "a whole number from 0 to 65535"."""
    return _wanted(inspect.type_info(annotation))


def _wanted(kind: inspect.Type) -> str:
    match kind:
        case inspect.Metadata(type=inner):
            return _wanted(inner)
        case inspect.UnionType(types=types):
            return " or ".join(_wanted(one) for one in types if one != inspect.NoneType())
        case inspect.IntType(ge=low, le=high):
            return f"a whole number from {low} to {high}"
        case inspect.FloatType(gt=None, ge=low, le=high):
            return f"a number from {low} to {high}"
        case inspect.FloatType(le=high):
            return f"a number above 0, up to {high}"
        case inspect.BoolType():
            return "true or false"
        case inspect.LiteralType(values=values):
            return "one of " + ", ".join(str(value) for value in values)
        case inspect.StrType(pattern=None) | inspect.CustomType():
            return "text"
        case inspect.StrType():
            return "an address that begins with http:// or https://, without user name, query or fragment"
        case _:
            raise AssertionError(f"a setting of type {kind} needs words here")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, for the documentation. default: as TOML, "" where there is none."""

    name: str
    variable: str
    wanted: str
    default: str
    description: str


def every_setting() -> Iterator[Setting]:
    """All settings in the order of the file; a provider's keys come once, as `providers.<slug>.…`."""
    groups = [(name, name.upper(), struct, ANNOTATIONS[name]) for name, struct in SECTIONS.items()]
    groups.append(("oidc.<name>", "OIDC__<NAME>", OidcSettings, OIDC_ANNOTATIONS))
    groups.append(("providers.<slug>", "PROVIDERS__<SLUG>", ProviderSettings, PROVIDER_ANNOTATIONS))
    for section, variable, struct, hints in groups:
        for field in msgspec.structs.fields(struct):
            if field.name not in hints:
                continue
            annotation = hints[field.name]
            default = field.default
            yield Setting(
                name=f"{section}.{field.name}",
                variable=f"FAIRLEAD_{variable}__{field.name.upper()}",
                wanted=wanted(annotation),
                default="" if default is None else msgspec.json.encode(default).decode(),
                description=next(
                    one.description
                    for one in get_args(annotation)
                    if isinstance(one, Meta) and one.description
                ),
            )
