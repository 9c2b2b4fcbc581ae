"""API keys as their pages show them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from fairlead.control.budgets.types import Spending
from fairlead.control.keys.types import ApiKey, LimitReset
from fairlead.control.usage.types import KeyUsage
from fairlead.web.api.keys import spent_under_limit
from fairlead.web.pages.form_fields import typed_dollars
from fairlead.web.pages.paging import Paging
from fairlead.web.pages.shown import dollars, money

__all__ = [
    "LIMIT_RESETS",
    "KeyForm",
    "KeyList",
    "KeyRow",
    "filled_form",
    "form_of",
    "key_path",
    "key_row",
    "key_state",
    "typed_form",
]

LIMIT_RESETS: Final = (
    ("", "Never"),
    ("daily", "Every day"),
    ("weekly", "Every Monday"),
    ("monthly", "Every month"),
)
_OF_SPAN: Final = {
    None: "",
    LimitReset.DAILY: " a day",
    LimitReset.WEEKLY: " a week",
    LimitReset.MONTHLY: " a month",
}
_MS_PER_S: Final = 1000


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key. state: in a word, tone: of its badge. limit: "" for none; left, used_share: of it.

    workspace, creator: names; "" where they go without saying. Times are Unix seconds.
    """

    path: str
    hash: str
    name: str
    label: str
    state: str
    tone: str
    is_management: bool
    is_disabled: bool
    is_revoked: bool
    used: str
    used_today: str
    used_week: str
    used_month: str
    byok: str
    requests: int
    limit: str
    left: str
    used_share: float
    workspace: str
    creator: str
    pace: str
    created_s: float
    last_used_s: float | None
    expires_s: float | None


@dataclass(frozen=True, slots=True)
class KeyList:
    """workspaces: ids and names. workspaces_left_out: how many more there are."""

    rows: tuple[KeyRow, ...]
    is_management: bool
    may_manage: bool
    workspaces: tuple[tuple[str, str], ...]
    workspaces_left_out: int
    workspace: str
    pages: Paging


@dataclass(frozen=True, slots=True)
class KeyForm:
    """As somebody typed it. problems: by field; "": of the whole."""

    name: str = ""
    limit: str = ""
    limit_reset: str = ""
    with_byok: bool = False
    expires: str = ""
    workspace: str = ""
    is_management: bool = False
    problems: Mapping[str, str] = field(default_factory=dict)


def filled_form(fields: Mapping[str, str]) -> KeyForm:
    return KeyForm(
        name=fields.get("name", ""),
        limit=fields.get("limit", "").strip(),
        limit_reset=fields.get("limit_reset", ""),
        with_byok="with_byok" in fields,
        expires=fields.get("expires", "").strip(),
        workspace=fields.get("workspace", ""),
        is_management=fields.get("kind") == "management",
    )


def form_of(key: ApiKey) -> KeyForm:
    return KeyForm(
        name=key.name,
        limit=typed_dollars(key.limit),
        limit_reset="" if key.limit_reset is None else key.limit_reset.value,
        with_byok=key.includes_byok,
        workspace=key.workspace,
        is_management=key.is_management,
    )


def typed_form(fields: Mapping[str, str], key: ApiKey) -> KeyForm:
    """A change of that key."""
    typed = filled_form(fields)
    return KeyForm(
        name=typed.name,
        limit=typed.limit,
        limit_reset=typed.limit_reset,
        with_byok=typed.with_byok,
        workspace=key.workspace,
        is_management=key.is_management,
    )


def key_path(key: ApiKey) -> str:
    return f"/settings/keys/{key.digest.hex()}"


def key_row(
    key: ApiKey,
    usage: KeyUsage | None,
    standing: Spending | None,
    *,
    workspace: str,
    creator: str,
    now_ms: int,
) -> KeyRow:
    """standing: of its limit, if it has one."""
    usage = usage or KeyUsage()
    state, tone = key_state(key, now_ms)
    spent = spent_under_limit(key, usage) if standing is None else standing.spent
    limit = key.limit
    if limit is not None and spent >= limit and tone == "success":
        state, tone = "Limit reached", "warning"
    return KeyRow(
        path=key_path(key),
        hash=key.digest.hex(),
        name=key.name,
        label=key.label,
        state=state,
        tone=tone,
        is_management=key.is_management,
        is_disabled=key.is_disabled,
        is_revoked=key.revoked_ms is not None,
        used=money(usage.total.cost),
        used_today=money(usage.daily.cost),
        used_week=money(usage.weekly.cost),
        used_month=money(usage.monthly.cost),
        byok=dollars(usage.total.byok) if usage.total.byok else "",
        requests=usage.requests,
        limit="" if limit is None else f"{dollars(limit)}{_OF_SPAN[key.limit_reset]}",
        left="" if limit is None else money(max(0, limit - spent)),
        used_share=0.0 if limit is None else min(1.0, spent / limit) if limit else 1.0,
        workspace=workspace,
        creator=creator,
        pace=_pace(key),
        created_s=key.created_ms / _MS_PER_S,
        last_used_s=_seconds(usage.last_used_ms),
        expires_s=_seconds(key.expires_ms),
    )


def key_state(key: ApiKey, now_ms: int) -> tuple[str, str]:
    """In a word, and the tone of its badge."""
    if key.revoked_ms is not None:
        return "Revoked", "danger"
    if key.expires_ms is not None and key.expires_ms <= now_ms:
        return "Expired", "warning"
    if key.is_disabled:
        return "Disabled", "warning"
    return "Active", "success"


def _pace(key: ApiKey) -> str:
    said = [
        f"{count:,} requests a {span}"
        for count, span in ((key.requests_per_minute, "minute"), (key.requests_per_day, "day"))
        if count is not None
    ]
    return ", ".join(said)


def _seconds(unix_ms: int | None) -> float | None:
    return None if unix_ms is None else unix_ms / _MS_PER_S
