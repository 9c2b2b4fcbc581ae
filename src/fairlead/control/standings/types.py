"""How models, authors, apps and endpoints stand. It is public: no account and no key is in any of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fairlead.control.usage.endpoints import EndpointSpan
from fairlead.control.usage.spans import Granularity

__all__ = [
    "ACTIVITY_DAYS_MAX",
    "RANKED_MAX",
    "SHARED_MAX",
    "AppStanding",
    "DayOfModel",
    "EndpointHistory",
    "EndpointUptime",
    "Histories",
    "ModelActivity",
    "Period",
    "ProviderHistory",
    "ProviderUptime",
    "ProviderUptimes",
    "PublicApp",
    "Ranked",
    "Rankings",
    "Shares",
    "Speed",
    "Subject",
    "Told",
    "Uptimes",
    "Window",
]

RANKED_MAX: Final = 200  # rows of one ranking
SHARED_MAX: Final = 20  # that a chart of shares tells apart
ACTIVITY_DAYS_MAX: Final = 366


class Subject(StrEnum):
    """What is ranked."""

    MODEL = "model"
    AUTHOR = "author"
    APP = "app"
    CATEGORY = "category"


class Period(StrEnum):
    """Today in UTC, or the last 7 or 30 days of which today is one."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    @property
    def days(self) -> int:
        return _DAYS[self]

    @property
    def shared_by(self) -> Granularity:
        """What a chart of shares is divided into: 30 days, 52 weeks or 24 months, the latest not over yet."""
        return Granularity(self.value)


class Window(StrEnum):
    """How far back an endpoint's history goes: 24 or 168 hours by the hour, 30 or 90 days by the day.

    The latest hour or day is not over yet.
    """

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"

    @property
    def is_by_hour(self) -> bool:
        return self in (Window.DAY, Window.WEEK)

    @property
    def points(self) -> int:
        return _POINTS[self]


_DAYS: Final[Mapping[Period, int]] = {Period.DAY: 1, Period.WEEK: 7, Period.MONTH: 30}
_POINTS: Final[Mapping[Window, int]] = {
    Window.DAY: 24,
    Window.WEEK: 7 * 24,
    Window.MONTH: 30,
    Window.QUARTER: 90,
}


@dataclass(frozen=True, slots=True)
class PublicApp:
    """address: what it is known by, https://cline.example. categories: of usage.apps.CATEGORIES."""

    id: int
    address: str
    title: str
    categories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ranked:
    """One row of a ranking.

    place: from 1. name: a model, an author, an app's title or a category. app: of rows that are apps.
    tokens: of prompts and completions. tokens_before: in as many days before these; of apps that are ranked by
    their growth, the mean of WINDOWS_BEFORE times so many days.
    share: of the ranking's tokens, in [0, 1].
    """

    place: int
    name: str
    tokens: int
    requests: int
    share: float
    tokens_before: int
    app: PublicApp | None = None

    @property
    def growth(self) -> float | None:
        """0.5: half as much again as before. None: there was nothing before."""
        if not self.tokens_before:
            return None
        return (self.tokens - self.tokens_before) / self.tokens_before


@dataclass(frozen=True, slots=True)
class Rankings:
    """Most tokens first, at most RANKED_MAX.

    tokens, requests: of all that could be in it, shown or not: all calls, or those that came from public apps
    (of the category that was asked for). An app may be in several categories, so their shares may be more
    than 1 together. count: of how many the rows are the first.
    """

    subject: Subject
    period: Period
    start_ms: int
    end_ms: int
    rows: tuple[Ranked, ...]
    tokens: int
    requests: int
    count: int


@dataclass(frozen=True, slots=True)
class Shares:
    """Tokens over time of the biggest, and of all others together.

    starts_ms: of the buckets, in order, also of those without calls. names: the biggest first. tokens: for
    each name, by bucket. rest: by bucket. apps: beside names, where these are titles of apps.
    """

    subject: Subject
    granularity: Granularity
    starts_ms: tuple[int, ...]
    names: tuple[str, ...]
    tokens: tuple[tuple[int, ...], ...]
    rest: tuple[int, ...]
    apps: tuple[PublicApp, ...] = ()

    def total(self, bucket: int) -> int:
        """All tokens of a bucket, by its place."""
        return self.rest[bucket] + sum(of_one[bucket] for of_one in self.tokens)

    def share(self, name: int, bucket: int) -> float:
        """In [0, 1]; both by their places. 0 where there were no calls."""
        total = self.total(bucket)
        return self.tokens[name][bucket] / total if total else 0.0


