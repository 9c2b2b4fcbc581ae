"""The data plane's rate limits: whether one more request of a caller may pass.

Nearly every call has none to keep: `needs_check` says so without an await. Counts are in memory, a book for
each process; where processes share a cache they share their counts, and the book is what a process goes on
with while the cache is away. A limit is a courtesy between neighbours: for it alone no call may fail.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from fairlead.control.serving.shared_counts import SharedCounts
from fairlead.core.caller import NO_KEY_LIMITS, Caller
from fairlead.core.errors import RateLimited
from fairlead.core.limits import (
    Allowance,
    Exceeded,
    KeyPace,
    LimitBook,
    LimitName,
    RequestLimits,
    allowances,
    rate_limited,
)
from fairlead.settings import Limits
from fairlead.store.cache import Cache, CacheAway

__all__ = ["RateLimits", "request_limits"]

_LOG: Final = logging.getLogger(__name__)


class RateLimits:
    """Implements gateway.ports.RateLimits. Belongs to one event loop.

    rate_limits = RateLimits(request_limits(settings.limits), cache=cache)
    if rate_limits.needs_check(caller, is_free=is_free):
        if refusal := await rate_limits.admit(caller, is_free=is_free, now_s=clock.now_s()):
            raise refusal

    cache: where processes count together; None: each for itself.
    """

    def __init__(self, limits: RequestLimits, *, cache: Cache | None = None) -> None:
        self._limits = limits
        self._book = LimitBook()
        self._shared = None if cache is None else SharedCounts(cache)
        self._is_every_key_limited = bool(limits.key_per_minute or limits.key_per_day)
        self._is_cache_away = False

    def needs_check(self, caller: Caller, *, is_free: bool) -> bool:
        """False: nothing limits this call. Costs a fraction of a microsecond."""
        return (
            self._is_every_key_limited
            or caller.rate_limits is not NO_KEY_LIMITS
            or (is_free and caller.is_prepaid)
        )

    async def admit(self, caller: Caller, *, is_free: bool, now_s: float) -> RateLimited | None:
        """Count one request, or say why it may not pass; None: it may. now_s: wall-clock time."""
        wanted = allowances(caller, self._limits, is_free=is_free)
        if not wanted:
            return None
        exceeded = await self._taken(wanted, _ms(now_s))
        return None if exceeded is None else rate_limited(exceeded)

    async def take(self, wanted: Sequence[Allowance], *, now_s: float) -> RateLimited | None:
        """The same for other limits than those of calls."""
        exceeded = await self._taken(wanted, _ms(now_s))
        return None if exceeded is None else rate_limited(exceeded)

    async def pace(self, caller: Caller, *, now_s: float) -> KeyPace:
        """What limits this key, and what its account has taken of today's free requests."""
        counts = {one.name: one.count for one in allowances(caller, self._limits, is_free=True)}
        free = counts.get(LimitName.FREE_DAY)
        return KeyPace(
            requests_per_minute=counts.get(LimitName.KEY_MINUTE),
            requests_per_day=counts.get(LimitName.KEY_DAY),
            free_per_day=free,
            free_taken_today=0 if free is None else await self._free_today(caller, _ms(now_s)),
        )

    async def _taken(self, wanted: Sequence[Allowance], now_ms: int) -> Exceeded | None:
        if self._shared is not None:
            try:
                exceeded = await self._shared.take(wanted)
            except CacheAway as error:
                self._cache_is_away(error)
            else:
                self._cache_is_back()
                return exceeded
        return self._book.take(wanted, now_ms)

    async def _free_today(self, caller: Caller, now_ms: int) -> int:
        name = LimitName.FREE_DAY
        if self._shared is not None:
            try:
                return await self._shared.taken_today(name, caller.account)
            except CacheAway as error:
                self._cache_is_away(error)
        return self._book.taken_today(name, caller.account, now_ms)

    def _cache_is_away(self, error: CacheAway) -> None:
        if not self._is_cache_away:
            self._is_cache_away = True
            _LOG.error("requests are counted in this process alone, the cache is away: %s", error)

    def _cache_is_back(self) -> None:
        if self._is_cache_away:
            self._is_cache_away = False
            _LOG.warning("requests are counted together with other processes again")


def request_limits(limits: Limits) -> RequestLimits:
    """The operator's numbers, as the core counts by them."""
    return RequestLimits(
        free_per_minute=limits.free_per_minute,
        free_per_day=limits.free_per_day,
        free_per_day_purchased=limits.free_per_day_purchased,
        key_per_minute=limits.key_per_minute,
        key_per_day=limits.key_per_day,
    )


def _ms(now_s: float) -> int:
    return int(now_s * 1000)
