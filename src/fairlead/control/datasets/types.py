"""What the published data sets say. No account, key, person or prompt is in any of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec

__all__ = [
    "APPS_PER_PAGE_MAX",
    "APP_OFFSET_MAX",
    "CELLS_PER_PAGE_MAX",
    "CELL_OFFSET_MAX",
    "MODELS_PER_PERIOD",
    "OTHER",
    "VERSION",
    "AppRank",
    "AppSort",
    "CalendarPeriod",
    "Counted",
    "ModelTokens",
    "Most",
    "SessionCell",
    "SessionCosts",
    "TurnRange",
]

VERSION: Final = "v1"  # of the fields of all data sets
MODELS_PER_PERIOD: Final = 50  # by themselves; all others are one row
OTHER: Final = "other"  # its name
APPS_PER_PAGE_MAX: Final = 100
APP_OFFSET_MAX: Final = 100
CELLS_PER_PAGE_MAX: Final = 500
CELL_OFFSET_MAX: Final = 5000


class CalendarPeriod(StrEnum):
    """Of the calendar: rankings are published for each day, week from Monday, or month."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class AppSort(StrEnum):
    POPULAR = "popular"
    TRENDING = "trending"


class TurnRange(StrEnum):
    """How many answers a session had."""

    ONE = "1-turn"
    FEW = "2-9-turns"
    SOME = "10-49-turns"
    MANY = "50-plus-turns"


class Counted(NamedTuple):
    """name: a model's, or an app's number. tokens: of prompts and completions."""

    name: Any
    tokens: int
    requests: int


@dataclass(frozen=True, slots=True)
class Most:
    """rows: most tokens first. tokens: of all that were counted, of those without a row too."""

    rows: tuple[Counted, ...]
    tokens: int


class ModelTokens(msgspec.Struct, frozen=True, gc=False):
    """date: "YYYY-MM-DD", when the day, week or month begins. model: OTHER: all that are not among the most."""

    date: str
    model: str
    tokens: int


class AppRank(msgspec.Struct, frozen=True, gc=False):
    """rank: from 1, among all that were ranked."""

    rank: int
    app: int
    title: str
    tokens: int
    requests: int


class SessionCell(msgspec.Struct, frozen=True, gc=False):
    """What a session costs at the median: of one app, mostly with one model, of so many turns.

    slug: the app's address without its scheme, as "cline.example".
    """

    slug: str
    title: str
    turns: TurnRange
    model: str
    median_usd: float


class SessionCosts(msgspec.Struct, frozen=True):
    """made_ms: when. last_day: of the sessions, "YYYY-MM-DD". cells: by app, model and turns."""

    made_ms: int
    last_day: str
    days: int
    cells: tuple[SessionCell, ...] = ()
