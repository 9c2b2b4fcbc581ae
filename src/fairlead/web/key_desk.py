"""API keys as the web edge asks for them: who calls, and what its owner may know of the key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from fairlead.control.generations.service import GenerationStore
from fairlead.control.keys.service import Keys
from fairlead.control.keys.types import ApiKey, KeyUnknown
from fairlead.control.serving.keys import CachedKeyDirectory
from fairlead.control.serving.limits import RateLimits
from fairlead.core.caller import Caller as KnownCaller
from fairlead.core.errors import NotAuthenticated, NotFound
from fairlead.core.money import NanoUSD
from fairlead.web.services import Caller, KeyDescription, Spent

__all__ = ["KeyDesk", "span_starts_ms"]


class KeyDesk:
    """`web.services.Keys` over the key directory, the keys and what they used.

    in_thread: calls a blocking function in one of the database's threads.
    rate_limits: None: the keys' pace is not shown.
    """

    def __init__(
        self,
        directory: CachedKeyDirectory,
        keys: Keys,
        generations: GenerationStore,
        *,
        in_thread: Callable[
            [Callable[[Caller], KeyDescription], Caller], Awaitable[KeyDescription]
        ],
        now_s: Callable[[], float],
        rate_limits: RateLimits | None = None,
    ) -> None:
        self._directory = directory
        self._keys = keys
        self._generations = generations
        self._in_thread = in_thread
        self._now_s = now_s
        self._rate_limits = rate_limits

    async def authenticate(self, authorization: str | None) -> Caller:
        scheme, _, secret = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise NotAuthenticated(
                "No API key was sent. Put it in the header `Authorization: Bearer <key>`."
            )
        digest = sha256(secret.strip().encode("utf-8", "surrogateescape")).digest()
        found = self._directory.peek(digest) or await self._directory.find(digest)
        if not isinstance(found, KnownCaller):
            raise NotAuthenticated(found.reason)
        return found

    async def describe(self, caller: Caller) -> KeyDescription:
        description = await self._in_thread(self._describe, caller)
        if self._rate_limits is None or not isinstance(caller, KnownCaller):
            return description
        pace = await self._rate_limits.pace(caller, now_s=self._now_s())
        return replace(
            description,
            requests_per_minute=pace.requests_per_minute,
            requests_per_day=pace.requests_per_day,
            free_per_day=pace.free_per_day,
            free_taken_today=pace.free_taken_today,
        )

    def _describe(self, caller: Caller) -> KeyDescription:
        try:
            key = self._keys.find(caller.account, caller.key)
        except KeyUnknown as error:
            raise NotFound("This API key was deleted.") from error
        starts = span_starts_ms(self._now_s())
        total, day, week, month = (
            self._generations.totals_of_key(key.id, since_ms=since_ms).cost
            for since_ms in (0, *starts)
        )
        return _description(key, Spent(total=total, day=day, week=week, month=month))


def _description(key: ApiKey, spent: Spent) -> KeyDescription:
    spans = {"daily": spent.day, "weekly": spent.week, "monthly": spent.month}
    reset = None if key.limit_reset is None else key.limit_reset.value
    counted = spent.total if reset is None else spans[reset]
    return KeyDescription(
        label=key.label,
        spent=spent,
        limit=key.limit,
        limit_remaining=None if key.limit is None else NanoUSD(max(0, key.limit - counted)),
        limit_reset=reset,
        expires_s=None if key.expires_ms is None else key.expires_ms / 1000,
    )


def span_starts_ms(now_s: float) -> tuple[int, int, int]:
    """When this UTC day, week (Monday) and month began, in Unix milliseconds."""
    now = datetime.fromtimestamp(now_s, UTC)
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    week = day - timedelta(days=day.weekday())
    month = day.replace(day=1)
    return _ms(day), _ms(week), _ms(month)


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
