"""Requests counted by several processes together, in the shared cache.

The script is `core.limits.LimitBook.take` and the arithmetic of `core.ratelimit` once more, in the language of
the server, because only there reading and deciding is one step for all processes. A test runs both on the
same requests and wants the same answers.

Time is the server's own: processes on several machines do not agree on it, and a bucket that two clocks fill in
turn would fill too fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fairlead.core.limits import Allowance, Exceeded, LimitName
from fairlead.core.ratelimit import DAY_MS, MINUTE_MS, Retry
from fairlead.store.cache import Cache, CacheAway, Script

__all__ = ["SharedCounts"]

# A minute's bucket is kept as [level, when], a day as [its number, what was taken]; what is not there is full.
# All numbers are whole and under 2^53, so Lua's doubles hold them exactly; `%.0f` because its own way of
# writing them keeps 14 digits.
_CLOCK: Final = """
local time = redis.call('TIME')
local now = tonumber(ARGV[1]) or time[1] * 1000 + math.floor(time[2] / 1000)
"""
_TAKE: Final = Script(
    _CLOCK
    + f"""
local minute_ms, day_ms = {MINUTE_MS}, {DAY_MS}
local passed, worst, wait, remaining = {{}}, 0, -1, 0
local function keep(key, first, second, kept_ms)
  redis.call('HSET', key, 'a', string.format('%.0f', first), 'b', string.format('%.0f', second))
  redis.call('PEXPIRE', key, kept_ms)
end
for i, key in ipairs(KEYS) do
  local is_daily, count = ARGV[2 * i] == 'day', tonumber(ARGV[2 * i + 1])
  local held = redis.call('HMGET', key, 'a', 'b')
  local first, second = tonumber(held[1]), tonumber(held[2])
  if is_daily then
    local number = math.floor(now / day_ms)
    if first ~= number and first ~= number + 1 then first, second = number, 0 end
    if second + 1 <= count then
      passed[#passed + 1] = {{key, first, second + 1, 2 * day_ms}}
    else
      keep(key, first, second, 2 * day_ms)
      local this = (first + 1) * day_ms - now
      if this > wait then worst, wait, remaining = i, this, math.max(0, count - second) end
    end
  else
    local full = count * minute_ms
    local level = full
    if first then
      level = math.min(full, first + math.min(minute_ms, math.max(0, now - second)) * count)
    end
    if minute_ms <= level then
      passed[#passed + 1] = {{key, level - minute_ms, now, 2 * minute_ms}}
    else
      keep(key, level, now, 2 * minute_ms)
      local this = math.ceil((minute_ms - level) / count)
      if this > wait then worst, wait, remaining = i, this, math.floor(level / minute_ms) end
    end
  end
end
if worst == 0 then
  for _, one in ipairs(passed) do keep(one[1], one[2], one[3], one[4]) end
end
return {{worst, wait, remaining, now}}
"""
)
_TAKEN_TODAY: Final = Script(
    _CLOCK
    + f"""
local held = redis.call('HMGET', KEYS[1], 'a', 'b')
local number = math.floor(now / {DAY_MS})
local first = tonumber(held[1])
if first == number or first == number + 1 then return tonumber(held[2]) end
return 0
"""
)


class SharedCounts:
    """Both methods raise CacheAway. at_ms: the time, Unix milliseconds; None: the server's."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    async def take(
        self, wanted: Sequence[Allowance], *, at_ms: int | None = None
    ) -> Exceeded | None:
        """As `LimitBook.take`."""
        arguments: list[str | int] = [_moment(at_ms)]
        for allowance in wanted:
            arguments += ["day" if allowance.name.is_daily else "minute", allowance.count]
        keys = [_key(allowance.name, allowance.subject) for allowance in wanted]
        match await self._cache.run(_TAKE, keys, arguments):
            case [0, _, _, _]:
                return None
            case [int(worst), int(wait_ms), int(remaining), int(now_ms)]:
                allowance = wanted[worst - 1]
                retry = Retry(wait_ms, allowance.count, remaining, now_ms + wait_ms)
                return Exceeded(allowance, retry)
            case answer:
                raise CacheAway(f"the script answered {type(answer).__name__}")

    async def taken_today(self, name: LimitName, subject: str, *, at_ms: int | None = None) -> int:
        """As `LimitBook.taken_today`."""
        answer = await self._cache.run(_TAKEN_TODAY, [_key(name, subject)], [_moment(at_ms)])
        if not isinstance(answer, int):
            raise CacheAway(f"the script answered {type(answer).__name__}")
        return answer


def _moment(at_ms: int | None) -> str:
    return "" if at_ms is None else str(at_ms)


def _key(name: LimitName, subject: str) -> str:
    return f"fairlead:limits:{name.value}:{subject}"
