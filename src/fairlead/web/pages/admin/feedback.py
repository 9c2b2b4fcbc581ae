"""`/admin/feedback`: what people say of answers, the newest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.feedback.types import Remark
from fairlead.web.pages.admin.desk import AdminDesk
from fairlead.web.pages.paging import PAGE_ROWS, addressed
from fairlead.web.pages.remarks import CATEGORY_OPTIONS
from fairlead.web.reading import is_keepable

__all__ = ["feedback_pages"]

PATH: Final = "/admin/feedback"
ID_CHARACTERS_MAX: Final = 100
_SAID: Final = dict(CATEGORY_OPTIONS)


@dataclass(frozen=True, slots=True)
class RemarkRow:
    """what: in words. account, author: how to call them."""

    remark: Remark
    what: str
    account: str
    author: str


def feedback_pages(desk: AdminDesk) -> list[Route]:
    administration = desk.administration

    async def listed(request: Request) -> Response:
        member = await desk.owner(request)
        asked = request.query_params.get("before", "")
        before = asked if is_keepable(asked) and len(asked) <= ID_CHARACTERS_MAX else ""

        def read() -> tuple[list[Remark], dict[str, str]]:
            oversight = administration.oversight
            remarks = oversight.remarks(before=before or None, limit=PAGE_ROWS + 1)
            return remarks, oversight.names(
                {name for one in remarks for name in (one.account, one.author)}
            )

        remarks, names = await administration.do(read)
        older = None
        if len(remarks) > PAGE_ROWS:
            older = addressed(PATH, {"before": remarks[PAGE_ROWS - 1].id})
        return await desk.page(
            request, "feedback", member, title="Feedback", fragment="admin/feedback_rows.html",
            rows=[_row(one, names) for one in remarks[:PAGE_ROWS]],
            older=older, newest=PATH if before else None,
        )  # fmt: skip

    return [Route("/admin/feedback", listed)]


def _row(remark: Remark, names: dict[str, str]) -> RemarkRow:
    return RemarkRow(
        remark=remark,
        what=_SAID.get(remark.category.value, remark.category.value),
        account=names.get(remark.account, remark.account),
        author=names.get(remark.author, remark.author),
    )
