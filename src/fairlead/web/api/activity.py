"""`GET /activity`: what an account used in the last thirty days, by day and endpoint.

Whoever is signed in sees all of it, also members; of one key by itself, who made that key and admins.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

from starlette.responses import Response

from fairlead.control.usage.service import ACTIVITY_DAYS
from fairlead.control.usage.types import ActivityRow
from fairlead.core.catalog import Snapshot
from fairlead.core.errors import RequestInvalid
from fairlead.core.ids import ModelId, ProviderSlug, UserId
from fairlead.core.money import usd
from fairlead.web.answers import answer
from fairlead.web.csv_export import csv_answer
from fairlead.web.operations import Asked, Operation, Who
from fairlead.web.services import CatalogFeed, Clock
from fairlead.web.usage_desk import UsageDesk

__all__ = ["activity_object", "activity_operations"]

_DAY_S: Final = 86_400
_HASH_CHARACTERS: Final = 64


def activity_operations(desk: UsageDesk, catalog: CatalogFeed, clock: Clock) -> list[Operation]:
    async def activity(asked: Asked) -> Response:
        as_csv = _as_csv(asked)
        by_workspace = _by_workspace(asked)
        user = asked.parameter("user_id")
        rows = await desk.activity(
            asked.requester.account,
            day_ms=_day_ms(asked, clock.now_s()),
            key_digest=_key_digest(asked),
            keys_of=None if asked.requester.may_manage else asked.requester.user,
            user=None if user is None else UserId(user),
            workspace=asked.workspace(),
            by_workspace=by_workspace,
        )
        snapshot = catalog.snapshot
        shown = [activity_object(row, snapshot) for row in rows]
        if not as_csv:
            return answer({"data": shown})
        columns = [*_COLUMNS, "workspace_id"] if by_workspace else list(_COLUMNS)
        return csv_answer("activity", columns, ([one[name] for name in columns] for one in shown))

    return [Operation("GET", "/activity", activity, Who.PEOPLE_ELSE_403)]


_COLUMNS: Final = (
    "date", "model", "model_permaslug", "endpoint_id", "provider_name", "requests", "prompt_tokens",
    "completion_tokens", "reasoning_tokens", "cached_tokens", "usage", "byok_usage_inference",
)  # fmt: skip


def activity_object(row: ActivityRow, snapshot: Snapshot) -> dict[str, object]:
    """One row as the public API shows it. Pure."""
    model = snapshot.models.get(ModelId(row.model))
    provider = snapshot.providers.get(ProviderSlug(row.provider))
    shown: dict[str, object] = {
        "date": datetime.fromtimestamp(row.day_ms / 1000, UTC).date().isoformat(),
        "model": row.model,
        "model_permaslug": row.model if model is None else model.canonical_slug,
        "endpoint_id": row.endpoint,
        "provider_name": row.provider if provider is None else provider.name,
        "usage": usd(row.cost),
        "byok_usage_inference": usd(row.byok),
        "requests": row.requests,
        "prompt_tokens": row.prompt_tokens,
        "completion_tokens": row.completion_tokens,
        "reasoning_tokens": row.reasoning_tokens,
        "cached_tokens": row.cached_tokens,
    }
    if row.workspace is not None:
        shown["workspace_id"] = row.workspace
    return shown


def _day_ms(asked: Asked, now_s: float) -> int | None:
    text = asked.parameter("date")
    if text is None:
        return None
    try:
        day = date.fromisoformat(text) if len(text) == len("2026-11-21") else None
    except ValueError:
        day = None
    if day is None:
        raise RequestInvalid("`date` is a day such as 2026-11-21.", param="date")
    today = datetime.fromtimestamp(now_s, UTC).date()
    if not today - timedelta(days=ACTIVITY_DAYS) <= day < today:
        raise RequestInvalid(
            f"`date` is one of the last {ACTIVITY_DAYS} days that are over (UTC), not {text}.",
            param="date",
        )
    return (day - date(1970, 1, 1)).days * _DAY_S * 1000


def _key_digest(asked: Asked) -> bytes | None:
    text = asked.parameter("api_key_hash")
    if text is None:
        return None
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(text) != _HASH_CHARACTERS or digest.hex() != text.lower():
        raise RequestInvalid(
            "`api_key_hash` is the SHA-256 of a key, 64 hexadecimal digits.", param="api_key_hash"
        )
    return digest


def _by_workspace(asked: Asked) -> bool:
    text = asked.parameter("group_by")
    if text not in (None, "workspace"):
        raise RequestInvalid("`group_by` is `workspace`, or not given.", param="group_by")
    return text is not None


def _as_csv(asked: Asked) -> bool:
    text = asked.parameter("format")
    if text not in (None, "json", "csv"):
        raise RequestInvalid("`format` is json or csv.", param="format")
    return text == "csv"
