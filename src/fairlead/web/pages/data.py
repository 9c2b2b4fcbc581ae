"""`/data`: what may be taken away and published of how models are used here, and how to get it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.datasets.dates import date_of
from fairlead.control.usage.calendar import DAY_MS
from fairlead.core.errors import NotFound
from fairlead.web.api.datasets import LICENCE_ADDRESS
from fairlead.web.data_desk import PER_DAY, PER_MINUTE
from fairlead.web.pages.site import Site
from fairlead.web.reference.document import API_BASE

__all__ = ["data_pages"]

_REFERENCE: Final = "/docs/api/data#get-"


@dataclass(frozen=True, slots=True)
class DataSet:
    """id: of its place on the page. path: below the API's base, with a question; {first} and {last} stand for
    days. row: of an answer."""

    id: str
    title: str
    about: str
    path: str
    row: str

    @property
    def reference(self) -> str:
        return _REFERENCE + self.path.partition("?")[0].strip("/").replace("/", "-")

    def curl(self, origin: str, yesterday: date) -> str:
        path, _, question = self.path.partition("?")
        first = yesterday - timedelta(days=6)
        filled = question.format(first=first.isoformat(), last=yesterday.isoformat())
        return " \\\n  ".join(
            (
                f'curl -G "{origin}{API_BASE}{path}"',
                *(f"-d {one}" for one in filled.split("&")),
                '-H "Authorization: Bearer $FAIRLEAD_API_KEY"',
            )
        )


def _row(**fields: Any) -> str:  # noqa: ANN401 - whatever JSON has
    return json.dumps(fields, indent=2)


_SETS: Final = (
    DataSet(
        "rankings",
        "Tokens by model",
        "Of each day, week or month the 50 models with the most tokens, and all others as one row,"
        " since 2025. For models of one modality, or those that called tools.",
        "/datasets/rankings-daily?start_date={first}&end_date={last}",
        _row(date="2026-11-01", model_permaslug="openai/gpt-4o-mini", total_tokens="12345678"),
    ),
    DataSet(
        "apps",
        "Tokens by app",
        "Apps that say who they are, by tokens in any span of up to a year, or by how many more these"
        " are than usual.",
        "/datasets/app-rankings?sort=trending&category=coding&limit=10",
        _row(rank=1, app_id=7, app_name="Cline", total_tokens="9876543", total_requests=4321),
    ),
    DataSet(
        "sessions",
        "What a session costs",
        "The median over 30 days, by app, model and number of answers. It is counted anew each week.",
        "/datasets/session-cost?turn_range=10-49-turns",
        _row(
            app_slug="cline.example",
            app_name="Cline",
            turn_range="10-49-turns",
            model_permaslug="anthropic/claude-sonnet-4.5",
            median_session_cost_usd=0.4187,
        ),
    ),
    DataSet(
        "benchmarks",
        "Benchmarks",
        "Published results of models, as the catalogue of this installation has them. Each says who"
        " measured it, and where that is written.",
        "/benchmarks?source=catalogue&task_type=coding",
        _row(
            model_permaslug="openai/o1",
            benchmark="Aider Polyglot",
            score=61.7,
            unit="%",
            reported_by="Aider",
        ),
    ),
    DataSet(
        "tasks",
        "Classes of tasks",
        "Which shares of calls are about what. Nobody here reads prompts, so the lists are empty: the"
        " address is there for programs that ask for it.",
        "/classifications/task?window=7d",
        _row(window_days=7, as_of="2026-11-20", classifications=[], macro_categories=[]),
    ),
)


def data_pages(site: Site) -> list[Route]:
    async def show(request: Request) -> Response:
        if site.services.data is None:
            raise NotFound("There are no data sets here.")
        origin = site.origin(request)
        now_ms = int(site.services.clock.now_s() * 1000)
        yesterday = date_of(now_ms - DAY_MS)
        return await site.page(
            request,
            "data/data.html",
            await site.visitor(request),
            title="Data",
            description="How models are used here, to take away and publish: rankings, apps, costs.",
            sets=[(one, one.curl(origin, yesterday)) for one in _SETS],
            licence=LICENCE_ADDRESS,
            citation=f"Source: Fairlead ({origin.partition('://')[2]}/rankings), as of …",
            per_minute=PER_MINUTE,
            per_day=PER_DAY,
        )

    return [Route("/data", show)]
