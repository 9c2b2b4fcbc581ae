"""Which limits a call counts against, and what each of them has left. Pure: the arithmetic is in ratelimit.py.

Two kinds: those of the installation for models that cost nothing, which all keys of a prepaid account share;
and those of one key. A call takes one from every limit that applies to it, or from none and is refused.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import msgspec

from fairlead.core.caller import Caller
from fairlead.core.errors import RateLimited
from fairlead.core.money import NANO_PER_USD, NanoUSD
from fairlead.core.ratelimit import Bucket, Day, Pace, Retry, take, take_today
from fairlead.core.routing.types import Target

__all__ = [
    "ENTRIES_MAX",
    "Allowance",
    "Exceeded",
    "KeyPace",
    "LimitBook",
    "LimitName",
    "RequestLimits",
    "allowances",
    "counts_as_free",
    "free_per_day",
    "rate_limited",
]

PURCHASED_ENOUGH: Final = NanoUSD(10 * NANO_PER_USD)
ENTRIES_MAX: Final = 50_000  # buckets and days, of some 350 bytes each


class LimitName(StrEnum):
    """As the caller is told it; programs look for these words in the message."""

    FREE_MINUTE = "free-models-per-min"
    FREE_DAY = "free-models-per-day"
    KEY_MINUTE = "key-requests-per-min"
    KEY_DAY = "key-requests-per-day"
    SIGN_IN_FROM = "sign-ins-per-min-from-an-address"
    SIGN_IN_TO = "sign-ins-per-min-to-an-account"
    MAIL_FROM = "mails-per-min-from-an-address"
    MAIL_TO = "mails-per-day-to-a-mailbox"
    DATA_MINUTE = "data-requests-per-min"
    DATA_DAY = "data-requests-per-day"

    @property
    def is_daily(self) -> bool:
        return self in _DAILY


_DAILY: Final = frozenset(
    {LimitName.FREE_DAY, LimitName.KEY_DAY, LimitName.MAIL_TO, LimitName.DATA_DAY}
)


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What the installation allows, in requests; 0: as many as they like.

    free_*: to free variants, for all keys of a prepaid account together; free_per_day_purchased: per day, for
        one that has ever purchased credits for 10 dollars.
    key_*: for each key that has no limit of its own.
    """

    free_per_minute: int = 0
    free_per_day: int = 0
    free_per_day_purchased: int = 0
    key_per_minute: int = 0
    key_per_day: int = 0


class Allowance(msgspec.Struct, frozen=True, gc=False):
    """One limit that a request counts against. subject: an id, or a digest. count: at least 1."""

    name: LimitName
    subject: str
    count: int


@dataclass(frozen=True, slots=True)
class Exceeded:
    """The limit that keeps the caller waiting longest."""

    allowance: Allowance
    retry: Retry


@dataclass(frozen=True, slots=True)
class KeyPace:
    """How often a key may be used, for its owner to see; None: as often as he likes.

    free_taken_today: by all keys of its account.
    """

    requests_per_minute: int | None
    requests_per_day: int | None
    free_per_day: int | None
    free_taken_today: int


def counts_as_free(targets: Iterable[Target]) -> bool:
    """Whether a request counts against the limits of free variants: one of the models that may serve it is one.

    The name that was asked for decides, not the price: the sandbox's models and those of local engines cost
    nothing either, but they are the installation's own. The free router asks for free variants.
    """
    for target in targets:
        if target.model.endswith(":free") or (target.variants and "free" in target.variants):
            return True
    return False


def free_per_day(limits: RequestLimits, credits_purchased: NanoUSD) -> int:
    """Free requests per day of an account that has purchased so much, ever."""
    is_customer = credits_purchased >= PURCHASED_ENOUGH
    return limits.free_per_day_purchased if is_customer else limits.free_per_day


def allowances(caller: Caller, limits: RequestLimits, *, is_free: bool) -> list[Allowance]:
    """Every limit that one call of this caller counts against."""
    found: list[Allowance] = []
    if is_free and caller.is_prepaid:
        account = caller.account
        if limits.free_per_minute:
            found.append(Allowance(LimitName.FREE_MINUTE, account, limits.free_per_minute))
        if per_day := free_per_day(limits, caller.credits_purchased):
            found.append(Allowance(LimitName.FREE_DAY, account, per_day))
    own = caller.rate_limits
    if per_minute := own.requests_per_minute or limits.key_per_minute:
        found.append(Allowance(LimitName.KEY_MINUTE, caller.key, per_minute))
    if per_day := own.requests_per_day or limits.key_per_day:
        found.append(Allowance(LimitName.KEY_DAY, caller.key, per_day))
    return found


