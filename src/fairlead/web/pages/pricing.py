"""`/pricing`: what calls, credit and own keys cost here, as the operator has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.control.billing import rules
from fairlead.control.billing.service import Billing
from fairlead.core.catalog import Model
from fairlead.core.ids import ModelId
from fairlead.core.limits import PURCHASED_ENOUGH
from fairlead.web.pages import shown
from fairlead.web.pages.credits.view import Fees, fees_of
from fairlead.web.pages.model_list import ModelRow, row_of
from fairlead.web.pages.price_line import PER_MILLION
from fairlead.web.pages.site import Site
from fairlead.web.services import Terms

__all__ = ["Sale", "free_calls", "own_keys", "pricing_pages", "sale_of"]

EXAMPLES: Final = 6
EXAMPLE_CENTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Sale:
    """How credit is sold. example: an amount and what it costs. is_test: no money moves."""

    fees: Fees
    example: tuple[str, str]
    is_test: bool


def pricing_pages(site: Site) -> list[Route]:

    async def pricing(request: Request) -> Response:
        models = (await site.catalogue.current()).models
        services = site.services
        rows, is_used = _examples(models, await site.measuring.weekly_tokens())
        return await site.page(
            request,
            "pricing/pricing.html",
            await site.visitor(request),
            title="Pricing",
            description="What calls of models cost here, and what credit, own keys and free models do.",
            section="pricing",
            rows=rows,
            is_used=is_used,
            sale=None if services.billing is None else sale_of(services.billing.billing),
            own_keys=own_keys(services.terms),
            free_calls=free_calls(services.terms),
            allowance=f"${services.terms.allowance_usd:,.2f}"
            if services.terms.allowance_usd
            else None,
            discount=f"{services.terms.discount_percent:g}%"
            if services.terms.discount_percent
            else None,
        )

    return [Route("/pricing", pricing)]


def _examples(
    models: Iterable[Model], used: Mapping[ModelId, int]
) -> tuple[tuple[ModelRow, ...], bool]:
    """Models sold by tokens whose prices most people want to know, and whether they are the most used: if none
    of these was used, they are the newest."""
    sold = [model for model in models if model.endpoints and not model.id.startswith("~")]
    most_used = sorted(
        (model for model in sold if model.id in used), key=lambda model: -used[model.id]
    )
    if rows := _sold_by_tokens(most_used):
        return rows, True
    return _sold_by_tokens(sold), False


def _sold_by_tokens(models: Iterable[Model]) -> tuple[ModelRow, ...]:
    """The first of them that are."""
    rows = (row for row in map(row_of, models) if row.price.prompt.startswith("$"))
    return tuple(islice((row for row in rows if row.price.unit == PER_MILLION), EXAMPLES))


def sale_of(billing: Billing) -> Sale | None:
    """None: nothing is sold here."""
    company = billing.payments
    if company is None:
        return None
    terms = billing.terms
    amount = min(max(EXAMPLE_CENTS, terms.purchase_cents_min), terms.purchase_cents_max)
    total = rules.quote(amount, company.methods[0], terms).total_cents
    example = shown.dollars_from_cents(amount), shown.dollars_from_cents(total)
    return Sale(fees_of(terms, company.methods), example, company.is_pretended)


def own_keys(terms: Terms) -> str:
    """What is paid here for calls that the caller's own provider bills."""
    if not terms.byok_fee_percent:
        return "Here they cost nothing."
    fee = f"{terms.byok_fee_percent:g}% of the list price"
    if terms.byok_allowance_requests is not None:
        free = shown.plural(terms.byok_allowance_requests, "such call")
        return f"Here {free} a month cost nothing; each after that costs {fee}, from credit."
    if not terms.byok_allowance_usd:
        return f"Here they cost {fee}, from credit."
    free = f"${terms.byok_allowance_usd:,.2f}".removesuffix(".00")
    return f"Here they cost nothing up to {free} at list prices each month, and {fee} above that, from credit."


def free_calls(terms: Terms) -> str:
    """How many calls an account that pays in advance may make of free variants."""
    enough = shown.dollars(PURCHASED_ENOUGH).removesuffix(".00")
    purchased = (
        f"{terms.free_per_day_purchased:,}" if terms.free_per_day_purchased else "any number"
    )
    limits = [
        f"{terms.free_per_day:,} a day" if terms.free_per_day else "",
        f"{purchased} a day once it has bought credit of {enough}"
        if terms.free_per_day != terms.free_per_day_purchased
        else "",
        f"{terms.free_per_minute:,} a minute" if terms.free_per_minute else "",
    ]
    said = ", ".join(one for one in limits if one)
    if not said:
        return "There is no limit to how many calls of them are made."
    return f"An account that pays in advance may make so many calls of them: {said}."
