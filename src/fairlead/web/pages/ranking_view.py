"""What the pages of rankings and apps show. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

from starlette.datastructures import QueryParams

from fairlead.control.standings.types import (
    AppStanding,
    Period,
    PublicApp,
    Ranked,
    Rankings,
    Shares,
    Subject,
)
from fairlead.control.usage.apps import CATEGORIES, CATEGORY_GROUPS
from fairlead.control.usage.spans import Granularity
from fairlead.core.catalog import Snapshot
from fairlead.core.ids import ModelId
from fairlead.web.pages import shown
from fairlead.web.pages.charts import Chart, chart, distinct
from fairlead.web.pages.model_list import HIDDEN_MODEL, author_name, model_path, short_name
from fairlead.web.pages.paging import addressed

__all__ = [
    "CATEGORY_OPTIONS",
    "PERIODS",
    "Board",
    "Line",
    "Question",
    "app_address",
    "app_host",
    "apps_in",
    "board",
    "category_label",
    "days_chart",
    "left_out",
    "model_lines",
    "question_of",
    "shares_chart",
]

SHOWN_FIRST: Final = 25
SERIES_SHOWN: Final = 8  # as many as there are colours
OTHERS: Final = "Others"
BUCKETS_MIN: Final = 5  # of a chart, however young the installation
MANIFOLD_FROM: Final = 10  # growth of 1,000% and more is said as so many times
PLAIN_TOKENS: Final = "tokens"
_MS_PER_S: Final = 1000

SUBJECTS: Final = (
    (Subject.MODEL, "Models"),
    (Subject.AUTHOR, "Authors"),
    (Subject.APP, "Apps"),
    (Subject.CATEGORY, "Categories"),
)
PERIODS: Final = ((Period.DAY, "Today"), (Period.WEEK, "This week"), (Period.MONTH, "This month"))
_PERIOD_WORDS: Final[Mapping[Period, str]] = MappingProxyType(
    {
        Period.DAY: "today, in UTC",
        Period.WEEK: "in the last 7 days",
        Period.MONTH: "in the last 30 days",
    }
)
_BUCKETS: Final[Mapping[Granularity, str]] = MappingProxyType(
    {Granularity.DAY: "Day", Granularity.WEEK: "Week", Granularity.MONTH: "Month"}
)
_LABELS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cli-agent": "CLI agents",
        "ide-extension": "IDE extensions",
        "cloud-agent": "Cloud agents",
        "programming-app": "Programming apps",
        "native-app-builder": "App builders",
        "creative-writing": "Creative writing",
        "video-gen": "Video",
        "image-gen": "Images",
        "audio-gen": "Audio",
        "writing-assistant": "Writing assistants",
        "general-chat": "Chat",
        "personal-agent": "Personal agents",
        "legal": "Legal",
        "roleplay": "Roleplay",
        "game": "Games",
    }
)


def category_label(category: str) -> str:
    return _LABELS.get(category) or category.replace("-", " ").capitalize()


CATEGORY_OPTIONS: Final = (
    ("", "All calls"),
    *(
        option
        for group, members in CATEGORY_GROUPS.items()
        for option in (
            (group, f"{group.capitalize()}: all"),
            *((one, f"{group.capitalize()}: {category_label(one)}") for one in sorted(members)),
        )
    ),
)


@dataclass(frozen=True, slots=True)
class Question:
    """What the address asks for. category: "": all. is_tokens: the chart shows tokens, not shares."""

    subject: Subject
    period: Period
    category: str
    is_tokens: bool
    is_whole: bool

    def address(self, path: str = "/rankings", **changes: str | None) -> str:
        given = {
            "by": self.subject.value if self.subject is not Subject.MODEL else "",
            "period": self.period.value if self.period is not Period.WEEK else "",
            "category": self.category,
            "chart": PLAIN_TOKENS if self.is_tokens else "",
            "all": "true" if self.is_whole else "",
        }
        return addressed(path, {name: value or "" for name, value in {**given, **changes}.items()})


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a ranking. path: "": nothing is there to see. detail: below the name.
    growth_tone: success or ""."""

    place: int
    name: str
    detail: str
    path: str
    tokens: str
    tokens_exact: str
    requests: str
    share: float
    before: str
    growth: str
    growth_tone: str