class LimitBook:
    """What is left of each allowance, in memory.

    book = LimitBook()
    if exceeded := book.take(allowances(caller, limits, is_free=False), now_ms):
        raise rate_limited(exceeded)

    Reading and deciding is one step without an await, so calls that run at once cannot both take the last
    token. Beyond `entries_max` the longest unused entry is forgotten, which is to say full again.
    """

    def __init__(self, *, entries_max: int = ENTRIES_MAX) -> None:
        self._entries_max = entries_max
        self._left: OrderedDict[tuple[LimitName, str], Bucket | Day] = OrderedDict()

    def take(self, wanted: Sequence[Allowance], now_ms: int) -> Exceeded | None:
        """One request from all of them, or from none; None: it may pass."""
        exceeded: Exceeded | None = None
        moved: list[tuple[tuple[LimitName, str], Bucket | Day]] = []
        for allowance in wanted:
            key = (allowance.name, allowance.subject)
            left, retry = _taken(allowance, self._left.get(key), now_ms)
            if retry is None:
                moved.append((key, left))
                continue
            self._keep(key, left)
            if exceeded is None or retry.wait_ms > exceeded.retry.wait_ms:
                exceeded = Exceeded(allowance, retry)
        if exceeded is None:
            for key, left in moved:
                self._keep(key, left)
        return exceeded

    def taken_today(self, name: LimitName, subject: str, now_ms: int) -> int:
        """Requests that counted against a daily limit since midnight UTC."""
        day = self._left.get((name, subject))
        if not isinstance(day, Day):
            return 0
        # Nothing is taken: what comes back is what a request at this moment would find.
        return take_today(day.taken + 1, day, 1, now_ms)[0].taken - 1

    def __len__(self) -> int:
        return len(self._left)

    def _keep(self, key: tuple[LimitName, str], left: Bucket | Day) -> None:
        self._left[key] = left
        self._left.move_to_end(key)
        if len(self._left) > self._entries_max:
            self._left.popitem(last=False)


def _taken(
    allowance: Allowance, left: Bucket | Day | None, now_ms: int
) -> tuple[Bucket | Day, Retry | None]:
    if allowance.name.is_daily:
        assert not isinstance(left, Bucket)
        return take_today(allowance.count, left, 1, now_ms)
    assert not isinstance(left, Day)
    return take(Pace(allowance.count), left, 1, now_ms)


def rate_limited(exceeded: Exceeded) -> RateLimited:
    """What the caller is told: which limit, and when to come again."""
    name, retry = exceeded.allowance.name, exceeded.retry
    span = "day" if name.is_daily else "minute"
    whose = _WHOSE[name]
    wait_s = -(-retry.wait_ms // 1000)
    when = (
        f"the count begins anew at {datetime.fromtimestamp(retry.reset_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
        if name.is_daily
        else f"the next one is possible in {wait_s} s"
    )
    what = _WHAT.get(name, "request")
    requests = f"1 {what}" if retry.limit == 1 else f"{retry.limit} {what}s"
    return RateLimited(
        f"Rate limit exceeded: {name.value}. {whose} {requests} per {span}; {when}.",
        retry_after_s=wait_s,
        limit=retry.limit,
        remaining=retry.remaining,
        reset_ms=retry.reset_ms,
    )


_WHAT: Final = {
    LimitName.SIGN_IN_FROM: "attempt",
    LimitName.SIGN_IN_TO: "attempt",
    LimitName.MAIL_FROM: "message",
    LimitName.MAIL_TO: "message",
}
_WHOSE: Final = {
    LimitName.FREE_MINUTE: "All keys of an account together may send free models",
    LimitName.FREE_DAY: "All keys of an account together may send free models",
    LimitName.KEY_MINUTE: "This API key may send",
    LimitName.KEY_DAY: "This API key may send",
    LimitName.SIGN_IN_FROM: "From one address there may be",
    LimitName.SIGN_IN_TO: "To one account there may be",
    LimitName.MAIL_FROM: "From one address there may be",
    LimitName.MAIL_TO: "For one mailbox there may be",
    LimitName.DATA_MINUTE: "For data, this API key may send",
    LimitName.DATA_DAY: "For data, all keys of an account together may send",
}
