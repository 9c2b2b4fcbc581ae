"""`/chat`: several models side by side. `/chat/models.json`: what can be chosen there.

The page is a frame; what is said is kept by the browser alone. Calls go to `POST /chat/completions`, which the
data plane serves for whoever is signed in (docs/decisions/0034).
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Final

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.people.types import SignedIn
from fairlead.core.catalog import Model, ModelKind
from fairlead.web.api.feedback import COMMENT_CHARACTERS_MAX
from fairlead.web.pages.builder_form import EFFORTS
from fairlead.web.pages.headers import accepts
from fairlead.web.pages.model_list import Catalogue, row_of
from fairlead.web.pages.remarks import CATEGORY_OPTIONS
from fairlead.web.pages.site import Site
from fairlead.web.pages.snippets import FIRST_MODEL
from fairlead.web.pages.workspace_choice import WorkspaceChoice, chosen_workspace
from fairlead.web.services import EndpointHealth

__all__ = ["ChatModel", "chat_models", "chat_pages"]

_SUGGESTIONS: Final = (
    ("Explain", "Explain how a hash map works, with a small example in Python."),
    ("Compare", "What speaks for and against SQLite as the database of a small web service?"),
    ("Write", "Write a friendly note to a customer whose delivery is two days late."),
    ("Calculate", "Derive the quadratic formula step by step."),
)


@dataclass(frozen=True, slots=True)
class Chat:
    """owner: whose conversations the browser shows; another's in the same browser are kept apart.

    workspaces: in which they may call, each with its name, the default one first; left_out: how many more there
    are. workspace: the one that the address names, which is among them.
    """

    owner: str
    default_model: str
    workspaces: Sequence[tuple[str, str]]
    workspaces_left_out: int
    workspace: str
    suggestions: tuple[tuple[str, str], ...] = _SUGGESTIONS
    efforts: tuple[tuple[str, str], ...] = EFFORTS
    remarks: tuple[tuple[str, str], ...] = CATEGORY_OPTIONS
    comment_max: int = COMMENT_CHARACTERS_MAX


class ChatModel(msgspec.Struct, frozen=True):
    """A model to choose. ready: this installation can call it. reads: what it takes besides text."""

    id: str
    name: str
    price: str
    context: str
    reads: tuple[str, ...]
    reasons: bool
    searches: bool
    ready: bool


def chat_pages(site: Site) -> list[Route]:

    async def show(request: Request) -> Response:
        visitor = await site.visitor(request)
        view = None
        if visitor.signed_in is not None:
            catalogue, query = await site.catalogue.current(), request.query_params
            wanted = query.get("workspace", "")
            choice = await _workspaces(site, visitor.signed_in, wanted)
            view = Chat(
                owner=_owner(visitor.signed_in),
                default_model=_first(catalogue, query.get("model", "")),
                workspaces=choice.options,
                workspaces_left_out=choice.left_out,
                workspace=choice.chosen.id if wanted and choice.chosen else "",
            )
        return await site.page(
            request,
            "chat/chat.html",
            visitor,
            title="Chat",
            description="Ask several models the same question and read their answers side by side.",
            section="chat",
            scripts=() if view is None else ("chat",),
            is_indexed=not request.query_params,
            view=view,
        )

    async def choices(request: Request) -> Response:
        catalogue = await site.catalogue.current()
        models = await run_in_threadpool(chat_models, catalogue, site.services.health)
        body = msgspec.json.encode({"data": models})
        etag = f'W/"{blake2b(body, digest_size=12).hexdigest()}"'
        headers = {"cache-control": "no-cache", "etag": etag, "vary": "accept-encoding"}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        if accepts(request, "gzip"):
            body = await run_in_threadpool(gzip.compress, body, 5, mtime=0)
            headers["content-encoding"] = "gzip"
        return Response(body, headers=headers, media_type="application/json")

    return [Route("/chat", show), Route("/chat/models.json", choices)]


def chat_models(catalogue: Catalogue, health: EndpointHealth) -> tuple[ChatModel, ...]:
    """Those that answer with text, in the list's order. Pure but for what `health` says."""
    return tuple(_choice(model, health) for model in _that_chat(catalogue))


def _that_chat(catalogue: Catalogue) -> list[Model]:
    return [model for model in catalogue.models if model.kind is ModelKind.CHAT]


def _choice(model: Model, health: EndpointHealth) -> ChatModel:
    row = row_of(model)
    return ChatModel(
        id=model.id,
        name=model.name,
        price=row.price.text,
        context=row.context,
        reads=tuple(sorted(model.input_modalities - {"text"})),
        reasons=model.reasoning.supported,
        searches="web_search_options" in model.supported_parameters,
        # Of a router nobody can say before it has chosen.
        ready=not model.endpoints or any(health.can_serve(one.provider) for one in model.endpoints),
    )


def _first(catalogue: Catalogue, wanted: str) -> str:
    """What a new conversation begins with, unless the browser remembers something."""
    ids = [model.id for model in _that_chat(catalogue)]
    for candidate in (wanted, FIRST_MODEL):
        if candidate in ids:
            return candidate
    return ids[0] if ids else ""


async def _workspaces(site: Site, member: SignedIn, wanted: str) -> WorkspaceChoice:
    management = site.services.management
    if management is None:
        return WorkspaceChoice((), 0, None)
    return await management.do(partial(chosen_workspace, management.workspaces, member, wanted))


def _owner(member: SignedIn) -> str:
    return f"{member.account.id} {member.user.id}"
