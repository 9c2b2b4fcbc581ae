"""`/activity/{generation}/feedback`: what somebody says of an answer, as `POST /api/v1/generation/feedback`."""

from __future__ import annotations

from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.feedback.types import Category
from fairlead.core.errors import NotFound, RequestInvalid
from fairlead.core.ids import GenerationId
from fairlead.web.api.feedback import COMMENT_CHARACTERS_MAX
from fairlead.web.api.generations import ID_CHARACTERS_MAX
from fairlead.web.pages.refusals import wants_page
from fairlead.web.pages.site import Site

__all__ = ["CATEGORY_OPTIONS", "remark_pages"]

CATEGORY_OPTIONS: Final = (
    (Category.INCORRECT_RESPONSE.value, "It is wrong"),
    (Category.INCOHERENCE.value, "It makes no sense"),
    (Category.FORMATTING.value, "Its form is not what was asked for"),
    (Category.LATENCY.value, "It took too long"),
    (Category.API_ERROR.value, "The call failed"),
    (Category.BILLING.value, "Its cost is not right"),
    (Category.OTHER.value, "Something else"),
)


def remark_pages(site: Site) -> list[Route]:
    management = site.services.management
    if management is None:
        return []

    async def say(request: Request) -> Response:
        """As the API, of any call of the account."""
        member, form = await site.posted(request)
        wanted = GenerationId(request.path_params["generation"])
        found = None
        if len(wanted) <= ID_CHARACTERS_MAX:
            found = await site.services.generations.find(wanted, member.account.id)
        if found is None:
            raise NotFound("This account has no such call.")
        try:
            category = Category(form.text("category"))
        except ValueError:
            raise RequestInvalid("There is no such thing to say.", param="category") from None
        comment = (form.text_or_none("comment") or "").replace("\r\n", "\n").strip()
        if len(comment) > COMMENT_CHARACTERS_MAX:
            raise RequestInvalid(
                f"Say it in {COMMENT_CHARACTERS_MAX:,} characters.", param="comment"
            )
        await management.do(
            partial(
                management.feedback.add,
                member.account.id,
                found.id,
                author=member.user.id,
                category=category,
                comment=comment or None,
            )
        )
        if not wants_page(request):  # the chat, which stays where it is
            return Response(status_code=204, headers={"cache-control": "no-store"})
        return site.go(f"/activity/{found.id}", notice="said")

    return [Route("/activity/{generation}/feedback", say, methods=["POST"])]