@dataclass(frozen=True, slots=True)
class Speed:
    """latency_s: to the first token. tokens_per_s: after it. Means of calls; None: no call tells."""

    latency_s: float | None
    tokens_per_s: float | None


@dataclass(frozen=True, slots=True)
class DayOfModel:
    """One day in UTC. reasoning_tokens are some of completion_tokens; cached_tokens of prompt_tokens."""

    start_ms: int
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    cached_tokens: int = 0
    tool_calls: int = 0  # answers that called tools

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class ModelActivity:
    """days: in order, also those without calls; today is the last. At most ACTIVITY_DAYS_MAX."""

    model: str
    days: tuple[DayOfModel, ...]

    @property
    def tokens(self) -> int:
        return sum(day.tokens for day in self.days)

    @property
    def requests(self) -> int:
        return sum(day.requests for day in self.days)

    @property
    def week_tokens(self) -> int:
        """Of the last seven days."""
        return sum(day.tokens for day in self.days[-7:])


@dataclass(frozen=True, slots=True)
class AppStanding:
    """An app's page. models: what it asked for, most tokens first. days: as ModelActivity's."""

    app: PublicApp
    models: Rankings
    days: tuple[DayOfModel, ...]


@dataclass(frozen=True, slots=True)
class EndpointHistory:
    """How one endpoint did. spans: those that had calls, in order. whole: of all of them together."""

    endpoint: str
    provider: str
    model: str
    spans: tuple[EndpointSpan, ...]
    whole: EndpointSpan


@dataclass(frozen=True, slots=True)
class Histories:
    """A model's endpoints, most calls first. starts_ms: of the window's hours or days, in
    order."""

    window: Window
    starts_ms: tuple[int, ...]
    endpoints: tuple[EndpointHistory, ...]


@dataclass(frozen=True, slots=True)
class ProviderHistory:
    """All endpoints of a provider together. spans: those that had calls, in order."""

    window: Window
    starts_ms: tuple[int, ...]
    spans: tuple[EndpointSpan, ...]


class _Uptime:
    """What follows from successes and outages."""

    __slots__ = ()

    successes: tuple[int, ...]
    outages: tuple[int, ...]

    @property
    def uptime(self) -> float | None:
        """In [0, 1]. None: nothing tells."""
        return _share(sum(self.successes), sum(self.outages))

    def uptime_at(self, bucket: int) -> float | None:
        return _share(self.successes[bucket], self.outages[bucket])


@dataclass(frozen=True, slots=True)
class Told:
    """What calls told of a provider, over all of a time."""

    successes: int
    outages: int

    @property
    def calls(self) -> int:
        return self.successes + self.outages

    @property
    def uptime(self) -> float | None:
        """In [0, 1]. None: nothing tells."""
        return _share(self.successes, self.outages)


@dataclass(frozen=True, slots=True)
class EndpointUptime(_Uptime):
    """successes, outages: beside the window's starts; other calls tell nothing of the endpoint."""

    endpoint: str
    provider: str
    model: str
    successes: tuple[int, ...]
    outages: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Uptimes:
    """Of every endpoint that had calls, by model and endpoint. starts_ms: of the window's hours or days."""

    window: Window
    starts_ms: tuple[int, ...]
    endpoints: tuple[EndpointUptime, ...]


@dataclass(frozen=True, slots=True)
class ProviderUptime(_Uptime):
    """As EndpointUptime, of all endpoints of a provider together."""

    provider: str
    successes: tuple[int, ...]
    outages: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ProviderUptimes:
    """Of every provider that had calls, by name. starts_ms: of the window's hours or days."""

    window: Window
    starts_ms: tuple[int, ...]
    providers: tuple[ProviderUptime, ...]


def _share(part: int, rest: int) -> float | None:
    return part / (part + rest) if part + rest else None