@dataclass(frozen=True, slots=True)
class Board:
    """more: the address with more of them, and in words how many; None: there is none. cut: what is to be said
    of those that are not even there; "": nothing."""

    lines: tuple[Line, ...]
    tokens: str
    requests: str
    when: str
    more: tuple[str, str] | None
    cut: str
    subjects: tuple[tuple[str, str, str], ...]
    periods: tuple[tuple[str, str, str], ...]
    charts: tuple[tuple[str, str, str], ...]


def question_of(query: QueryParams) -> Question:
    """Words that mean nothing are as if they were not there."""
    by, period, category = query.get("by", ""), query.get("period", ""), query.get("category", "")
    subject = Subject(by) if by in set(Subject) else Subject.MODEL
    is_known = category in CATEGORIES or category in CATEGORY_GROUPS
    return Question(
        subject,
        Period(period) if period in set(Period) else Period.WEEK,
        category if is_known and subject is not Subject.CATEGORY else "",
        query.get("chart") == PLAIN_TOKENS,
        query.get("all") == "true",
    )


def board(question: Question, rankings: Rankings, snapshot: Snapshot) -> Board:
    rows = rankings.rows if question.is_whole else rankings.rows[:SHOWN_FIRST]
    more = None
    if len(rows) < len(rankings.rows):
        count = f"all {rankings.count:,}"
        if left_out(rankings):
            count = f"the first {len(rankings.rows):,} of {rankings.count:,}"
        more = question.address(all="true"), f"Show {count}"
    return Board(
        lines=tuple(_line(question, one, snapshot) for one in rows),
        tokens=shown.compact(rankings.tokens),
        requests=shown.count(rankings.requests),
        when=_PERIOD_WORDS[rankings.period],
        more=more,
        cut="" if more else left_out(rankings),
        subjects=tuple(
            (
                subject.value,
                label,
                question.address(
                    by=subject.value if subject is not Subject.MODEL else None,
                    category=None if subject is Subject.CATEGORY else question.category,
                    all=None,
                ),
            )
            for subject, label in SUBJECTS
        ),
        periods=tuple(
            (
                period.value,
                label,
                question.address(period=period.value if period is not Period.WEEK else None),
            )
            for period, label in PERIODS
        ),
        charts=(
            ("share", "Share", question.address(chart=None)),
            (PLAIN_TOKENS, "Tokens", question.address(chart=PLAIN_TOKENS)),
        ),
    )


def left_out(rankings: Rankings) -> str:
    """Of those that a ranking does not hold, in a sentence; "" where it holds all."""
    if len(rankings.rows) == rankings.count:
        return ""
    return f"The first {len(rankings.rows):,} of {rankings.count:,}."


def _line(question: Question, ranked: Ranked, snapshot: Snapshot) -> Line:
    name, detail, path = _called(question.subject, ranked.name, ranked.app, snapshot)
    growth = ranked.growth
    return Line(
        place=ranked.place,
        name=name,
        detail=detail,
        path=path,
        tokens=shown.compact(ranked.tokens),
        tokens_exact=shown.count(ranked.tokens),
        requests=shown.count(ranked.requests),
        share=min(1.0, ranked.share),
        before=shown.compact(ranked.tokens_before),
        growth=_growth(growth),
        growth_tone="success" if growth is not None and growth >= 0.005 else "",
    )


def _growth(growth: float | None) -> str:
    if growth is None:
        return "new"
    if growth >= MANIFOLD_FROM:
        return f"\N{MULTIPLICATION SIGN}{growth + 1:,.0f}"
    percent = round(growth * 100)
    return f"{percent:+}%".replace("-", "\N{MINUS SIGN}") if percent else "0%"


