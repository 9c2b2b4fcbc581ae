"""`/`: what this is, what is in it, and the first call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.core.catalog import Model, Snapshot
from fairlead.core.ids import ModelId
from fairlead.web.pages import shown
from fairlead.web.pages.model_list import ModelRow, row_of
from fairlead.web.pages.site import Site
from fairlead.web.pages.snippets import FIRST_MODEL

__all__ = ["home_pages"]

NEWEST_COUNT: Final = 6
USED_COUNT: Final = 6


@dataclass(frozen=True, slots=True)
class Home:
    """used: most this week, each with its tokens; none where nothing was called."""

    model_count: str
    provider_count: str
    author_count: str
    used: tuple[tuple[ModelRow, str], ...]
    newest: tuple[ModelRow, ...]
    curl: str
    python: str


def home_pages(site: Site) -> list[Route]:

    async def home(request: Request) -> Response:
        visitor = await site.visitor(request)
        models = (await site.catalogue.current()).models
        own = [model for model in models if model.endpoints and not model.id.startswith("~")]
        origin = site.origin(request)
        view = Home(
            model_count=shown.count(len(own)),
            provider_count=shown.count(_offering(site.services.catalog.snapshot)),
            author_count=shown.count(len({model.author for model in own})),
            used=_most_used(own, await site.measuring.weekly_tokens()),
            newest=tuple(row_of(model) for model in own[:NEWEST_COUNT]),
            curl=_curl(origin),
            python=_python(origin),
        )
        return await site.page(
            request, "home/home.html", visitor, title="Fairlead", section="home", view=view
        )

    return [Route("/", home)]


def _most_used(
    models: Iterable[Model], tokens: Mapping[ModelId, int]
) -> tuple[tuple[ModelRow, str], ...]:
    called = [model for model in models if tokens.get(model.id)]
    called.sort(key=lambda model: -tokens[model.id])
    return tuple(
        (row_of(model), f"{shown.compact(tokens[model.id])} tokens")
        for model in called[:USED_COUNT]
    )


def _offering(snapshot: Snapshot) -> int:
    """Providers that have something to offer."""
    return len({one.provider for model in snapshot.models.values() for one in model.endpoints})


def _curl(origin: str) -> str:
    return f"""\
curl {origin}/api/v1/chat/completions \\
  -H "Authorization: Bearer $FAIRLEAD_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{{
    "model": "{FIRST_MODEL}",
    "messages": [{{"role": "user", "content": "Hello"}}]
  }}'"""


def _python(origin: str) -> str:
    return f"""\
from openai import OpenAI

client = OpenAI(
    base_url="{origin}/api/v1",
    api_key="sk-fl-v1-...",
)
answer = client.chat.completions.create(
    model="{FIRST_MODEL}",
    messages=[{{"role": "user", "content": "Hello"}}],
)
print(answer.choices[0].message.content)"""
