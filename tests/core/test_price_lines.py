"""A bill's lines add up to what was charged."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.money import PicoUSD, nano_from_pico
from fairlead.core.price_lines import Priced, price_lines
from fairlead.core.pricing import PriceOverride, PriceSheet, charge
from fairlead.core.usage import Usage

_COUNTS = {
    name: st.integers(min_value=0, max_value=10**7)
    for name in Usage.__struct_fields__
    if name not in ("source", "accepted_prediction", "rejected_prediction")
}
_PRICES = st.integers(min_value=0, max_value=10**9).map(PicoUSD)
_NAMES = [name for name in PriceSheet.__struct_fields__ if name != "overrides"]
_OVERRIDES = st.builds(
    PriceOverride,
    prices=st.dictionaries(st.sampled_from(_NAMES), _PRICES, max_size=4),
    min_prompt_tokens=st.none() | st.integers(min_value=0, max_value=10**8),
)


@given(
    st.builds(Usage, **_COUNTS),
    st.builds(
        PriceSheet,
        **{
            name: _PRICES if name in ("prompt", "completion") else st.none() | _PRICES
            for name in _NAMES
        },
        overrides=st.lists(_OVERRIDES, max_size=2).map(tuple),
    ),
    st.integers(min_value=0, max_value=2 * 10**9),
)
def test_lines_add_up_to_the_charge_to_the_nanodollar(
    usage: Usage, sheet: PriceSheet, at_s: int
) -> None:
    lines = price_lines(usage, sheet, at_s=at_s)
    assert all(line.quantity > 0 for line in lines)
    whole = nano_from_pico(PicoUSD(sum(line.amount for line in lines)))
    assert whole == charge(usage, sheet, at_s=at_s).total


def test_what_has_no_price_of_its_own_costs_what_plain_tokens_do() -> None:
    sheet = PriceSheet(prompt=PicoUSD(3), completion=PicoUSD(5), input_cache_read=PicoUSD(1))
    lines = price_lines(Usage(prompt=10, cache_read=4, reasoning=2), sheet, at_s=0)
    assert [tuple(line) for line in lines] == [
        (Priced.PROMPT, 10, 3),
        (Priced.CACHE_READ, 4, 1),
        (Priced.REASONING, 2, 5),
    ]
