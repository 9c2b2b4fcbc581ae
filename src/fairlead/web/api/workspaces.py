"""`/workspaces`: parts of an account with keys, members and budgets of their own. Named by id or by slug."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from fairlead.control.workspaces.rules import MEMBERS_AT_ONCE, default_guardrail, key_number
from fairlead.control.workspaces.types import (
    BudgetSpan,
    Workspace,
    WorkspaceBudget,
    WorkspaceChange,
    WorkspaceMember,
)
from fairlead.core.errors import NotFound, RequestInvalid
from fairlead.core.ids import UserId
from fairlead.core.money import usd
from fairlead.web.answers import answer, timestamp, timestamp_or_none
from fairlead.web.management import Management
from fairlead.web.operations import Asked, Operation, Who
from fairlead.web.reading import nano_dollars

__all__ = ["workspace_object", "workspace_operations"]


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The body that makes a workspace or changes it; absent: stays, or as a new one has it."""

    name: str | UnsetType = UNSET
    slug: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    default_text_model: str | UnsetType | None = UNSET
    default_image_model: str | UnsetType | None = UNSET
    default_provider_sort: str | UnsetType | None = UNSET
    is_observability_io_logging_enabled: bool | UnsetType = UNSET
    io_logging_sampling_rate: float | UnsetType = UNSET
    io_logging_api_key_ids: tuple[int | str, ...] | UnsetType | None = UNSET
    is_observability_broadcast_enabled: bool | UnsetType = UNSET
    is_data_discount_logging_enabled: bool | UnsetType = UNSET

    def change(self) -> WorkspaceChange:
        return WorkspaceChange(
            name=self.name,
            slug=self.slug,
            description=self.description,
            default_text_model=self.default_text_model,
            default_image_model=self.default_image_model,
            default_provider_sort=self.default_provider_sort,
            io_logging=self.is_observability_io_logging_enabled,
            io_logging_sampling_rate=self.io_logging_sampling_rate,
            io_logging_keys=self.io_logging_api_key_ids,
            broadcast=self.is_observability_broadcast_enabled,
            data_discount_logging=self.is_data_discount_logging_enabled,
        )


class _Budget(msgspec.Struct, frozen=True, kw_only=True):
    limit_usd: float
    include_byok_in_budgets: bool | UnsetType = UNSET


class _Members(msgspec.Struct, frozen=True, kw_only=True):
    user_ids: Annotated[tuple[UserId, ...], Meta(min_length=1, max_length=MEMBERS_AT_ONCE)]


def workspace_operations(management: Management) -> list[Operation]:
    api = _Workspaces(management)
    return [
        Operation("GET", "/workspaces", api.listed, Who.MANAGER_ELSE_401),
        Operation("POST", "/workspaces", api.created, Who.MANAGER_ELSE_403, body=_Wanted),
        Operation("GET", "/workspaces/{id}", api.found, Who.MANAGER_ELSE_401),
        Operation("PATCH", "/workspaces/{id}", api.changed, Who.MANAGER_ELSE_403, body=_Wanted),
        Operation("DELETE", "/workspaces/{id}", api.deleted, Who.MANAGER_ELSE_403),
        Operation("GET", "/workspaces/{id}/members", api.members, Who.MANAGER_ELSE_403),
        Operation(
            "POST",
            "/workspaces/{id}/members/add",
            api.members_added,
            Who.MANAGER_ELSE_403,
            body=_Members,
        ),
        Operation(
            "POST",
            "/workspaces/{id}/members/remove",
            api.members_removed,
            Who.MANAGER_ELSE_403,
            body=_Members,
        ),
        Operation("GET", "/workspaces/{id}/budgets", api.budgets, Who.MANAGER_ELSE_401),
        Operation("GET", "/workspaces/{id}/budgets/{interval}", api.budget, Who.MANAGER_ELSE_401),
        Operation(
            "PUT",
            "/workspaces/{id}/budgets/{interval}",
            api.budget_set,
            Who.MANAGER_ELSE_401,
            body=_Budget,
        ),
        Operation(
            "DELETE",
            "/workspaces/{id}/budgets/{interval}",
            api.budget_deleted,
            Who.MANAGER_ELSE_401,
        ),
    ]


