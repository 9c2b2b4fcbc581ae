"""`/settings/privacy`: what providers may do with prompts, what is kept here, what is shared for a discount.

The policies hold for the account; what is kept and shared is set for each workspace.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.accounts.service import Accounts
from fairlead.control.people.types import SignedIn
from fairlead.control.workspaces.types import Workspace, WorkspaceChange
from fairlead.core.errors import NotFound, RequestInvalid
from fairlead.web.asking import Desk
from fairlead.web.auth.exchange import Form
from fairlead.web.pages.attempts import Refused, attempted
from fairlead.web.pages.settings.desk import SettingsDesk, check_admin, lines
from fairlead.web.pages.settings.preferences import (
    Fields,
    change_preferences,
    put_list,
    put_switch,
    read_preferences,
)

__all__ = ["privacy_pages"]

_PATH = "/settings/privacy"
_SWITCHES: Final = (
    "enable_paid_model_training",
    "enable_free_model_training",
    "enable_free_model_publication",
    "data_collection_deny",
    "zdr",
    "enforce_distillable_text",
)
_PERCENT: Final = 100
_FIELDS: Final = {
    "io_logging_sampling_rate": "sampling",
    "io_logging_api_key_ids": "logged_keys",
}


def privacy_pages(desk: SettingsDesk) -> list[Route]:
    accounts = desk.site.services.accounts
    if accounts is None:
        return []
    it = _Privacy(desk, accounts)
    return [
        Route("/settings/privacy", it.privacy),
        Route("/settings/privacy/policies", it.change_policies, methods=["POST"]),
        Route("/settings/privacy/logging", it.change_logging, methods=["POST"]),
    ]


class _Privacy:
    def __init__(self, desk: SettingsDesk, accounts: Desk[Accounts]) -> None:
        self._desk = desk
        self._accounts = accounts
        self._management = desk.management

    async def privacy(self, request: Request) -> Response:
        return await self._show(request, await self._desk.site.member(request))

    async def change_policies(self, request: Request) -> Response:
        member, form = await self._desk.site.posted(request)
        check_admin(member)

        def changed(fields: Fields) -> None:
            for name in _SWITCHES:
                put_switch(fields, name, is_on=form.fields.get(name) == "true")
            put_list(
                fields, "enforce_zdr_authors", form.fields.get("enforce_zdr_authors", "").lower()
            )

        catalog = self._desk.site.services.catalog
        done = await change_preferences(self._accounts, catalog, member.account.id, changed)
        if done is not None:
            return await self._show(request, member, done, form.fields)
        return self._desk.site.go(_PATH, notice="saved")

    async def change_logging(self, request: Request) -> Response:
        member, form = await self._desk.site.posted(request)
        check_admin(member)
        service = self._management.workspaces
        actor, account = self._desk.actor(request, member), member.account.id

        async def save() -> Workspace:
            change, name = _logging(form), form.fields.get("workspace", "")
            return await self._management.do(
                lambda: service.update(account, name, change, actor=actor)
            )

        done = await attempted(save())
        if isinstance(done, Refused):
            return await self._show(request, member, done.renamed(_FIELDS), form.fields)
        return self._desk.site.go(f"{_PATH}?workspace={done.slug}", notice="saved")

    async def _show(
        self,
        request: Request,
        member: SignedIn,
        problem: Refused | None = None,
        values: Mapping[str, str] | None = None,
    ) -> Response:
        found = await read_preferences(self._accounts, member.account.id)
        wanted = (values or {}).get("workspace") or request.query_params.get("workspace")
        choice = await self._desk.workspace(member, wanted)
        workspace, terms = choice.chosen, self._desk.site.services.terms
        if workspace is None:
            raise NotFound("You have no such workspace.")
        return await self._desk.page(
            request,
            "privacy",
            member,
            title="Privacy and logging",
            refused=problem,
            values=values or {},
            policies=found.value,
            zdr_authors="\n".join(found.value.enforce_zdr_authors),
            workspace=workspace,
            workspaces=choice.pages(f"{_PATH}#logging"),
            workspaces_left_out=choice.left_out,
            rate=_percent(workspace.io_logging_sampling_rate),
            logged_keys=await self._logged_keys(member, workspace),
            retention_days=terms.content_retention_days,
            discount=f"{terms.discount_percent:g}",
        )

    async def _logged_keys(self, member: SignedIn, workspace: Workspace) -> str:
        """The hashes of those whose prompts are kept, one on each line; "": of all."""
        ids, keys = workspace.io_logging_keys, self._management.keys
        if not ids:
            return ""
        found = await self._management.do(lambda: keys.find_all(member.account.id, ids))
        return "\n".join(one.digest.hex() for one in found)


def _logging(form: Form) -> WorkspaceChange:
    """Raises RequestInvalid."""
    return WorkspaceChange(
        io_logging=form.fields.get("io_logging") == "true",
        io_logging_sampling_rate=_rate(form.fields.get("sampling", "")),
        io_logging_keys=lines(form.fields.get("logged_keys", "").lower()) or None,
        data_discount_logging=form.fields.get("data_discount_logging") == "true",
    )


def _rate(text: str) -> float:
    """From percent. Raises RequestInvalid."""
    try:
        rate = Decimal(text.strip().rstrip("%").strip() or "100") / _PERCENT
    except InvalidOperation:
        raise RequestInvalid("A number of percent.", param="sampling") from None
    if not (rate.is_finite() and Decimal("0.0001") <= rate <= 1):
        raise RequestInvalid("From 0.01 to 100 percent.", param="sampling")
    return float(rate)


def _percent(rate: float) -> str:
    return f"{Decimal(repr(rate)) * _PERCENT:f}".rstrip("0").rstrip(".") if rate != 1 else "100"
