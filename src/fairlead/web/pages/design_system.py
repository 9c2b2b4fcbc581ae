"""`/docs/design-system`: every component in every state, in the theme of whoever looks."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.web.pages import shown
from fairlead.web.pages.charts import Chart, chart
from fairlead.web.pages.site import Site

__all__ = ["design_system_pages"]

_FIRST_DAY_S: Final = 1_795_219_200  # 2026-11-21
_DAY_S: Final = 86_400
_COLOURS: Final = (
    "ground", "ground-soft", "ground-hover", "line", "line-strong", "text-faint", "text-soft", "text",
    "accent-soft", "accent", "success", "warning", "danger",
)  # fmt: skip


def design_system_pages(site: Site) -> list[Route]:
    async def show(request: Request) -> Response:
        return await site.page(
            request,
            "docs/design_system.html",
            await site.visitor(request),
            title="Design system",
            section="docs",
            scripts=("charts",),
            colours=_COLOURS,
            tokens=_tokens(),
            latency=_latency(),
            nothing=Chart("Day", ("Requests",), ()),
            now_s=site.services.clock.now_s(),
        )

    return [Route("/docs/design-system", show)]


def _tokens() -> Chart:
    """Made up: a week and a half that grows, with a Sunday in it."""
    weekly = (3.1e6, 3.4e6, 2.9e6, 3.8e6, 4.4e6, 1.9e6, 0, 4.1e6, 4.9e6, 5.6e6)
    return chart(
        "Day",
        (
            "sandbox/story",
            "sandbox/echo",
            "a model with a name that is longer than anybody would like it",
        ),
        [
            (
                _FIRST_DAY_S + day * _DAY_S,
                shown.date(_FIRST_DAY_S + day * _DAY_S),
                (int(size), int(size * 0.4), int(size * 0.15)),
            )
            for day, size in enumerate(weekly)
        ],
        written=shown.count,
    )


def _latency() -> Chart:
    return chart(
        "Day",
        ("median", "95th percentile"),
        [
            (
                _FIRST_DAY_S + day * _DAY_S,
                shown.date(_FIRST_DAY_S + day * _DAY_S),
                (None, None) if day == 4 else (340 + 12 * (day % 3), 1180 + 90 * (day % 4)),
            )
            for day in range(10)
        ],
        written=shown.duration,
    )
