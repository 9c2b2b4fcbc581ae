"""`/pricing`: what calls cost here, as the operator has it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from html import unescape
from types import SimpleNamespace
from typing import Any, TypeVar

import httpx
import pytest

from fairlead.control.billing.types import BillingRules, Method
from fairlead.web.asking import Desk
from fairlead.web.pages.pricing import free_calls, own_keys
from fairlead.web.services import Terms

pytestmark = pytest.mark.anyio

_Answer = TypeVar("_Answer")

HTML = {"accept": "text/html"}


async def at_once(function: Callable[[], _Answer], /) -> _Answer:
    return function()


def sold_by(*methods: Method, is_pretended: bool = False, **rules: Any) -> Any:
    company: Any = SimpleNamespace(methods=methods, is_pretended=is_pretended)
    billing = SimpleNamespace(payments=company if methods else None, terms=BillingRules(**rules))
    return SimpleNamespace(billing=billing, pretended=None)


async def test_fees_are_those_of_this_installation(
    browse: Callable[..., httpx.AsyncClient],
) -> None:
    shop = sold_by(
        Method.CARD, Method.CRYPTO, card_fee_bp=300, card_fee_cents_min=50, expire_days=365
    )
    async with browse(billing=shop, terms=Terms(discount_percent=2.5, allowance_usd=5)) as client:
        text = unescape((await client.get("/pricing", headers=HTML)).text)
    for said in (
        "Card: 3%, at least $0.50; Cryptocurrency: 5%.",
        "$100.00 of credit cost $103.00",
        "expires after 365 days",
        "2.5% off",
        "has $5.00.",
        'href="/credits/buy"',
        'href="/models?sort=pricing-low-to-high&view=table"',
    ):
        assert said in text
    assert "pretended" not in text


async def test_where_nothing_is_sold_that_is_said(browse: Callable[..., httpx.AsyncClient]) -> None:
    for billing in (None, sold_by()):
        async with browse(billing=billing, terms=Terms(discount_percent=0)) as client:
            text = (await client.get("/pricing", headers=HTML)).text
        assert "No credit is sold here." in text
        assert "/credits/buy" not in text
        assert "Discount" not in text
    async with browse(billing=sold_by(Method.CARD, is_pretended=True)) as client:
        assert "no card is charged" in (await client.get("/pricing", headers=HTML)).text


async def test_models_are_named_with_what_they_cost(client: httpx.AsyncClient) -> None:
    text = (await client.get("/pricing", headers=HTML)).text
    assert "New models" in text
    assert text.count("?tab=pricing") == 6


@pytest.mark.parametrize(
    ("used", "heading", "count"),
    [("openai/o1", "Used most here", 1), ("openai/tts-1", "New models", 6)],
)
async def test_what_is_used_most_is_named_if_it_is_sold_by_tokens(
    browse: Callable[..., httpx.AsyncClient], used: str, heading: str, count: int
) -> None:
    counted: Any = SimpleNamespace(weekly_tokens=lambda: {used: 1000})
    async with browse(standings=Desk(counted, in_thread=at_once)) as client:
        text = (await client.get("/pricing", headers=HTML)).text
    assert heading in text
    assert text.count("?tab=pricing") == count


def test_own_keys_cost_what_the_operator_says() -> None:
    usual = Terms()
    assert own_keys(usual) == (
        "Here they cost nothing up to $25,000 at list prices each month,"
        " and 5% of the list price above that, from credit."
    )
    assert own_keys(replace(usual, byok_fee_percent=0)) == "Here they cost nothing."
    assert own_keys(replace(usual, byok_allowance_usd=0)) == (
        "Here they cost 5% of the list price, from credit."
    )
    assert own_keys(replace(usual, byok_allowance_requests=1000)).startswith(
        "Here 1,000 such calls a month cost nothing"
    )


def test_limits_of_free_models_are_those_that_hold() -> None:
    usual = Terms()
    assert free_calls(usual).endswith(
        ": 50 a day, 1,000 a day once it has bought credit of $10, 20 a minute."
    )
    assert free_calls(replace(usual, free_per_day_purchased=0)).endswith(
        ": 50 a day, any number a day once it has bought credit of $10, 20 a minute."
    )
    none = replace(usual, free_per_day=0, free_per_day_purchased=0, free_per_minute=0)
    assert "no limit" in free_calls(none)
    assert free_calls(replace(none, free_per_minute=5)).endswith(": 5 a minute.")
