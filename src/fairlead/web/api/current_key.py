"""`GET /key`, and its old name `/auth/key`: what a key's bearer may know of it."""

from __future__ import annotations

from starlette.responses import Response

from fairlead.control.accounts.types import AccountKind
from fairlead.control.keys.types import ApiKey
from fairlead.control.usage.types import KeyUsage
from fairlead.core.budgets.types import key_budget
from fairlead.core.errors import NotAuthenticated
from fairlead.core.limits import KeyPace
from fairlead.web.answers import answer, timestamp_or_none
from fairlead.web.api.keys import limit_fields, usage_fields
from fairlead.web.management import Management, Payer
from fairlead.web.operations import Asked, Operation, Who
from fairlead.web.services import Keys

__all__ = ["current_key_object", "current_key_operations"]


def current_key_operations(keys: Keys, management: Management) -> list[Operation]:
    async def current(asked: Asked) -> Response:
        requester = asked.requester
        caller = requester.caller
        if caller is None:
            raise NotAuthenticated("This is about the key in the header `Authorization`.")

        def found() -> tuple[ApiKey, KeyUsage, Payer, dict[str, object]]:
            key = management.keys.find(caller.account, caller.key)
            usage = management.usages.of_keys([key.id]).get(key.id, KeyUsage())
            standing = management.standings.standing([key_budget(key.id)]).get(key_budget(key.id))
            spent = None if standing is None else standing.spent
            return (
                key,
                usage,
                management.payer(caller.account),
                limit_fields(key, usage, spent=spent),
            )

        key, usage, payer, limits = await management.do(found)
        pace = await keys.pace(caller)
        return answer({"data": current_key_object(key, usage, payer, pace) | limits})

    return [
        Operation("GET", "/key", current, Who.ACCOUNT),
        Operation("GET", "/auth/key", current, Who.ACCOUNT),
    ]


def current_key_object(
    key: ApiKey, usage: KeyUsage, payer: Payer, pace: KeyPace
) -> dict[str, object]:
    """The key as the public API shows it to its bearer, with what younger clients ask for. Pure."""
    is_shared = payer.kind is AccountKind.ORGANISATION
    return {
        "label": key.label,
        **usage_fields(usage),
        "is_free_tier": payer.is_free_tier,
        "is_management_key": key.is_management,
        "is_provisioning_key": key.is_management,
        "creator_user_id": key.creator,
        "expires_at": timestamp_or_none(key.expires_ms),
        "rate_limit": _rate_limit(pace),
        "allowed_data_regions": [],
        "budgets": [],
        "effective_budget": None,
        "free_model_daily_requests": _free_requests(pace),
        "organization_id": key.account if is_shared else None,
        "workspace_id": None if key.is_management else key.workspace,
    }


def _rate_limit(pace: KeyPace) -> dict[str, object]:
    """An old field with room for one limit: the shorter span goes before. -1: there is none."""
    per_day = pace.requests_per_day
    if pace.requests_per_minute is not None:
        requests, interval = pace.requests_per_minute, "1m"
    elif per_day is not None:
        requests, interval = per_day, "1d"
    else:
        return {"requests": -1, "interval": "10s", "note": "Not a limit; an old field."}
    note = "No limit per day." if per_day is None else f"At most {per_day} requests per day (UTC)."
    return {"requests": requests, "interval": interval, "note": note}


def _free_requests(pace: KeyPace) -> dict[str, int]:
    """All nought where they are not limited."""
    limit = pace.free_per_day
    if limit is None:
        return {"limit": 0, "used": 0, "remaining": 0}
    used = pace.free_taken_today
    return {"limit": limit, "used": used, "remaining": max(0, limit - used)}
