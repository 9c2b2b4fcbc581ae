"""How numbers, money, times and names are written on pages. Pure: en-US grouping, UTC, no surprises.

Money is exact, as in the API: nothing here rounds a dollar away. `money` and `cost` alone write less than they
know, where figures are compared; they have the exact amount with them. What is not known is an en dash.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from email.utils import format_datetime
from typing import Final

from markupsafe import Markup

from fairlead.core.money import NANO_PER_USD, PICO_PER_USD, NanoUSD, PicoUSD

__all__ = [
    "UNKNOWN",
    "ago",
    "bytes_text",
    "compact",
    "cost",
    "count",
    "date",
    "day",
    "dollars",
    "dollars_from_cents",
    "duration",
    "ending",
    "is_past",
    "iso",
    "moment",
    "money",
    "monogram",
    "per_million",
    "plural",
    "rss_date",
    "share",
    "signed_dollars",
    "throughput",
    "tokens",
    "unit_price",
]

UNKNOWN: Final = "\N{EN DASH}"
TOKENS_PER_PRICE: Final = 10**6
_CENTS_PLACES: Final = 2
_COST_PLACES: Final = 6
_LEAST_COST: Final = Decimal(1).scaleb(-_COST_PLACES)
_STEPS: Final = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K"))
_BYTE_STEPS: Final = ((1 << 40, "TB"), (1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB"))
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400


def dollars(amount: NanoUSD | int | None) -> str:
    """Nanodollars, exactly: "$1,234.50", "$0.002925", "-$0.25"."""
    return UNKNOWN if amount is None else _dollars(Decimal(amount) / NANO_PER_USD)


def money(amount: NanoUSD | int | None) -> str:
    """A figure among others: "$1,234.50"; of less than a dollar three digits that count, "$0.00293", so that
    nothing is written as $0.00 that is not. Exact to who points at it."""
    if amount is None:
        return UNKNOWN
    exact = Decimal(amount) / NANO_PER_USD
    # Of less than a dollar: the places before the first digit that counts, and two after it.
    places = _CENTS_PLACES if abs(exact) >= 1 or not exact else 2 - exact.adjusted()
    return _shortened(exact, places)


def cost(amount: NanoUSD | int | None) -> str:
    """In a column, digit under digit: to the millionth, "$0.002925". Exact to who points at it."""
    if not amount:
        return dollars(amount)
    exact = Decimal(amount) / NANO_PER_USD
    if 0 < exact < _LEAST_COST:
        return _with_exact(f"< ${_LEAST_COST:f}", exact)
    return _shortened(exact, _COST_PLACES, fills=_COST_PLACES)


def _shortened(exact: Decimal, places: int, fills: int = _CENTS_PLACES) -> str:
    """fills: so many places are written, even if they are noughts."""
    rounded = exact.quantize(Decimal(1).scaleb(-max(places, _CENTS_PLACES)), ROUND_HALF_UP)
    whole, _, fraction = _dollars(rounded).partition(".")
    text = f"{whole}.{fraction.ljust(fills, '0')}"
    return text if rounded == exact else _with_exact(text, exact)


def _with_exact(text: str, exact: Decimal) -> Markup:
    return Markup('<data value="{}" title="{}">{}</data>').format(
        f"{exact.normalize():f}", _dollars(exact), text
    )


def signed_dollars(amount: NanoUSD | int) -> str:
    """With a plus for what was added: "+$5.00"."""
    return f"+{dollars(amount)}" if amount > 0 else dollars(amount)


def dollars_from_cents(cents: int | None) -> str:
    return UNKNOWN if cents is None else _dollars(Decimal(cents) / 100)


def per_million(price: PicoUSD | int | None) -> str:
    """Picodollars per token as dollars per million tokens, exactly: "$15", "$1.10", "$0.075", "Free"."""
    if price is None:
        return UNKNOWN
    if price == 0:
        return "Free"
    amount = Decimal(price) * TOKENS_PER_PRICE / PICO_PER_USD
    return f"${amount:,.0f}" if amount == amount.to_integral_value() else _dollars(amount)


def unit_price(price: PicoUSD | int | None) -> str:
    """Picodollars as dollars, exactly, of what is counted one by one: "$0.01" a search; "Free"."""
    if price is None:
        return UNKNOWN
    return "Free" if price == 0 else _dollars(Decimal(price) / PICO_PER_USD)


def _dollars(amount: Decimal) -> str:
    """At least cents; as many more places as there are."""
    sign = "-" if amount < 0 else ""
    text = f"{abs(amount):,f}"
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0").ljust(_CENTS_PLACES, "0")
    return f"{sign}${whole}.{fraction}"


def count(number: float | None) -> str:
    """In full: "1,234,567"; of a mean, the nearest whole."""
    return UNKNOWN if number is None else f"{number:,.0f}"


def compact(number: float | None) -> str:
    """Three digits that count: "0", "999", "1.23K", "16M", "8.35B". For what is compared, not added up."""
    if number is None:
        return UNKNOWN
    sign, size = ("-" if number < 0 else ""), abs(number)
    for index, (step, letter) in enumerate(_STEPS):
        # 999,960 is 1M, not 1000K.
        if size >= step or (
            index + 1 < len(_STEPS) and _digits(size / _STEPS[index + 1][0]) == "1000"
        ):
            return f"{sign}{_digits(size / step)}{letter}"
    return sign + _digits(size)


def _digits(size: float) -> str:
    places = 0 if size >= 100 else 1 if size >= 10 else 2
    text = f"{size:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def tokens(number: int | None) -> str:
    """A context or an amount of tokens: "200K", "1.05M"; nothing known is 0 in the catalogue."""
    return compact(number) if number else UNKNOWN


def share(fraction: float | None, *, places: int = 1) -> str:
    """0 to 1: "12.3%". What is not all is never written as 100%, nor a little as 0%. All places or none: in a
    column points stand below each other."""
    if fraction is None:
        return UNKNOWN
    text = f"{fraction * 100:.{places}f}"
    if fraction < 1 and float(text) >= 100:
        text = str(100 - Decimal(1).scaleb(-places))
    if fraction > 0 and float(text) == 0:
        return f"< {Decimal(1).scaleb(-places)}%"
    return f"{text.removesuffix('.' + '0' * places)}%"


def duration(milliseconds: float | None) -> str:
    """ "340 ms", "1.2 s", "3 min 5 s"."""
    if milliseconds is None:
        return UNKNOWN
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    if seconds < _MINUTE_S:
        return f"{_digits(seconds)} s"
    minutes, rest = divmod(round(seconds), _MINUTE_S)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def throughput(tokens_per_s: float | None) -> str:
    """ "82.4 tok/s", "12,500 tok/s"."""
    if tokens_per_s is None:
        return UNKNOWN
    return f"{count(tokens_per_s) if tokens_per_s >= 1000 else _digits(tokens_per_s)} tok/s"


def bytes_text(size: int | None) -> str:
    if size is None:
        return UNKNOWN
    for step, unit in _BYTE_STEPS:
        if size >= step:
            return f"{_digits(size / step)} {unit}"
    return f"{size} B"


def date(unix_s: float | None) -> str:
    """ "Dec 17, 2024"; 0 is a date that is not known."""
    if not unix_s:
        return UNKNOWN
    day = _utc(unix_s)
    return f"{day:%b} {day.day}, {day.year}"


def day(text: str | None) -> str:
    """A day of the catalogue, "2026-10-23": "Oct 23, 2026"."""
    if text is None:
        return UNKNOWN
    try:
        return date(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp())
    except ValueError:
        return text


def ending(last_day: str, now_s: float) -> str:
    """ "Ends Sep 29, 2027", "Ended Oct 23, 2026". last_day: as the catalogue writes days."""
    return f"{'Ended' if is_past(last_day, now_s) else 'Ends'} {day(last_day)}"


def is_past(last_day: str, now_s: float) -> bool:
    """Both are written alike, so their order is that of their letters."""
    return last_day < f"{datetime.fromtimestamp(now_s, UTC):%Y-%m-%d}"


def moment(unix_s: float | None) -> str:
    """ "2024-12-17 09:05 UTC"."""
    return UNKNOWN if unix_s is None else f"{_utc(unix_s):%Y-%m-%d %H:%M} UTC"


def iso(unix_s: float) -> str:
    """For `<time datetime>`."""
    return f"{_utc(unix_s):%Y-%m-%dT%H:%M:%SZ}"


def rss_date(unix_s: float) -> str:
    """RFC 822, as feeds have it."""
    return format_datetime(_utc(unix_s), usegmt=True)


def ago(unix_s: float | None, now_s: float) -> str:
    """ "just now", "5 minutes ago", "3 days ago"; what is older than a month is a date."""
    if unix_s is None:
        return UNKNOWN
    age_s = max(0, int(now_s - unix_s))
    if age_s < _MINUTE_S:
        return "just now"
    if age_s < _HOUR_S:
        return f"{plural(age_s // _MINUTE_S, 'minute')} ago"
    if age_s < _DAY_S:
        return f"{plural(age_s // _HOUR_S, 'hour')} ago"
    if age_s < 31 * _DAY_S:
        return f"{plural(age_s // _DAY_S, 'day')} ago"
    return date(unix_s)


def plural(number: int, one: str, many: str | None = None) -> str:
    """ "1 model", "1,234 models"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def monogram(name: str) -> str:
    """One or two letters for somebody who has no picture: "openai" is "O", "Ada Lovelace" is "AL"."""
    words = [word for word in name.replace("-", " ").replace("_", " ").split() if word[0].isalnum()]
    return "".join(word[0] for word in words[:2]).upper() or "?"


def _utc(unix_s: float) -> datetime:
    return datetime.fromtimestamp(unix_s, UTC)
