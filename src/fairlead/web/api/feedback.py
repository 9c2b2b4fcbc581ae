"""`POST /generation/feedback`: what somebody says of an answer."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from fairlead.control.feedback.types import Category
from fairlead.core.ids import GenerationId
from fairlead.web.answers import answer
from fairlead.web.api.generations import ID_CHARACTERS_MAX, generation_of
from fairlead.web.management import Management
from fairlead.web.operations import Asked, Operation, Who
from fairlead.web.services import Generations

__all__ = ["COMMENT_CHARACTERS_MAX", "feedback_operations"]

COMMENT_CHARACTERS_MAX: Final = 1000


class _Said(msgspec.Struct, frozen=True, kw_only=True):
    generation_id: Annotated[str, Meta(min_length=1, max_length=ID_CHARACTERS_MAX)]
    category: Category
    comment: Annotated[str, Meta(max_length=COMMENT_CHARACTERS_MAX)] | UnsetType = UNSET


def feedback_operations(generations: Generations, management: Management) -> list[Operation]:
    async def said(asked: Asked) -> Response:
        requester, said = asked.requester, await asked.body(_Said)
        generation = GenerationId(said.generation_id)
        await generation_of(requester.account, generation, generations)
        await management.do(
            partial(
                management.feedback.add,
                requester.account,
                generation,
                author=requester.actor.name,
                category=said.category,
                comment=None if said.comment is UNSET else said.comment,
            )
        )
        return answer({"data": {"success": True}})

    return [Operation("POST", "/generation/feedback", said, Who.PEOPLE_ELSE_401, body=_Said)]
