"""What people type into the fields of forms: money and days. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

from starlette.requests import Request

from fairlead.control.audit.types import Actor
from fairlead.control.people.types import SignedIn
from fairlead.core.errors import RequestInvalid
from fairlead.core.money import NANO_PER_USD, NanoUSD, PriceInvalid, parse_amount
from fairlead.web.pages.site import Site

__all__ = [
    "actor_of",
    "cents",
    "day_end_ms",
    "nano",
    "nano_or_none",
    "typed_dollars",
]

_TYPED_MAX: Final = 40
_NANO_PER_CENT: Final = NANO_PER_USD // 100
_DOLLARS_MAX: Final = 1_000_000_000


def nano(text: str, name: str) -> NanoUSD:
    """ "12.50", "$1,000". Raises RequestInvalid, which names the field."""
    plain = text.strip().removeprefix("$").replace(",", "").strip()
    if not plain or len(plain) > _TYPED_MAX or not set(plain) <= set("0123456789."):
        raise RequestInvalid("This is an amount in dollars, as 12.50.", param=name)
    try:
        amount = parse_amount(plain)
    except PriceInvalid:
        raise RequestInvalid("This is an amount in dollars, as 12.50.", param=name) from None
    if amount > _DOLLARS_MAX * NANO_PER_USD:
        raise RequestInvalid("This is more than anybody could mean.", param=name)
    return amount


def nano_or_none(text: str, name: str) -> NanoUSD | None:
    """None: nothing was typed."""
    return nano(text, name) if text.strip() else None


def cents(text: str, name: str) -> int:
    """The same in whole cents."""
    whole, rest = divmod(nano(text, name), _NANO_PER_CENT)
    if rest:
        raise RequestInvalid("This is in whole cents.", param=name)
    return whole


def typed_dollars(amount: NanoUSD | int | None) -> str:
    """As somebody would type it: "12.50", "100"; None: ""."""
    if amount is None:
        return ""
    whole, rest = divmod(amount, NANO_PER_USD)
    if not rest:
        return str(whole)
    return f"{whole}.{f'{rest:09d}'.rstrip('0').ljust(2, '0')}"


def day_end_ms(text: str, name: str) -> int:
    """The last moment of that day in UTC; "2027-01-31". Raises RequestInvalid."""
    try:
        day = date.fromisoformat(text.strip()) + timedelta(days=1)
    except (ValueError, OverflowError):
        raise RequestInvalid("This is a day, as 2027-01-31.", param=name) from None
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000 - 1


def actor_of(site: Site, request: Request, member: SignedIn) -> Actor:
    """As the audit log knows them."""
    auth = site.services.auth
    address = "" if auth is None else auth.doorway.place(request).address
    return Actor.user(member.user.id, address)
