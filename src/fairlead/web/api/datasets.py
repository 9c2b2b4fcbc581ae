"""`/datasets/...`, `/benchmarks`, `/classifications/task`: what may be published of how models are used here.

Any key may ask, so often and no more (`data_desk.py`). Nobody here reads prompts: of what calls were about, in
which language and with how long a context, there are no figures, and `meta.note` says so.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from fairlead.control.datasets.dates import DateRange, date_of, date_range
from fairlead.control.datasets.rules import categories_asked
from fairlead.control.datasets.service import DataSets
from fairlead.control.datasets.sessions import ACCOUNTS_MIN, SESSIONS_MIN
from fairlead.control.datasets.types import (
    APP_OFFSET_MAX,
    APPS_PER_PAGE_MAX,
    CELL_OFFSET_MAX,
    CELLS_PER_PAGE_MAX,
    VERSION,
    AppSort,
    CalendarPeriod,
    ModelTokens,
    TurnRange,
)
from fairlead.control.usage.analysis import QuestionInvalid
from fairlead.control.usage.apps import CATEGORIES, CATEGORY_GROUPS
from fairlead.control.usage.calendar import DAY_MS
from fairlead.core.catalog import Snapshot
from fairlead.core.errors import RequestInvalid
from fairlead.web.answers import answer, timestamp
from fairlead.web.api.benchmarks import benchmark_items, benchmark_meta, benchmarks_asked
from fairlead.web.data_desk import DataDesk
from fairlead.web.operations import Asked, Operation, Who
from fairlead.web.reading import sentence
from fairlead.web.remembered import Remembered
from fairlead.web.services import WebServices

__all__ = ["LICENCE_ADDRESS", "dataset_operations"]

Json = dict[str, object]

LICENCE: Final = "CC-BY-4.0"
LICENCE_ADDRESS: Final = "https://creativecommons.org/licenses/by/4.0/"
KEPT_S: Final = 300.0
KEPT_MAX: Final = 16  # rankings; of a year by day each has 2 MB
SLUG_CHARACTERS_MAX: Final = 200
WINDOWS: Final = ("7d",)
WINDOW_DAYS: Final = 7
MODALITIES: Final = ("text", "image", "image_output", "audio", "tool_calling")
CONTEXT_BUCKETS: Final = ("1K", "10K", "100K", "1M", "10M")
USES: Final = (
    "programming", "roleplay", "marketing", "marketing/seo", "technology", "science", "translation", "legal",
    "finance", "health", "trivia", "academia",
)  # fmt: skip
LANGUAGES: Final = ("natural", "programming")
_UNREAD: Final = "Prompts are not read here: there are no figures by {}."
_CONTEXT_UNKNOWN: Final = (
    "Usage is not added up by the length of the context: there are no figures."
)
_SESSIONS_KEPT_BACK: Final = (
    f"A median is published of {SESSIONS_MIN} sessions or more, of {ACCOUNTS_MIN} accounts or more of"
    " which none has more than half of them."
)


def dataset_operations(services: WebServices) -> list[Operation]:
    desk = services.data
    if desk is None:
        return []
    published = _Published(services, desk)
    return [
        Operation("GET", "/datasets/rankings-daily", published.model_rankings, Who.ACCOUNT),
        Operation("GET", "/datasets/app-rankings", published.app_rankings, Who.ACCOUNT),
        Operation("GET", "/datasets/session-cost", published.session_costs, Who.ACCOUNT),
        Operation("GET", "/benchmarks", published.benchmarks, Who.ACCOUNT),
        Operation("GET", "/classifications/task", published.classifications, Who.ACCOUNT),
    ]


class _Published:
    def __init__(self, services: WebServices, desk: DataDesk) -> None:
        self._services = services
        self._desk = desk
        # A year of days takes a second, and is the same for everybody. Beside it, when it was read.
        self._rankings: Remembered[tuple[int, list[ModelTokens]]] = Remembered(
            services.clock, kept_s=KEPT_S, answers_max=KEPT_MAX
        )

    async def model_rankings(self, asked: Asked) -> Response:
        await self._admit(asked)
        days, snapshot = self._days(asked), self._services.catalog.snapshot
        period, note = _period_and_note(asked)
        modality = asked.choice("modality", MODALITIES)
        as_of_ms, rows = self._now_ms(), list[ModelTokens]()
        if note is None:

            async def read() -> tuple[int, list[ModelTokens]]:
                question = partial(_ranked, days, period, modality, snapshot)
                return self._now_ms(), await self._desk.ask(question)

            as_of_ms, rows = await self._rankings.get(
                (days, period, modality, snapshot.version), read
            )
        return answer(
            {
                "data": [
                    {
                        "date": one.date,
                        "model_permaslug": one.model,
                        "total_tokens": str(one.tokens),
                    }
                    for one in rows
                ],
                "meta": self._meta(asked, "/rankings", days, note, as_of_ms=as_of_ms)
                | {"period": period.value},
            }
        )

    async def app_rankings(self, asked: Asked) -> Response:
        await self._admit(asked)
        days = self._days(asked)
        sort = AppSort(asked.choice("sort", list(AppSort)) or AppSort.POPULAR)
        wanted = _categories(asked)
        limit = asked.number("limit", default=50, least=1, most=APPS_PER_PAGE_MAX)
        offset = asked.number("offset", default=0, least=0, most=APP_OFFSET_MAX)
        ranks = await self._desk.ask(
            lambda datasets: datasets.app_rankings(days, sort, wanted=wanted)
        )
        return answer(
            {
                "data": [
                    {
                        "rank": one.rank,
                        "app_id": one.app,
                        "app_name": one.title,
                        "total_tokens": str(one.tokens),
                        "total_requests": one.requests,
                    }
                    for one in ranks[offset : offset + limit]
                ],
                "meta": self._meta(asked, "/apps", days),
            }
        )

    async def session_costs(self, asked: Asked) -> Response:
        await self._admit(asked)
        slug = asked.words("app_slug", characters_max=SLUG_CHARACTERS_MAX)
        model = asked.words("model", characters_max=SLUG_CHARACTERS_MAX)
        turns = asked.choice("turn_range", list(TurnRange))
        limit = asked.number("limit", default=100, least=1, most=CELLS_PER_PAGE_MAX)
        offset = asked.number("offset", default=0, least=0, most=CELL_OFFSET_MAX)
        costs = await self._desk.ask(DataSets.session_costs)
        hidden = self._services.catalog.snapshot.hidden
        cells = [
            one
            for one in (() if costs is None else costs.cells)
            if slug in (None, one.slug)
            and model in (None, one.model)
            and turns in (None, one.turns)
            and one.model not in hidden
        ]
        return answer(
            {
                "data": [
                    {
                        "app_slug": one.slug,
                        "app_name": one.title,
                        "turn_range": one.turns,
                        "model_permaslug": one.model,
                        "median_session_cost_usd": one.median_usd,
                    }
                    for one in cells[offset : offset + limit]
                ],
                "meta": self._meta(asked, "/apps", note=_SESSIONS_KEPT_BACK)
                | {
                    "window_days": None if costs is None else costs.days,
                    "window_end_date": None if costs is None else costs.last_day,
                },
            }
        )

    async def benchmarks(self, asked: Asked) -> Response:
        await self._admit(asked)
        wanted = benchmarks_asked(asked)
        snapshot = self._services.catalog.snapshot
        items = benchmark_items(wanted, self._services.benchmarks, snapshot)
        return answer({"data": items, "meta": benchmark_meta(wanted, items, snapshot)})

    async def classifications(self, asked: Asked) -> Response:
        await self._admit(asked)
        asked.choice("window", WINDOWS)
        yesterday = date_of(self._now_ms() - DAY_MS)
        return answer(
            {
                "data": {
                    "window_days": WINDOW_DAYS,
                    "as_of": yesterday.isoformat(),
                    "classifications": [],
                    "macro_categories": [],
                },
                "meta": self._meta(asked, "/rankings", note=_UNREAD.format("task")),
            }
        )

    async def _admit(self, asked: Asked) -> None:
        requester = asked.requester
        key = requester.user if requester.caller is None else requester.caller.key
        await self._desk.admit(str(key), requester.account)

    def _days(self, asked: Asked) -> DateRange:
        start, end = asked.parameter("start_date"), asked.parameter("end_date")
        try:
            return date_range(start, end, now_ms=self._now_ms())
        except QuestionInvalid as error:
            raise RequestInvalid(sentence(error), param=error.path) from error

    def _meta(
        self,
        asked: Asked,
        page: str,
        days: DateRange | None = None,
        note: str | None = None,
        *,
        as_of_ms: int | None = None,
    ) -> Json:
        """page: where people see it. as_of_ms: None: now."""
        as_of = timestamp(self._now_ms() if as_of_ms is None else as_of_ms)
        found: Json = {"as_of": as_of, "version": VERSION}
        if days is not None:
            found |= {"start_date": days.start.isoformat(), "end_date": days.end.isoformat()}
        found |= {
            "license": LICENCE,
            "license_url": LICENCE_ADDRESS,
            "citation": _citation(self._origin(asked.request) + page, as_of),
        }
        return found if note is None else found | {"note": note}

    def _origin(self, request: Request) -> str:
        auth = self._services.auth
        configured = None if auth is None else auth.doorway.origin
        return configured or f"{request.url.scheme}://{request.url.netloc}"

    def _now_ms(self) -> int:
        return int(self._services.clock.now_s() * 1000)


def _citation(page: str, as_of: str) -> str:
    """page: its whole address."""
    return f"Source: Fairlead ({page.partition('://')[2]}), as of {as_of}."


def _period_and_note(asked: Asked) -> tuple[CalendarPeriod, str | None]:
    """note: why there are no figures for what was asked."""
    notes = {
        "context_bucket": (CONTEXT_BUCKETS, _CONTEXT_UNKNOWN),
        "category": (USES, _UNREAD.format("category")),
        "language_type": (LANGUAGES, _UNREAD.format("language")),
    }
    given = [name for name, (words, _) in notes.items() if asked.choice(name, words)]
    period = asked.choice("period", list(CalendarPeriod))
    for name in ("language_type", "category"):
        if name not in given:
            continue
        for other in ("modality", "context_bucket", "category"):
            if other != name and asked.parameter(other) is not None:
                raise RequestInvalid(f"`{name}` does not go with `{other}`.", param=name)
        if period == CalendarPeriod.DAY:
            raise RequestInvalid(f"`{name}` is by week or month, not by day.", param="period")
        return CalendarPeriod(period or CalendarPeriod.WEEK), notes[name][1]
    return CalendarPeriod(period or CalendarPeriod.DAY), notes[given[0]][1] if given else None


def _categories(asked: Asked) -> frozenset[str] | None:
    category = asked.choice("category", list(CATEGORY_GROUPS))
    subcategory = asked.choice("subcategory", sorted(CATEGORIES))
    wanted = categories_asked(category, subcategory)
    if wanted is not None and not wanted:
        message = f"`subcategory` {subcategory} is not one of the category {category}."
        raise RequestInvalid(message, param="subcategory")
    return wanted


def _ranked(
    days: DateRange,
    period: CalendarPeriod,
    modality: str | None,
    snapshot: Snapshot,
    datasets: DataSets,
) -> list[ModelTokens]:
    return datasets.model_rankings(
        days,
        period,
        only=_of_modality(modality, snapshot),
        hidden=snapshot.hidden,
        with_tools=modality == "tool_calling",
    )


def _of_modality(modality: str | None, snapshot: Snapshot) -> Collection[str] | None:
    """By the catalogue in force; None: any."""
    models = snapshot.models.values()
    match modality:
        case "text":
            return [one.id for one in models if "text" in one.output_modalities]
        case "image_output":
            return [one.id for one in models if "image" in one.output_modalities]
        case "image" | "audio":
            return [one.id for one in models if modality in one.input_modalities]
        case _:
            return None