class _Workspaces:
    def __init__(self, management: Management) -> None:
        self._do = management.do
        self._workspaces = management.workspaces

    async def listed(self, asked: Asked) -> Response:
        page = asked.page()
        found = await self._do(
            partial(
                self._workspaces.page,
                asked.requester.account,
                offset=page.offset,
                limit=page.limit,
            )
        )
        shown = [workspace_object(one) for one in found.workspaces]
        return answer({"data": shown, "total_count": found.total})

    async def created(self, asked: Asked) -> Response:
        requester, wanted = asked.requester, await asked.body(_Wanted)
        made = await self._do(
            partial(
                self._workspaces.create,
                requester.account,
                wanted.change(),
                actor=requester.actor,
                creator=requester.user,
            )
        )
        return answer({"data": workspace_object(made)}, status=201)

    async def found(self, asked: Asked) -> Response:
        account, name = asked.requester.account, asked.segment("id")
        found = await self._do(partial(self._workspaces.find, account, name))
        return answer({"data": workspace_object(found)})

    async def changed(self, asked: Asked) -> Response:
        requester, name = asked.requester, asked.segment("id")
        wanted = await asked.body(_Wanted)
        after = await self._do(
            partial(
                self._workspaces.update,
                requester.account,
                name,
                wanted.change(),
                actor=requester.actor,
            )
        )
        return answer({"data": workspace_object(after)})

    async def deleted(self, asked: Asked) -> Response:
        requester, name = asked.requester, asked.segment("id")
        await self._do(
            partial(self._workspaces.delete, requester.account, name, actor=requester.actor)
        )
        return answer({"deleted": True})

    # Who works in it.

    async def members(self, asked: Asked) -> Response:
        account, name, page = asked.requester.account, asked.segment("id"), asked.page()
        found, total = await self._do(
            partial(self._workspaces.members, account, name, offset=page.offset, limit=page.limit)
        )
        return answer({"data": [_member_object(one) for one in found], "total_count": total})

    async def members_added(self, asked: Asked) -> Response:
        requester, name = asked.requester, asked.segment("id")
        wanted = await asked.body(_Members)
        added = await self._do(
            partial(
                self._workspaces.add_members,
                requester.account,
                name,
                wanted.user_ids,
                actor=requester.actor,
            )
        )
        shown = [_member_object(one) for one in added]
        return answer({"data": shown, "added_count": len(shown)})

    async def members_removed(self, asked: Asked) -> Response:
        requester, name = asked.requester, asked.segment("id")
        wanted = await asked.body(_Members)
        removed = await self._do(
            partial(
                self._workspaces.remove_members,
                requester.account,
                name,
                wanted.user_ids,
                actor=requester.actor,
            )
        )
        return answer({"removed_count": removed})

    # What it may spend.

    async def budgets(self, asked: Asked) -> Response:
        account, name = asked.requester.account, asked.segment("id")
        workspace, found = await self._do(partial(self._workspaces.budgets, account, name))
        return answer(_with_byok([_budget_object(one) for one in found], workspace))

    async def budget(self, asked: Asked) -> Response:
        account, name, span = asked.requester.account, asked.segment("id"), _span(asked)
        workspace, found = await self._do(partial(self._workspaces.budgets, account, name))
        for one in found:
            if one.span is span:
                return answer(_with_byok(_budget_object(one), workspace))
        raise NotFound(f"This workspace has no {span.value} budget.")

    async def budget_set(self, asked: Asked) -> Response:
        requester, name, span = asked.requester, asked.segment("id"), _span(asked)
        wanted = await asked.body(_Budget)
        workspace, after = await self._do(
            partial(
                self._workspaces.set_budget,
                requester.account,
                name,
                span,
                limit=nano_dollars(wanted.limit_usd, "limit_usd"),
                include_byok=(
                    None
                    if wanted.include_byok_in_budgets is UNSET
                    else wanted.include_byok_in_budgets
                ),
                actor=requester.actor,
            )
        )
        return answer(_with_byok(_budget_object(after), workspace))

    async def budget_deleted(self, asked: Asked) -> Response:
        requester, name, span = asked.requester, asked.segment("id"), _span(asked)
        await self._do(
            partial(
                self._workspaces.delete_budget,
                requester.account,
                name,
                span,
                actor=requester.actor,
            )
        )
        return answer({"deleted": True})


def workspace_object(workspace: Workspace) -> dict[str, object]:
    """A workspace as the public API shows it. Pure."""
    return {
        "id": workspace.id,
        "name": workspace.name,
        "slug": workspace.slug,
        "description": workspace.description,
        "is_default": workspace.is_default,
        "default_text_model": workspace.default_text_model,
        "default_image_model": workspace.default_image_model,
        "default_provider_sort": workspace.default_provider_sort,
        "default_guardrail_id": default_guardrail(workspace.id),
        "is_observability_io_logging_enabled": workspace.io_logging,
        "io_logging_sampling_rate": workspace.io_logging_sampling_rate,
        "io_logging_api_key_ids": (
            None
            if workspace.io_logging_keys is None
            else [key_number(one) for one in workspace.io_logging_keys]
        ),
        "is_observability_broadcast_enabled": workspace.broadcast,
        "is_data_discount_logging_enabled": workspace.data_discount_logging,
        "include_byok_in_budgets": workspace.include_byok_in_budgets,
        "created_by": workspace.created_by,
        "created_at": timestamp(workspace.created_ms),
        "updated_at": timestamp_or_none(workspace.updated_ms),
    }


def _member_object(member: WorkspaceMember) -> dict[str, object]:
    return {
        "id": member.id,
        "workspace_id": member.workspace,
        "user_id": member.user,
        "role": member.role,
        "created_at": timestamp(member.created_ms),
    }


def _budget_object(budget: WorkspaceBudget) -> dict[str, object]:
    return {
        "id": budget.id,
        "workspace_id": budget.workspace,
        "limit_usd": usd(budget.limit),
        "reset_interval": budget.span.reset,
        "created_at": timestamp(budget.created_ms),
        "updated_at": timestamp(budget.updated_ms),
    }


def _with_byok(data: object, workspace: Workspace) -> dict[str, object]:
    return {"data": data, "include_byok_in_budgets": workspace.include_byok_in_budgets}


def _span(asked: Asked) -> BudgetSpan:
    text = asked.segment("interval")
    try:
        return BudgetSpan(text)
    except ValueError:
        spans = ", ".join(BudgetSpan)
        raise RequestInvalid(f"`interval` is one of {spans}.", param="interval") from None
