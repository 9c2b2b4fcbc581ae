"""Which of an account's workspaces a page is about. Blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fairlead.control.people.types import SignedIn
from fairlead.control.workspaces.service import Workspaces
from fairlead.control.workspaces.types import Workspace, WorkspaceUnknown
from fairlead.web.reading import is_keepable

__all__ = ["WorkspaceChoice", "chosen_workspace"]

OFFERED_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class WorkspaceChoice:
    """offered: the default one first, and the one that was chosen among them. left_out: how many others there
    are: their own pages lead here. chosen: None: there is none of the name that was asked for."""

    offered: Sequence[Workspace]
    left_out: int
    chosen: Workspace | None

    @property
    def options(self) -> list[tuple[str, str]]:
        """For a select."""
        return [(one.id, one.name) for one in self.offered]

    def pages(self, path: str) -> list[tuple[str, str, str]]:
        """Id, name and address of the page of each. path: where they are, with a fragment perhaps."""
        where, mark, place = path.partition("#")
        return [
            (one.id, one.name, f"{where}?workspace={one.slug}{mark}{place}") for one in self.offered
        ]


def chosen_workspace(
    workspaces: Workspaces, member: SignedIn, wanted: str | None = None
) -> WorkspaceChoice:
    """Of those that somebody works in; an admin works in all. wanted: a slug or an id; "": the default one."""
    account = member.account.id
    user = None if member.is_admin else member.user.id
    page = workspaces.page(account, user=user, limit=OFFERED_MAX)
    offered = list(page.workspaces)
    if not wanted:
        chosen: Workspace | None = offered[0]
    else:
        chosen = next((one for one in offered if wanted in (one.slug, one.id)), None)
        if chosen is None and page.total > len(offered):
            chosen = _found(workspaces, member, wanted)
            offered += [] if chosen is None else [chosen]
    return WorkspaceChoice(offered, page.total - len(offered), chosen)


def _found(workspaces: Workspaces, member: SignedIn, wanted: str) -> Workspace | None:
    account = member.account.id
    if not is_keepable(wanted):
        return None
    try:
        found = workspaces.find(account, wanted)
    except WorkspaceUnknown:
        return None
    works_there = member.is_admin or workspaces.has_member(account, found.id, member.user.id)
    return found if works_there else None
