"""`GET /key`, and its old name `/auth/key`: what a key's bearer may know of it."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.core.money import NanoUSD, usd
from fairlead.web.answers import answer
from fairlead.web.services import Caller, KeyDescription, WebServices

__all__ = ["key_object", "key_routes"]


def key_routes(services: WebServices) -> list[Route]:
    async def current_key(request: Request) -> Response:
        caller = await services.keys.authenticate(request.headers.get("authorization"))
        description = await services.keys.describe(caller)
        return answer({"data": key_object(caller, description)})

    return [Route("/key", current_key), Route("/auth/key", current_key)]


def key_object(caller: Caller, key: KeyDescription) -> dict[str, object]:
    """The key as the public API shows it; the second half is what official clients ask for besides."""
    return {
        "label": key.label,
        "limit": _dollars(key.limit),
        "limit_remaining": _dollars(key.limit_remaining),
        "limit_reset": key.limit_reset,
        "include_byok_in_limit": False,
        "usage": usd(key.spent.total),
        "usage_daily": usd(key.spent.day),
        "usage_weekly": usd(key.spent.week),
        "usage_monthly": usd(key.spent.month),
        "byok_usage": 0.0,
        "byok_usage_daily": 0.0,
        "byok_usage_weekly": 0.0,
        "byok_usage_monthly": 0.0,
        "is_free_tier": False,
        "is_management_key": caller.is_management,
        "is_provisioning_key": caller.is_management,
        "creator_user_id": None,
        "expires_at": _timestamp(key.expires_s),
        "rate_limit": _rate_limit(key),
        "allowed_data_regions": [],
        "budgets": [],
        "effective_budget": None,
        "free_model_daily_requests": _free_requests(key),
        "organization_id": None,
        "workspace_id": None,
    }


def _rate_limit(key: KeyDescription) -> dict[str, object]:
    """An old field with room for one limit: the shorter span goes before. -1: there is none."""
    if key.requests_per_minute is not None:
        requests, interval = key.requests_per_minute, "1m"
    elif key.requests_per_day is not None:
        requests, interval = key.requests_per_day, "1d"
    else:
        return {"requests": -1, "interval": "10s", "note": "Not a limit; an old field."}
    per_day = key.requests_per_day
    note = "No limit per day." if per_day is None else f"At most {per_day} requests per day (UTC)."
    return {"requests": requests, "interval": interval, "note": note}


def _free_requests(key: KeyDescription) -> dict[str, int]:
    """All nought where they are not limited."""
    limit = key.free_per_day
    if limit is None:
        return {"limit": 0, "used": 0, "remaining": 0}
    used = key.free_taken_today
    return {"limit": limit, "used": used, "remaining": max(0, limit - used)}


def _dollars(amount: NanoUSD | None) -> float | None:
    return usd(amount) if amount is not None else None


def _timestamp(unix_s: float | None) -> str | None:
    if unix_s is None:
        return None
    return datetime.fromtimestamp(unix_s, UTC).isoformat().replace("+00:00", "Z")
