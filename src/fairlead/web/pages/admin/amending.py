"""What the pages that change the catalogue share: their lists, doing it in the owner's name, telling who did it
and when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, TypeVar

from starlette.requests import Request

from fairlead.control.audit.types import Actor
from fairlead.control.catalog.types import Change
from fairlead.control.people.types import SignedIn
from fairlead.core.ids import AccountId
from fairlead.web.pages.admin.desk import AdminDesk
from fairlead.web.pages.paging import PAGE_ROWS, Paging, addressed, page_number, paging

__all__ = ["Changed", "Listing", "amend", "told"]

QUERY_CHARACTERS_MAX: Final = 200

_Answer = TypeVar("_Answer")
_Done_co = TypeVar("_Done_co", covariant=True)
_Name = TypeVar("_Name", bound=str)
_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Changed:
    """who: how to call them. at_s: Unix seconds."""

    who: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Listing:
    """Where somebody is in a list: what they look for, in which state, on which page. It is in the address, and
    in the forms that come back to it."""

    path: str
    q: str
    state: str
    number: int

    @classmethod
    def read(cls, path: str, states: Iterable[str], fields: Mapping[str, str]) -> Listing:
        state = fields.get("state", "")
        return cls(
            path=path,
            q=fields.get("q", "").strip().lower()[:QUERY_CHARACTERS_MAX],
            state=state if state in states else "",
            number=page_number(fields.get("page")),
        )

    @property
    def address(self) -> str:
        return self.at(self.number)

    def at(self, number: int) -> str:
        """The address of another page."""
        page = str(number) if number > 1 else ""
        return addressed(self.path, {"q": self.q, "state": self.state, "page": page})

    def cut(self, rows: Sequence[_Row]) -> tuple[Sequence[_Row], Paging]:
        """The rows of this page, and the way to the others."""
        first = (self.number - 1) * PAGE_ROWS
        here = rows[first : first + PAGE_ROWS]
        has_more = len(rows) > first + PAGE_ROWS
        return here, paging(self.number, len(here), has_more=has_more, address=self.at)


class Amending(Protocol[_Done_co]):
    """A method of `CatalogAmendments`, told all but in whose name."""

    def __call__(self, *, account: AccountId, actor: Actor) -> _Done_co: ...


async def amend(
    desk: AdminDesk, request: Request, member: SignedIn, change: Amending[_Answer]
) -> _Answer:
    """Do it, and have it in force here before the answer; all other processes follow within a second."""
    doing = partial(change, account=member.account.id, actor=desk.actor(request, member))
    answer = await desk.administration.do(doing)
    await desk.administration.catalogue.look()
    return answer


async def told(desk: AdminDesk, changes: Mapping[_Name, Change]) -> dict[_Name, Changed]:
    """Who made each, and when."""
    if not changes:
        return {}
    ids = {one.by for one in changes.values()}
    names = await desk.administration.do(partial(desk.administration.oversight.names, ids))
    return {
        what: Changed(names.get(one.by, one.by), one.at_ms / 1000) for what, one in changes.items()
    }
