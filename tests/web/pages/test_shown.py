"""How numbers are written: exactly where it is money, shortly where it is compared."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from fairlead.core.money import NANO_PER_USD
from fairlead.web.pages import shown


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (0, "$0.00"),
        (1, "$0.000000001"),
        (2_925_000, "$0.002925"),
        (12_400_000_000, "$12.40"),
        (-250_000_000, "-$0.25"),
        (1_234_567_891_000_000, "$1,234,567.891"),
        (None, "\N{EN DASH}"),
    ],
)
def test_dollars_are_exact(nano: int | None, text: str) -> None:
    assert shown.dollars(nano) == text


@given(st.integers(-(10**18), 10**18))
def test_no_dollar_is_rounded_away(nano: int) -> None:
    text = shown.dollars(nano).replace("$", "").replace(",", "")
    assert Decimal(text) * NANO_PER_USD == nano


@pytest.mark.parametrize(
    ("nano", "money", "cost"),
    [
        (0, "$0.00", "$0.00"),
        (999, "$0.000000999", "< $0.000001"),
        (2_925_000, "$0.00293", "$0.002925"),
        (-482_193, "-$0.000482", "-$0.000482"),
        (131_950_249, "$0.132", "$0.131950"),
        (999_600_000, "$1.00", "$0.999600"),
        (1_234_506_000_000, "$1,234.51", "$1,234.506000"),
        (None, "\N{EN DASH}", "\N{EN DASH}"),
    ],
)
def test_what_is_compared_is_rounded_and_has_its_exact_amount_with_it(
    nano: int | None, money: str, cost: str
) -> None:
    for written, expected in ((shown.money(nano), money), (shown.cost(nano), cost)):
        assert Markup(written).striptags() == expected
        if isinstance(written, Markup):
            assert f'title="{shown.dollars(nano)}"' in written
        else:
            exact = Decimal(expected.strip("$\N{EN DASH}").replace(",", "") or 0)
            assert exact * NANO_PER_USD == (nano or 0)


@pytest.mark.parametrize(
    ("pico", "text"),
    [
        (15_000_000, "$15"),
        (1_100_000, "$1.10"),
        (75_000, "$0.075"),
        (0, "Free"),
        (None, "\N{EN DASH}"),
    ],
)
def test_prices_are_per_million_tokens(pico: int | None, text: str) -> None:
    assert shown.per_million(pico) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1K"),
        (1234, "1.23K"),
        (999_960, "1M"),
        (16_000_000, "16M"),
        (8_350_000_000, "8.35B"),
        (-1500, "-1.5K"),
        (10**15, "1000T"),
    ],
)
def test_big_numbers_are_short(number: int, text: str) -> None:
    assert shown.compact(number) == text


@given(st.integers(0, 10**14))
def test_short_numbers_are_short_and_near(number: int) -> None:
    text = shown.compact(number)
    steps = {"K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
    size = Decimal(text.rstrip("KMBT")) * steps.get(text[-1], 1)
    assert len(text) <= 5
    assert abs(size - number) <= Decimal(number) * Decimal("0.006")


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (0, "0%"),
        (0.00001, "< 0.1%"),
        (0.1234, "12.3%"),
        (1, "100%"),
        (0.99999, "99.9%"),
        (None, "\N{EN DASH}"),
    ],
)
def test_what_is_not_all_is_not_written_as_all_nor_a_little_as_nothing(
    fraction: float | None, text: str
) -> None:
    assert shown.share(fraction) == text


def test_a_share_has_all_of_its_places_or_none() -> None:
    said = [shown.share(one, places=2) for one in (0.987, 0.98, 1, 0)]
    assert said == ["98.70%", "98%", "100%", "0%"]


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0, "0 ms"), (340, "340 ms"), (1200, "1.2 s"), (61_300, "1 min 1 s"), (120_000, "2 min")],
)
def test_durations(milliseconds: float, text: str) -> None:
    assert shown.duration(milliseconds) == text


@pytest.mark.parametrize(
    ("age_s", "text"),
    [
        (-5, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (7200, "2 hours ago"),
        (3 * 86_400, "3 days ago"),
        (60 * 86_400, "Dec 17, 2024"),
    ],
)
def test_ages(age_s: int, text: str) -> None:
    then_s = 1_734_393_600
    assert shown.ago(then_s, then_s + age_s) == text


def test_speeds_are_grouped_as_other_numbers() -> None:
    written = [shown.throughput(speed) for speed in (None, 82.43, 999.4, 17_778.0)]
    assert written == ["\N{EN DASH}", "82.4 tok/s", "999 tok/s", "17,778 tok/s"]


def test_times_are_utc() -> None:
    assert shown.date(1_734_393_600) == "Dec 17, 2024"
    assert shown.moment(1_734_393_600) == "2024-12-17 00:00 UTC"
    assert shown.iso(1_734_393_600) == "2024-12-17T00:00:00Z"
    assert shown.rss_date(1_734_393_600) == "Tue, 17 Dec 2024 00:00:00 GMT"
    assert shown.date(0) == shown.UNKNOWN, "the catalogue's way to say that nobody knows"


@pytest.mark.parametrize(
    ("name", "letters"),
    [("openai", "O"), ("Ada Lovelace", "AL"), ("meta-llama", "ML"), ("", "?"), ("~x", "?")],
)
def test_monograms(name: str, letters: str) -> None:
    assert shown.monogram(name) == letters


@given(st.text())
def test_every_name_has_a_monogram(name: str) -> None:
    assert shown.monogram(name)
