"""The fee for calls with a credential of the caller's own, and the discount: documented sums, bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.byok import DEFAULT_TERMS, ByokCharge, ByokTerms, byok_charge
from fairlead.core.discount import discount_of
from fairlead.core.money import NanoUSD, parse_amount, parse_price
from fairlead.core.pricing import PriceSheet, charge
from fairlead.core.usage import Usage

O1 = PriceSheet(prompt=parse_price("0.000015"), completion=parse_price("0.00006"))
LIST_COST = charge(Usage(prompt=1000, completion=200, reasoning=300), O1, at_s=0.0).total
PLENTY = DEFAULT_TERMS.allowance_units


def test_the_documented_call_costs_what_it_is_documented_to_cost() -> None:
    assert parse_amount("0.045") == LIST_COST


@pytest.mark.parametrize(
    ("left", "fee", "units"),
    [
        (PLENTY, "0", "0.045"),  # within the allowance
        (parse_amount("0.045"), "0", "0.045"),  # the last call within it
        (0, "0.00225", "0"),  # above it: 5 % of the list price
        (-1, "0.00225", "0"),  # it was lowered since
        (parse_amount("0.025"), "0.001", "0.025"),  # across it: 5 % of $0.02
        (None, "0", "0.045"),  # without end
    ],
)
def test_the_fee_is_five_percent_of_the_list_price_above_the_allowance(
    left: int | None, fee: str, units: str
) -> None:
    found = byok_charge(LIST_COST, left_units=left, terms=DEFAULT_TERMS)
    assert found == ByokCharge(fee=parse_amount(fee), units=parse_amount(units))


@pytest.mark.parametrize(
    ("left", "fee", "units"), [(1, "0", 1), (1_000_000, "0", 1), (0, "0.00225", 0)]
)
def test_an_allowance_of_requests_makes_whole_requests_free(
    left: int, fee: str, units: int
) -> None:
    terms = ByokTerms(allowance_requests=1_000_000)
    found = byok_charge(LIST_COST, left_units=left, terms=terms)
    assert found == ByokCharge(fee=parse_amount(fee), units=units)


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        (DEFAULT_TERMS, False),
        (ByokTerms(fee_ppm=0), True),
        (ByokTerms(allowance=None), True),
        (ByokTerms(allowance=None, allowance_requests=5), False),
    ],
)
def test_where_nobody_ever_pays_nothing_need_be_counted(terms: ByokTerms, expected: bool) -> None:
    assert terms.is_free is expected


@given(
    st.integers(0, 10**15),
    st.integers(0, 10**15),
    st.integers(0, 1_000_000),
    st.integers(0, 10**15),
)
def test_a_fee_is_never_below_its_share_and_never_above_the_list_price(
    list_cost: int, left: int, fee_ppm: int, more: int
) -> None:
    terms = ByokTerms(fee_ppm=fee_ppm)
    found = byok_charge(NanoUSD(list_cost), left_units=left, terms=terms)
    above = list_cost - found.units
    assert 0 <= found.units <= min(list_cost, left)
    assert above * fee_ppm <= found.fee * 1_000_000 < above * fee_ppm + 1_000_000
    assert found.fee <= list_cost
    richer = byok_charge(NanoUSD(list_cost), left_units=left + more, terms=terms)
    assert richer.fee <= found.fee


def test_the_documented_discount() -> None:
    cost = parse_amount("0.045")
    assert cost - discount_of(cost, 10) == parse_amount("0.04455")


@given(st.integers(0, 10**15), st.integers(0, 1000))
def test_a_discount_is_rounded_in_favour_of_the_ledger(cost: int, permille: int) -> None:
    off = discount_of(NanoUSD(cost), permille)
    assert 0 <= off * 1000 <= cost * permille < (off + 1) * 1000
