"""What credit and calls cost, the company that takes the money, and how limits on spending are kept."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from fairlead.settings.secret import Address, Secret

__all__ = ["Billing", "Budgets", "Byok", "Stripe"]

_BasisPoints = Annotated[int, Meta(ge=0, le=10_000)]
_ManyDays = Annotated[int, Meta(ge=31, le=3650)]
_Cents = Annotated[int, Meta(ge=0, le=100_000_000)]


class Billing(msgspec.Struct, frozen=True, kw_only=True):
    """What credit costs and how long it lasts. Fees come on top of the amount, and are never refunded."""

    free_allowance_usd: Annotated[
        float,
        Meta(
            ge=0,
            le=1000,
            description="What a new prepaid account has to begin with, in dollars.",
        ),
    ] = 0.0
    card_fee_basis_points: Annotated[
        _BasisPoints,
        Meta(description="Fee on purchases by card and Alipay, in hundredths of a percent."),
    ] = 550
    card_fee_cents_min: Annotated[_Cents, Meta(description="At least so many cents.")] = 80
    crypto_fee_basis_points: Annotated[
        _BasisPoints,
        Meta(description="Fee on purchases in stablecoins, in hundredths of a percent."),
    ] = 500
    crypto_fee_cents_min: Annotated[_Cents, Meta(description="At least so many cents.")] = 0
    purchase_cents_min: Annotated[
        int, Meta(ge=50, le=100_000_000, description="Smallest purchase, without its fee.")
    ] = 500
    purchase_cents_max: Annotated[
        int, Meta(ge=50, le=100_000_000, description="Largest purchase, without its fee.")
    ] = 1_000_000
    refund_hours: Annotated[
        float,
        Meta(ge=0, le=8760, description="For so long the unused part of a purchase is refunded."),
    ] = 24.0
    credits_expire_days: Annotated[
        _ManyDays | None,
        Meta(
            description="So long after its purchase credit expires, such as 365; without it, never.",
        ),
    ] = None
    low_balance_cents: Annotated[
        _Cents,
        Meta(
            description="Accounts are told when their balance falls below it, unless they chose another sum;"
            " 0: they are not."
        ),
    ] = 10_000
    test_payments: Annotated[
        bool,
        Meta(
            description="Whether everybody can get credit without money, for trying out, while Stripe is not"
            " configured."
        ),
    ] = False
    seller_name: Annotated[str, Meta(description="Who sells, on receipts and invoices.")] = (
        "Fairlead"
    )
    seller_address: Annotated[str, Meta(description="Its address; several lines.")] = ""
    seller_tax_ids: Annotated[str, Meta(description="Its tax ids, one in a line.")] = ""
    tax_note: Annotated[
        str, Meta(description="What receipts and invoices say about tax; several lines.")
    ] = ""
    invoice_prefix: Annotated[
        str,
        Meta(max_length=20, description="Before the numbers of receipts and invoices."),
    ] = "FL-"
    font_file: Annotated[
        str | None,
        Meta(
            description="A TrueType font for receipts and invoices. Without it, names in other than Latin"
            " letters are written without what cannot be written."
        ),
    ] = None


class Stripe(msgspec.Struct, frozen=True, kw_only=True):
    """The account at Stripe that takes payments. It must send its events to `<public_url>/hooks/stripe`."""

    secret_key: Annotated[
        Secret | None, Meta(description="Its secret key, `sk_...`; without it nothing is sold.")
    ] = None
    webhook_secret: Annotated[
        Secret | None,
        Meta(description="By which its events are known, `whsec_...`; without it none is taken."),
    ] = None
    webhook_tolerance_s: Annotated[
        float,
        Meta(gt=0, le=86_400, description="How old the signature of an event may be."),
    ] = 300.0
    api_base: Annotated[
        Address | None, Meta(description="A server in place of Stripe's own, for tests.")
    ] = None


class Budgets(msgspec.Struct, frozen=True, kw_only=True):
    """How limits on spending are kept while many calls run in many processes."""

    slice_usd_max: Annotated[
        float,
        Meta(
            ge=0,
            le=10_000,
            description="The most that one process sets aside of one budget in advance, in dollars; also what"
            " it may still spend of it while the database is away.",
        ),
    ] = 5.0
    wait_s: Annotated[
        float,
        Meta(
            gt=0,
            le=60,
            description="How long a call waits for calls under way to give back what they did not use,"
            " before it is refused.",
        ),
    ] = 2.0
    lost_after_s: Annotated[
        float,
        Meta(
            ge=600,
            le=31_536_000,
            description="A process that has said nothing for so long is taken for lost with its machine, and"
            " what it had set aside of budgets is free again.",
        ),
    ] = 86_400.0


class Byok(msgspec.Struct, frozen=True, kw_only=True):
    """Calls with credentials of the accounts' own."""

    fee_percent: Annotated[
        float,
        Meta(
            ge=0, le=100, description="Of the list price, taken from credits above the allowance."
        ),
    ] = 5.0
    allowance_usd: Annotated[
        float,
        Meta(
            ge=0,
            le=1_000_000_000,
            description="List price for which an account pays no fee, each calendar month (UTC).",
        ),
    ] = 25_000.0
    allowance_requests: Annotated[
        Annotated[int, Meta(ge=0, le=1_000_000_000)] | None,
        Meta(description="So many requests a month without a fee, in place of `allowance_usd`."),
    ] = None
