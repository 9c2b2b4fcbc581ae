"""What a workspace may be. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from itertools import pairwise
from types import MappingProxyType
from typing import Final
from uuid import UUID, uuid5

import msgspec
from msgspec import UNSET
from msgspec.structs import asdict

from fairlead.control.workspaces.types import (
    BudgetInvalid,
    BudgetSpan,
    Workspace,
    WorkspaceChange,
    WorkspaceInvalid,
)
from fairlead.core.budgets.types import Reset, workspace_budget
from fairlead.core.ids import AccountId, BudgetId, KeyId, UserId, WorkspaceId
from fairlead.core.money import NanoUSD
from fairlead.core.one_line import one_line

__all__ = [
    "MEMBERS_AT_ONCE",
    "WORKSPACES_MAX",
    "WORKSPACE_CREATE",
    "budget_id",
    "changed",
    "check_budgets",
    "default_guardrail",
    "key_number",
    "logged_keys",
    "membership_id",
    "new",
    "span_id",
]

NAME_CHARACTERS_MAX: Final = 100
SLUG_CHARACTERS_MAX: Final = 50
DESCRIPTION_CHARACTERS_MAX: Final = 500
MODEL_CHARACTERS_MAX: Final = 200
KEYS_MAX: Final = 100  # whose prompts are kept
WORKSPACES_MAX: Final = 500  # of one account
MEMBERS_AT_ONCE: Final = 100
SAMPLING_RATE_MIN: Final = 0.0001
SORTS: Final = ("price", "throughput", "latency", "exacto")
WORKSPACE_CREATE: Final = "workspace.create"
NO_KEYS: Final[Mapping[KeyId, bytes]] = MappingProxyType({})

_read_keys: Final = msgspec.json.Decoder(tuple[str | int, ...]).decode
_SLUG: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def default_guardrail(workspace: WorkspaceId) -> str:
    """The id that its default guardrail has, or would have."""
    return str(uuid5(UUID(workspace), "default guardrail"))


def key_number(key: KeyId) -> int:
    """What the API calls a key in the one place where it wants a number: 53 bits, which JSON carries."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest()) >> 11


def logged_keys(kept: str | None) -> tuple[KeyId, ...] | None:
    """Of a row's io_logging_key_ids. A number, as earlier versions could write, is nobody's key."""
    if kept is None:
        return None
    return tuple(KeyId(one) for one in _read_keys(kept) if isinstance(one, str))


def membership_id(workspace: WorkspaceId, user: UserId) -> str:
    return str(uuid5(UUID(workspace), user))


def span_id(workspace: WorkspaceId, span: BudgetSpan) -> str:
    return str(uuid5(UUID(workspace), f"budget {span.value}"))


def budget_id(workspace: WorkspaceId, span: BudgetSpan) -> BudgetId:
    return workspace_budget(workspace, None if span.reset is None else Reset(span.reset))


def new(
    change: WorkspaceChange,
    *,
    id: WorkspaceId,  # noqa: A002 - it is one
    account: AccountId,
    creator: UserId | None,
    now_ms: int,
) -> Workspace:
    """Raises WorkspaceInvalid; also where the name or the slug is missing."""
    for field in ("name", "slug"):
        if getattr(change, field) is UNSET:
            raise WorkspaceInvalid(f"a workspace needs a {field}", field)
    blank = Workspace(
        id=id,
        account=account,
        is_default=False,
        name="",
        slug="",
        description=None,
        default_text_model=None,
        default_image_model=None,
        default_provider_sort=None,
        io_logging=False,
        io_logging_sampling_rate=1.0,
        io_logging_keys=None,
        broadcast=False,
        data_discount_logging=False,
        include_byok_in_budgets=False,
        created_by=creator,
        created_ms=now_ms,
        updated_ms=None,
    )
    return replace(changed(blank, change, now_ms=now_ms), updated_ms=None)


def changed(
    workspace: Workspace,
    change: WorkspaceChange,
    *,
    now_ms: int,
    keys: Mapping[KeyId, bytes] = NO_KEYS,
) -> Workspace:
    """keys: those of the workspace, with their digests. Raises WorkspaceInvalid, which names the field."""
    wanted = {name: value for name, value in asdict(change).items() if value is not UNSET}
    if isinstance(name := wanted.get("name"), str):
        wanted["name"] = _name(name)
    if isinstance(slug := wanted.get("slug"), str):
        _check_slug(slug)
    _check_length(wanted, "description", DESCRIPTION_CHARACTERS_MAX)
    for field in ("default_text_model", "default_image_model"):
        _check_length(wanted, field, MODEL_CHARACTERS_MAX)
        if isinstance(model := wanted.get(field), str):
            # An empty one would hide what the account has set.
            wanted[field] = model.strip() or None
    sort = wanted.get("default_provider_sort")
    if sort is not None and sort not in SORTS:
        raise WorkspaceInvalid(
            f"default_provider_sort is one of {', '.join(SORTS)}", "default_provider_sort"
        )
    rate = wanted.get("io_logging_sampling_rate", 1.0)
    if not SAMPLING_RATE_MIN <= rate <= 1:
        raise WorkspaceInvalid(
            f"io_logging_sampling_rate is from {SAMPLING_RATE_MIN} to 1", "io_logging_sampling_rate"
        )
    if (names := wanted.get("io_logging_keys")) is not None:
        wanted["io_logging_keys"] = _keys_named(names, keys)
    return replace(workspace, **wanted, updated_ms=now_ms)


def check_budgets(limits: Mapping[BudgetSpan, NanoUSD]) -> None:
    """A longer span must allow more than a shorter one. Raises BudgetInvalid."""
    for span, limit in limits.items():
        if limit <= 0:
            raise BudgetInvalid(f"a {span.value} budget is more than nothing", "limit_usd")
    there = [(span, limits[span]) for span in BudgetSpan if span in limits]
    for (short, less), (long, more) in pairwise(there):
        if more <= less:
            raise BudgetInvalid(
                f"the {long.value} budget must be more than the {short.value} budget", "limit_usd"
            )


def _name(text: str) -> str:
    line = one_line(text)
    if not 0 < len(line) <= NAME_CHARACTERS_MAX:
        raise WorkspaceInvalid(f"a name has 1 to {NAME_CHARACTERS_MAX} characters", "name")
    return line


def _keys_named(names: Sequence[str | int], keys: Mapping[KeyId, bytes]) -> tuple[KeyId, ...]:
    """Raises WorkspaceInvalid."""
    field = "io_logging_api_key_ids"
    if not 0 < len(names) <= KEYS_MAX:
        raise WorkspaceInvalid(f"{field} has 1 to {KEYS_MAX} keys; null is for all of them", field)
    known: dict[str | int, KeyId] = {digest.hex(): key for key, digest in keys.items()}
    known |= {key_number(key): key for key in keys}
    for name in names:
        if name not in known:
            raise WorkspaceInvalid(f"this workspace has no active key {str(name)[:64]}", field)
    return tuple(dict.fromkeys(known[name] for name in names))


def _check_slug(text: str) -> None:
    if len(text) > SLUG_CHARACTERS_MAX or not _SLUG.fullmatch(text):
        raise WorkspaceInvalid(
            f"a slug has 1 to {SLUG_CHARACTERS_MAX} lower-case letters and digits, in parts joined by"
            " single hyphens",
            "slug",
        )


def _check_length(wanted: Mapping[str, object], field: str, characters_max: int) -> None:
    text = wanted.get(field)
    if isinstance(text, str) and len(text) > characters_max:
        raise WorkspaceInvalid(f"{field} has at most {characters_max} characters", field)
