"""`GET` and `PUT /preferences`: what an account wishes of routing, for all of its calls. Our own extension."""

from __future__ import annotations

from functools import partial

import msgspec
from starlette.responses import Response

from fairlead.control.accounts.preferences import PREFERENCES_BYTES_MAX, checked
from fairlead.control.accounts.service import Accounts
from fairlead.web.answers import answer
from fairlead.web.asking import Desk
from fairlead.web.operations import Asked, Operation, Who
from fairlead.web.services import CatalogFeed

__all__ = ["preference_operations"]


def preference_operations(accounts: Desk[Accounts] | None, catalog: CatalogFeed) -> list[Operation]:
    if accounts is None:
        return []
    service = accounts.service

    async def found(asked: Asked) -> Response:
        return _shown(await accounts.do(partial(service.preferences, asked.requester.account)))

    async def replaced(asked: Asked) -> Response:
        account, providers = asked.requester.account, catalog.snapshot.providers
        text = await asked.content(bytes_max=PREFERENCES_BYTES_MAX)

        def replaced() -> str:
            return service.set_preferences(account, checked(text, providers))

        return _shown(await accounts.do(replaced))

    return [
        Operation("GET", "/preferences", found, Who.ACCOUNT),
        # What holds for all keys of the account is not for one of them to change.
        Operation("PUT", "/preferences", replaced, Who.MANAGER_ELSE_403),
    ]


def _shown(text: str) -> Response:
    return answer({"data": msgspec.Raw(text.encode())})
