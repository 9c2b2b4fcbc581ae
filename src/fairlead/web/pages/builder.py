"""`/request-builder`: a form for a call, and the code that makes it. The address holds all of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.core.catalog import Model, ModelKind
from fairlead.web.api.model_listing import find
from fairlead.web.pages import builder_form
from fairlead.web.pages.builder_form import Draft, Number, draft_of, unsupported
from fairlead.web.pages.model_list import model_path
from fairlead.web.pages.site import Site
from fairlead.web.pages.snippets import FIRST_MODEL, LANGUAGES, snippet

__all__ = ["builder_pages"]

_API: Final = "/api/v1"


@dataclass(frozen=True, slots=True)
class Field:
    number: Number
    value: str
    problem: str | None


@dataclass(frozen=True, slots=True)
class Builder:
    """body: of the call, as JSON, for the button that runs it. warnings: what is odd about it."""

    draft: Draft
    numbers: tuple[Field, ...]
    models: tuple[tuple[str, str], ...]
    languages: tuple[tuple[str, str], ...]
    label: str
    code: str
    body: str
    model_path: str | None
    warnings: tuple[str, ...]


def builder_pages(site: Site) -> list[Route]:

    async def show(request: Request) -> Response:
        visitor = await site.visitor(request)
        models = (await site.catalogue.current()).models
        draft = draft_of(request.query_params, model=FIRST_MODEL)
        view = await run_in_threadpool(
            _built,
            draft,
            models,
            find(site.services.catalog.snapshot, draft.model),
            site.origin(request),
        )
        return await site.page(
            request,
            "builder/builder.html",
            visitor,
            title="Request builder",
            description="Put a call together and copy the code for it, in Python, TypeScript or for curl.",
            section="docs",
            scripts=("builder",),
            fragment="builder/result.html",
            is_indexed=not draft.is_asked,
            status=422 if draft.problems and not _is_typing(request) else 200,
            view=view,
            efforts=builder_form.EFFORTS,
            formats=builder_form.FORMATS,
            sorts=builder_form.SORTS,
        )

    return [Route("/request-builder", show)]


def _is_typing(request: Request) -> bool:
    """htmx shows nothing of a refusal, and somebody who types is not done."""
    return "hx-request" in request.headers


def _built(draft: Draft, models: tuple[Model, ...], found: object, origin: str) -> Builder:
    code = snippet(
        draft.language,
        origin + _API,
        draft.model,
        draft.messages,
        draft.parameters,
        draft.is_streamed,
    )
    body: dict[str, object] = {"model": draft.model, "messages": draft.messages}
    model = found if isinstance(found, Model) else None
    return Builder(
        draft=draft,
        numbers=tuple(
            Field(one, draft.values[one.name], draft.problems.get(one.name))
            for one in builder_form.NUMBERS
        ),
        models=tuple((one.id, one.name) for one in models if one.kind is ModelKind.CHAT),
        languages=LANGUAGES,
        label=dict(LANGUAGES)[draft.language],
        code=code,
        body=msgspec.json.encode(body | dict(draft.parameters) | {"stream": True}).decode(),
        model_path=None if model is None else model_path(model.id),
        warnings=_warnings(draft, model),
    )


def _warnings(draft: Draft, model: Model | None) -> tuple[str, ...]:
    if model is None:
        return (f"No model here has the name {draft.model!r}.",)
    names = unsupported(draft, model)
    if not names:
        return ()
    return (f"{model.id} does not take {', '.join(names)}; calls may be refused, or do without.",)
