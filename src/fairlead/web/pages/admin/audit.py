"""`/admin/audit`: who did what to whom, the newest first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import starmap
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.audit.types import AuditEntry
from fairlead.core.ids import AccountId
from fairlead.core.money import NANO_PER_USD
from fairlead.web.pages.admin.desk import AdminDesk
from fairlead.web.pages.paging import PAGE_ROWS, addressed
from fairlead.web.pages.shown import dollars
from fairlead.web.reading import is_keepable

__all__ = ["audit_pages"]

PATH: Final = "/admin/audit"
FILTERS: Final = ("action", "actor", "account")
FILTER_CHARACTERS_MAX: Final = 200
_MONEY: Final = re.compile(r"_(nano|cents|usd)(?=_|$)")
_AMOUNT: Final = re.compile(r"-?\d{1,18}(\.\d{1,9})?")
_NANO_PER: Final = {"nano": 1, "cents": NANO_PER_USD // 100, "usd": NANO_PER_USD}


@dataclass(frozen=True, slots=True)
class EntryRow:
    """actor, account: how to call them. details: names and values, amounts of money as such."""

    entry: AuditEntry
    actor: str
    account: str
    by_actor: str
    by_action: str
    details: tuple[tuple[str, str], ...]


def audit_pages(desk: AdminDesk) -> list[Route]:
    administration = desk.administration

    async def listed(request: Request) -> Response:
        member = await desk.owner(request)
        chosen = {name: _said(request, name) for name in FILTERS}
        before = _said(request, "before")

        def read() -> tuple[list[AuditEntry], dict[str, str]]:
            entries = administration.audit.page_of_all(
                account=AccountId(chosen["account"]) if chosen["account"] else None,
                actor=chosen["actor"] or None,
                action=chosen["action"] or None,
                before=before or None,
                limit=PAGE_ROWS + 1,
            )
            named = {one.actor.name for one in entries} | {one.account for one in entries}
            return entries, administration.oversight.names(named)

        entries, names = await administration.do(partial(read))
        rows = [_row(one, names) for one in entries[:PAGE_ROWS]]
        older = None
        if len(entries) > PAGE_ROWS:
            older = addressed(PATH, chosen | {"before": rows[-1].entry.id})
        return await desk.page(
            request, "audit", member, title="Audit log", fragment="admin/audit_rows.html",
            rows=rows, chosen=chosen, older=older, newest=addressed(PATH, chosen) if before else None,
        )  # fmt: skip

    return [Route("/admin/audit", listed)]


def _said(request: Request, name: str) -> str:
    text = request.query_params.get(name, "").strip()
    return text if is_keepable(text) and len(text) <= FILTER_CHARACTERS_MAX else ""


def _row(entry: AuditEntry, names: dict[str, str]) -> EntryRow:
    return EntryRow(
        entry=entry,
        actor=names.get(entry.actor.name, entry.actor.name),
        account=names.get(entry.account, entry.account),
        by_actor=addressed(PATH, {"actor": entry.actor.name}),
        by_action=addressed(PATH, {"action": entry.action}),
        details=tuple(starmap(_written, entry.details.items())),
    )


def _written(name: str, value: str) -> tuple[str, str]:
    """limit_nano 5000000000 is "limit", "$5.00"."""
    unit = _MONEY.search(name)
    if unit is None or not _AMOUNT.fullmatch(value):
        return name, value
    amount = int(Decimal(value) * _NANO_PER[unit[1]])
    return name[: unit.start()] + name[unit.end() :], dollars(amount)
