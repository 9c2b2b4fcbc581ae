"""Values about usage that was added up."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Final, NamedTuple, TypeAlias

from fairlead.core.ids import AccountId
from fairlead.core.money import NanoUSD

__all__ = [
    "INSTALLATION",
    "INSTALLATION_KEPT_AT",
    "KEPT_AT",
    "PRIVATE",
    "ActivityRow",
    "App",
    "Chart",
    "KeyName",
    "KeyUsage",
    "Level",
    "Names",
    "Resolution",
    "Series",
    "SpanUsage",
    "Sums",
]

_NOTHING: Final = NanoUSD(0)

INSTALLATION: Final = AccountId("")  # all accounts together
# ... and of those, calls that wanted their prompts kept by nobody: what is published is without them.
PRIVATE: Final = AccountId("~private")

Sums: TypeAlias = tuple[int, ...]  # in the order of store.tables.usage.MEASURES


class Resolution(StrEnum):
    """How long the spans are of which sums are kept. They begin at whole ones in UTC."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"  # from Monday on
    MONTH = "month"


class Level(IntEnum):
    """What sums tell apart. The fewer things, the fewer rows a question reads. Kept as numbers."""

    FULL = 0  # everything that a Series names
    MODEL = 1  # what answered: model, endpoint, provider, api_type, is_byok
    KEY = 2  # who asked: workspace, key, user
    APP = 3  # which app, and which model it asked
    WORKSPACE = 4  # what answered, and in which workspace
    MODEL_ALONE = 5
    APP_ALONE = 6
    PROVIDER_ALONE = 7


_ALONE: Final = (Level.PROVIDER_ALONE, Level.APP_ALONE, Level.MODEL_ALONE)
# The levels that are kept, the shortest to read first.
KEPT_AT: Final[dict[Resolution, tuple[Level, ...]]] = {
    Resolution.MINUTE: (Level.FULL,),
    Resolution.HOUR: (*_ALONE, Level.KEY, Level.MODEL, Level.FULL),
    Resolution.DAY: (*_ALONE, Level.KEY, Level.MODEL, Level.WORKSPACE, Level.FULL),
    Resolution.WEEK: (Level.MODEL, Level.FULL),
    Resolution.MONTH: (*_ALONE, Level.KEY, Level.MODEL, Level.FULL),
}
INSTALLATION_KEPT_AT: Final[dict[Resolution, tuple[Level, ...]]] = {
    Resolution.MINUTE: (),
    Resolution.HOUR: (Level.MODEL,),
    Resolution.DAY: (Level.MODEL_ALONE, Level.APP_ALONE, Level.MODEL, Level.APP),
    Resolution.WEEK: (Level.MODEL_ALONE, Level.APP_ALONE, Level.APP),
    Resolution.MONTH: (Level.MODEL_ALONE, Level.APP_ALONE, Level.MODEL, Level.APP),
}


class Series(NamedTuple):
    """One combination of what usage is told apart by; "" (0, False) where its level does not."""

    account: str
    level: int
    workspace: str = ""
    key: str = ""
    user: str = ""
    model: str = ""
    endpoint: str = ""
    provider: str = ""
    api_type: str = ""
    is_byok: bool = False
    app: int = 0


@dataclass(frozen=True, slots=True)
class SpanUsage:
    """What was charged, and the list price of calls with the caller's own credentials."""

    cost: NanoUSD = _NOTHING
    byok: NanoUSD = _NOTHING


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """What a key has used: ever, and since the beginning of this UTC day, week (Monday) and month.

    last_used_ms: when its latest call began; None: it made none.
    """

    total: SpanUsage = SpanUsage()
    daily: SpanUsage = SpanUsage()
    weekly: SpanUsage = SpanUsage()
    monthly: SpanUsage = SpanUsage()
    requests: int = 0
    last_used_ms: int | None = None


@dataclass(frozen=True, slots=True)
class App:
    """A program that says who it is when it calls.

    identity: its address. is_public: not on somebody's own machine, so it may appear in rankings.
    account: who first called with it; only that account's calls change its title and categories.
    """

    id: int
    identity: str
    account: AccountId
    title: str
    categories: tuple[str, ...]
    is_public: bool
    first_seen_ms: int


@dataclass(frozen=True, slots=True)
class ActivityRow:
    """One day of one endpoint. workspace: None: of all of them. byok: at list prices."""

    day_ms: int
    model: str
    endpoint: str
    provider: str
    workspace: str | None
    requests: int
    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    cached_tokens: int
    cost: NanoUSD
    byok: NanoUSD


@dataclass(frozen=True, slots=True)
class Chart:
    """Sums over time of the biggest groups by themselves, and of all others together.

    biggest: their values, the biggest first. sums: by (start of the bucket, value). rest: by start; what is
    left of the whole without them, also where that is nothing.
    """

    biggest: tuple[str | int | bool, ...]
    sums: dict[tuple[int, str | int | bool], list[int]]
    rest: dict[int, list[int]]


@dataclass(frozen=True, slots=True)
class KeyName:
    """hash: SHA-256 of the key, hexadecimal; what the API calls a key by."""

    hash: str
    name: str
    label: str


@dataclass(frozen=True, slots=True)
class Names:
    """What people call things, by id; what is gone for good is missing."""

    keys: dict[str, KeyName] = field(default_factory=dict)
    emails: dict[str, str | None] = field(default_factory=dict)
    workspaces: dict[str, str] = field(default_factory=dict)
    apps: dict[int, App] = field(default_factory=dict)