def _called(
    subject: Subject, name: str, app: PublicApp | None, snapshot: Snapshot
) -> tuple[str, str, str]:
    """Its name, what is below it, and where it leads."""
    match subject:
        case Subject.MODEL:
            if name in snapshot.hidden:
                return HIDDEN_MODEL, "", ""
            model = snapshot.models.get(ModelId(name))
            if model is None:
                return name, "not in the catalogue any more", ""
            return short_name(model), name, model_path(name)
        case Subject.AUTHOR:
            of_author = next((one for one in snapshot.models.values() if one.author == name), None)
            if of_author is None:
                return name, "", ""
            return author_name(of_author), name, f"/models?model_authors={quote(name, safe='')}"
        case Subject.APP:
            assert app is not None, "apps are ranked with what they are"
            return app.title, app_host(app), app_address(app)
        case Subject.CATEGORY:
            return category_label(name), name, f"/apps?{urlencode({'category': name})}"


def app_address(app: PublicApp) -> str:
    """Its page here."""
    return f"/apps?{urlencode({'url': app.address})}"


def app_host(app: PublicApp) -> str:
    """As people read addresses: without the scheme."""
    parts = urlsplit(app.address)
    return f"{parts.netloc}{parts.path}"


# --- charts ---


def shares_chart(question: Question, shares: Shares, snapshot: Snapshot) -> tuple[Chart, str]:
    """The chart, and in a sentence what one sees. From the first bucket with calls on, and some before."""
    totals = [shares.total(bucket) for bucket in range(len(shares.starts_ms))]
    first = next((bucket for bucket, total in enumerate(totals) if total), None)
    if first is None:
        return Chart(_BUCKETS[shares.granularity], (), ()), "Nothing was called in this time."
    begin = min(first, len(totals) - BUCKETS_MIN)
    names = distinct(
        _called(question.subject, name, shares.apps[place] if shares.apps else None, snapshot)[0]
        for place, name in enumerate(shares.names)
    )
    has_others = any(shares.rest[begin:])
    rows = []
    for bucket in range(begin, len(totals)):
        tokens = [of_one[bucket] for of_one in shares.tokens]
        if has_others:
            tokens.append(shares.rest[bucket])
        values: list[float | int | None] = list(tokens)
        if not question.is_tokens:
            together = sum(tokens)
            values = [one / together if together else 0.0 for one in tokens]
        start_s = shares.starts_ms[bucket] // _MS_PER_S
        rows.append((start_s, _bucket_label(shares.granularity, start_s), values))
    written = shown.count if question.is_tokens else shown.share
    drawn = chart(
        _BUCKETS[shares.granularity],
        (*names, OTHERS) if has_others else tuple(names),
        rows,
        written=written,
    )
    last = shares.total(len(totals) - 1)
    leader = f"{names[0]} leads over the whole time." if names else ""
    return drawn, f"{leader} {shown.compact(last)} tokens in the latest {shares.granularity.value}."


def _bucket_label(granularity: Granularity, start_s: int) -> str:
    if granularity is Granularity.MONTH:
        return f"{datetime.fromtimestamp(start_s, UTC):%B %Y}"
    day = shown.date(start_s)
    return f"Week of {day}" if granularity is Granularity.WEEK else day


def days_chart(standing: AppStanding) -> Chart:
    """An app's tokens by day; without the days before it appeared, but for a week."""
    days = standing.days
    first = next((place for place, day in enumerate(days) if day.requests), len(days))
    days = days[max(0, min(first - 1, len(days) - BUCKETS_MIN)) :]
    if not any(day.requests for day in days):
        return Chart("Day", (), ())
    return chart(
        "Day",
        ("Prompt", "Completion"),
        [
            (
                day.start_ms // _MS_PER_S,
                shown.date(day.start_ms // _MS_PER_S),
                (day.prompt_tokens, day.completion_tokens),
            )
            for day in days
        ],
        written=shown.count,
    )


def model_lines(rankings: Rankings, snapshot: Snapshot) -> tuple[Line, ...]:
    question = Question(Subject.MODEL, rankings.period, "", is_tokens=False, is_whole=True)
    return tuple(_line(question, one, snapshot) for one in rankings.rows)


# --- apps ---


def apps_in(rankings: Rankings) -> tuple[Line, ...]:
    """rankings: of apps."""
    question = Question(Subject.APP, rankings.period, "", is_tokens=False, is_whole=True)
    return tuple(_line(question, one, _NO_MODELS) for one in rankings.rows)


_NO_MODELS: Final = Snapshot("", "", {}, {}, {})
