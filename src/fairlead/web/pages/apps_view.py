"""What the pages of apps show. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.datastructures import QueryParams

from fairlead.control.standings.types import Period, Ranked, Rankings
from fairlead.control.usage.apps import CATEGORIES, CATEGORY_GROUPS
from fairlead.web.pages import shown
from fairlead.web.pages.paging import addressed
from fairlead.web.pages.ranking_view import PERIODS, Line, apps_in, category_label

__all__ = ["AppLine", "AppQuestion", "Choice", "app_lines", "app_question", "categories_of"]

TRENDING: Final = "trending"

Choice = tuple[str, str, str]  # for tabs and switchers: what it is, what it is called, its address


@dataclass(frozen=True, slots=True)
class AppQuestion:
    """What the address asks for. category: one, or a group of them; "": all. url: of one app; "": of none.
    is_trending: by growth, not by tokens."""

    period: Period
    category: str
    is_trending: bool
    url: str

    @property
    def group(self) -> str:
        """Of the category; "": all."""
        found = (
            group
            for group, members in CATEGORY_GROUPS.items()
            if self.category == group or self.category in members
        )
        return next(found, "")

    @property
    def periods(self) -> tuple[Choice, ...]:
        return tuple(
            (one.value, label, self._address(period=one.value if one is not Period.WEEK else ""))
            for one, label in PERIODS
        )

    @property
    def sorts(self) -> tuple[Choice, ...]:
        return (
            ("", "Most tokens", self._address(sort="")),
            (TRENDING, "Trending", self._address(sort=TRENDING)),
        )

    @property
    def groups(self) -> tuple[Choice, ...]:
        return (
            ("", "All", self._address(category="")),
            *((one, one.capitalize(), self._address(category=one)) for one in CATEGORY_GROUPS),
        )

    @property
    def categories(self) -> tuple[Choice, ...]:
        """Those of the group; none while all are shown."""
        if not self.group:
            return ()
        members = sorted(CATEGORY_GROUPS[self.group], key=category_label)
        return (
            (self.group, "All of these", self._address(category=self.group)),
            *((one, category_label(one), self._address(category=one)) for one in members),
        )

    @property
    def all_kinds(self) -> str:
        """The same without a category."""
        return self._address(category="")

    def _address(self, **changes: str) -> str:
        given = {
            "url": self.url,
            "category": self.category,
            "period": self.period.value if self.period is not Period.WEEK else "",
            "sort": TRENDING if self.is_trending else "",
        }
        return addressed("/apps", given | changes)


def app_question(query: QueryParams) -> AppQuestion:
    """Words that mean nothing are as if they were not there."""
    period, category = query.get("period", ""), query.get("category", "")
    return AppQuestion(
        Period(period) if period in set(Period) else Period.WEEK,
        category if category in CATEGORIES or category in CATEGORY_GROUPS else "",
        query.get("sort") == TRENDING,
        query.get("url", ""),
    )


def categories_of(categories: tuple[str, ...]) -> list[tuple[str, str]]:
    """Of an app: their labels, and where the others of each are."""
    return [(category_label(one), f"/apps?category={one}") for one in categories]


@dataclass(frozen=True, slots=True)
class AppLine:
    """categories: label and address. more: tokens above what is usual, where these are ranked by it."""

    line: Line
    categories: list[tuple[str, str]]
    more: str


def app_lines(rankings: Rankings) -> tuple[AppLine, ...]:
    return tuple(
        AppLine(line, categories_of(one.app.categories), f"+{shown.compact(_more(one))}")
        for line, one in zip(apps_in(rankings), rankings.rows, strict=True)
        if one.app is not None
    )


def _more(ranked: Ranked) -> int:
    return max(0, ranked.tokens - ranked.tokens_before)
