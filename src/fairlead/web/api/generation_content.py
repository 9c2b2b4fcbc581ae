"""`GET /generation/content?id=`: the prompt and the answer of a call, where its account has them kept."""

from __future__ import annotations

from functools import partial

import msgspec
from starlette.responses import Response

from fairlead.control.contents.service import Contents
from fairlead.control.contents.types import Reader
from fairlead.core.content import Content
from fairlead.core.errors import NotFound
from fairlead.web.answers import answer
from fairlead.web.api.generations import wanted_generation
from fairlead.web.asking import Desk
from fairlead.web.operations import Asked, Operation, Who

__all__ = ["content_object", "content_operations"]


def content_operations(contents: Desk[Contents] | None) -> list[Operation]:
    if contents is None:
        return []

    async def generation_content(asked: Asked) -> Response:
        requester, wanted = asked.requester, wanted_generation(asked)
        reader = Reader(
            account=requester.account,
            user=requester.user,
            may_manage=requester.may_manage,
            key=requester.key,
            workspace=requester.workspace,
        )
        found = await contents.do(partial(contents.service.find, reader, wanted))
        if found is None:
            raise NotFound(
                "Of this generation no prompt and no answer is kept, or not for this key."
            )
        return answer({"data": content_object(found)})

    return [Operation("GET", "/generation/content", generation_content, Who.ACCOUNT)]


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
