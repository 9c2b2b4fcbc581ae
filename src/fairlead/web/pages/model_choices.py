"""Filters of the list of models of which one value is chosen: their fields, and why one may find nothing. Pure.

Names and values are the API's (`api/model_query.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from fairlead.web.api.model_query import FIGURES, TOOL_SUCCESS

__all__ = ["CHOICES_FIRST", "Choice", "choices_of", "unshown_of", "why_none"]

Options: TypeAlias = tuple[tuple[str, str], ...]

CHOICES_FIRST: Final = 3  # of the fields are always in sight
_PRICES: Final = (
    ("", "Any price"),
    ("0", "Free"),
    ("0.5", "Up to $0.50"),
    ("1", "Up to $1"),
    ("5", "Up to $5"),
    ("10", "Up to $10"),
)
_OUTPUT_PRICES: Final = (
    ("", "Any price"),
    ("1", "Up to $1"),
    ("5", "Up to $5"),
    ("15", "Up to $15"),
    ("60", "Up to $60"),
)
_CONTEXTS: Final = (
    ("", "Any length"),
    ("32000", "32K or more"),
    ("128000", "128K or more"),
    ("200000", "200K or more"),
    ("1000000", "1M or more"),
)
_AGES: Final = (
    ("", "Any time"),
    ("30", "In the last 30 days"),
    ("90", "In the last 90 days"),
    ("365", "In the last 365 days"),
)
_POLICIES: Final = (("", "Any data policy"), ("true", "Zero data retention"))
_REGIONS: Final = (("", "Anywhere"), ("eu", "European Union"), ("us", "United States"))
_DISTILLABLE: Final = (
    ("", "Any use"),
    ("true", "May train others"),
    ("false", "May not, or not known"),
)
_INDICES: Final = (
    ("", "Any, or none known"),
    *((str(one), f"{one} or more") for one in (50, 60, 70, 80)),
)
_TOOL_SUCCESS: Final = (
    ("", "Any, or none known"),
    ("0.9", "90% valid or more"),
    ("0.95", "95% valid or more"),
    ("0.99", "99% valid or more"),
)
# What is chosen one of: the API's name, the title, the usual values, and how any other of them is said.
_CHOICES: Final[tuple[tuple[str, str, Options, str], ...]] = (
    ("max_price", "Input price", _PRICES, "Up to ${}"),
    ("max_output_price", "Output price", _OUTPUT_PRICES, "Up to ${}"),
    ("context", "Context", _CONTEXTS, "{} tokens or more"),
    ("max_age_days", "Released", _AGES, "In the last {} days"),
    ("zdr", "Prompts", _POLICIES, "{}"),
    ("region", "Served in", _REGIONS, "{}"),
    ("distillable", "Answers", _DISTILLABLE, "{}"),
    ("min_intelligence_index", "Intelligence index", _INDICES, "{} or more"),
    ("min_coding_index", "Coding index", _INDICES, "{} or more"),
    ("min_agentic_index", "Agentic index", _INDICES, "{} or more"),
    ("min_tool_success_rate", "Tool calls, last two hours", _TOOL_SUCCESS, "{} or more"),
)
# Filters that an address may have, although the page has no field for them.
_UNSHOWN: Final = (
    "category",
    "min_price",
    "min_output_price",
    "min_age_days",
    *(f"max_{figure}" for figure in FIGURES),
)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several. options: pairs of a value and what it is called; what is chosen is among them."""

    name: str
    title: str
    options: Options
    chosen: str


def choices_of(given: Mapping[str, str], *, has_indices: bool) -> tuple[Choice, ...]:
    """given: the parameters of the address. has_indices: whether any model has an index."""
    return tuple(
        _choice(given, *one)
        for one in _CHOICES
        if has_indices or not one[0].endswith("_index") or one[0] in given
    )


def _choice(given: Mapping[str, str], name: str, title: str, usual: Options, said: str) -> Choice:
    value = given.get(name, "")
    if value not in dict(usual):
        usual = (*usual, (value, said.format(value)))
    return Choice(name, title, usual, value)


def why_none(given: Mapping[str, str]) -> str:
    """What the catalogue does not know, so that no model is found by it."""
    if "category" in given:
        return "The catalogue puts no model into a category, so this filter finds none."
    if any(f"{bound}_{TOOL_SUCCESS}" in given for bound in ("min", "max")):
        return (
            "Only models of which somebody had tools called here in the last two hours have such a"
            " figure. Other filters may leave nothing of these."
        )
    if any(name.endswith("_index") for name in given):
        return (
            "Only models of which results of benchmarks are published have such a figure. Other filters"
            " may leave nothing of these."
        )
    if "region" in given:
        return (
            "Where an endpoint serves is known only where this installation's operator has set its"
            " provider up in a region. Other filters may leave nothing of these."
        )
    return "Take a filter away, or search for a part of the name."


def unshown_of(given: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Filters that the form has to keep, although no field of it shows them."""
    return tuple((name, given[name]) for name in _UNSHOWN if name in given)
