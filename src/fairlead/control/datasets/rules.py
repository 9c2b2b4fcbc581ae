"""Rankings as they are published. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final

from fairlead.control.datasets.types import (
    OTHER,
    AppRank,
    AppSort,
    Counted,
    ModelTokens,
    Most,
)
from fairlead.control.usage.apps import CATEGORY_GROUPS
from fairlead.control.usage.types import App

__all__ = ["WINDOWS_BEFORE", "app_ranks", "categories_asked", "with_other"]

WINDOWS_BEFORE: Final = 3  # whose mean tells what is usual for an app


def with_other(begins: date, most: Most) -> list[ModelTokens]:
    """The models of one period, and last the rest of it, if there is any."""
    day = begins.isoformat()
    rows = [ModelTokens(day, one.name, one.tokens) for one in most.rows]
    rest = most.tokens - sum(one.tokens for one in most.rows)
    if rest > 0:
        rows.append(ModelTokens(day, OTHER, rest))
    return rows


def categories_asked(category: str | None, subcategory: str | None) -> frozenset[str] | None:
    """Which an app is to have one of; None: whichever. Empty: they do not belong together.

    category: a group's name. subcategory: one of a group's.
    """
    group = None if category is None else CATEGORY_GROUPS[category]
    if subcategory is None:
        return group
    if group is not None and subcategory not in group:
        return frozenset()
    return frozenset({subcategory})


def app_ranks(
    now: Iterable[Counted],
    before: Iterable[Counted],
    apps: Mapping[int, App],
    sort: AppSort,
    *,
    wanted: frozenset[str] | None,
) -> list[AppRank]:
    """Of public apps alone, and of wanted categories.

    now: in the window. before: in the WINDOWS_BEFORE windows before it together. apps: by number.
    TRENDING: by what an app has in the window above the mean before; those that have no more are left out.
    """
    tokens_before = {one.name: one.tokens for one in before}
    sized = []
    for one in now:
        app = apps.get(one.name)
        if app is None or not app.is_public:
            continue
        if wanted is not None and wanted.isdisjoint(app.categories):
            continue
        # All of it WINDOWS_BEFORE times, so that no division rounds.
        size = WINDOWS_BEFORE * one.tokens
        if sort is AppSort.TRENDING:
            size -= tokens_before.get(app.id, 0)
        if size > 0:
            sized.append((-size, app.id, app.title, one))
    sized.sort(key=lambda each: each[:2])
    return [
        AppRank(place, number, title, one.tokens, one.requests)
        for place, (_, number, title, one) in enumerate(sized, 1)
    ]
