"""`GET /generation/content?id=`: the prompt and the answer of a call, where its account has them kept."""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.core.content import Content
from fairlead.core.errors import NotFound, RequestInvalid
from fairlead.core.ids import GenerationId
from fairlead.web.answers import answer
from fairlead.web.reading import is_keepable
from fairlead.web.services import WebServices

__all__ = ["content_object", "content_routes"]

ID_CHARACTERS_MAX: Final = 128


def content_routes(services: WebServices) -> list[Route]:
    contents = services.contents
    if contents is None:
        return []

    async def generation_content(request: Request) -> Response:
        caller = await services.keys.authenticate(request.headers.get("authorization"))
        wanted = request.query_params.get("id", "")
        if not 0 < len(wanted) <= ID_CHARACTERS_MAX or not is_keepable(wanted):
            raise RequestInvalid("Name the generation: /generation/content?id=gen-...", param="id")
        found = await contents.find(caller, GenerationId(wanted))
        if found is None:
            raise NotFound(
                "Of this generation no prompt and no answer is kept, or not for this key."
            )
        return answer({"data": content_object(found)})

    return [Route("/generation/content", generation_content)]


def content_object(content: Content) -> dict[str, object]:
    """As the public API shows it. Pure."""
    asked: dict[str, object]
    if content.messages is None:
        asked = {"prompt": content.prompt or ""}
    else:
        asked = {"messages": msgspec.Raw(content.messages)}
    error = content.error
    return {
        "input": asked,
        "output": {"completion": content.completion, "reasoning": content.reasoning},
        "error": None
        if error is None
        else {
            "status": error.status,
            "message": error.message,
            "provider_name": error.provider,
            "raw": None,
            "previous_errors": [],
        },
    }
