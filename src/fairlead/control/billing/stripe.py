"""Stripe: its hosted pages (Checkout), saved cards, refunds, disputes and webhooks, through its own library.

Every object that we make there carries `fairlead_installation` and the id of ours that it belongs to, and is
made under that id as Stripe's idempotency key. Stripe forgets such keys after a day; so a refund looks first
whether it exists. What is read is never believed from a webhook's body but asked for again: `look` composes one
observation from the session, the payment intent, its refunds and its disputes.

Read on 2026-11-20: https://docs.stripe.com/api, https://docs.stripe.com/webhooks,
https://docs.stripe.com/payments/checkout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from fairlead.control.billing.payments import (
    Event,
    EventRefused,
    Hosted,
    PaymentsAway,
    PaymentsRefused,
)
from fairlead.control.billing.rules import CURRENCY
from fairlead.control.billing.types import (
    Method,
    Observation,
    Purchase,
    PurchaseId,
    Refund,
    SavedMethod,
    SeenDispute,
    SeenDisputeState,
    SeenRefund,
    SeenRefundState,
)
from fairlead.core.ids import AccountId

if TYPE_CHECKING:
    import stripe

__all__ = ["StripePayments"]

TIMEOUT_S: Final = 20.0
NETWORK_RETRIES: Final = 1
LISTED_MAX: Final = 100  # refunds, disputes of one payment: Stripe's largest page
INSTALLATION: Final = "fairlead_installation"
PURCHASE: Final = "fairlead_purchase"
CONFLICT: Final = 409  # the same call is under way elsewhere
REFUND: Final = "fairlead_refund"
ACCOUNT: Final = "fairlead_account"

_METHOD_TYPES: Final = {Method.CARD: "card", Method.ALIPAY: "alipay", Method.CRYPTO: "crypto"}
_REFUND_STATES: Final = {
    "pending": SeenRefundState.PENDING,
    "requires_action": SeenRefundState.PENDING,
    "succeeded": SeenRefundState.DONE,
    "failed": SeenRefundState.FAILED,
    "canceled": SeenRefundState.FAILED,
}
_DISPUTE_STATES: Final = {
    "warning_needs_response": SeenDisputeState.WARNED,
    "warning_under_review": SeenDisputeState.WARNED,
    "warning_closed": SeenDisputeState.WARNED,
    "prevented": SeenDisputeState.WARNED,
    "needs_response": SeenDisputeState.OPEN,
    "under_review": SeenDisputeState.OPEN,
    "lost": SeenDisputeState.LOST,
    "won": SeenDisputeState.WON,
}

_Answer = TypeVar("_Answer")


class StripePayments:
    """`payments.Payments` at Stripe.

    installation: our name there; events of others are ignored. return_url: where the hosted page sends its
        visitor back to.
    tolerance_s: how old a webhook's signature may be. api_base: of a server that stands in for Stripe.
    """

    name = "stripe"
    methods = (Method.CARD, Method.ALIPAY, Method.CRYPTO)
    is_pretended = False
    pages_at: tuple[str, ...] = ("https://checkout.stripe.com",)

    def __init__(
        self,
        *,
        secret_key: str,
        webhook_secret: str | None,
        installation: str,
        return_url: str,
        tolerance_s: float = 300.0,
        api_base: str | None = None,
    ) -> None:
        self._secret_key = secret_key
        self._webhook_secret = webhook_secret
        self._installation = installation
        self._return_url = return_url
        self._tolerance_s = tolerance_s
        self._api_base = api_base
        self._made: stripe.StripeClient | None = None

    # --- paying ---

    def begin(self, purchase: Purchase, *, customer: str | None, email: str | None) -> Hosted:
        tags = {INSTALLATION: self._installation, PURCHASE: purchase.id, ACCOUNT: purchase.account}
        lines = [_line("Credits", purchase.amount_cents)]
        if purchase.fee_cents:
            lines.append(_line("Fee", purchase.fee_cents))
        wanted: dict[str, Any] = {
            "mode": "payment",
            "client_reference_id": purchase.id,
            "payment_method_types": [_METHOD_TYPES[purchase.method]],
            "line_items": lines,
            "metadata": tags,
            "payment_intent_data": {"metadata": tags},
            "success_url": f"{self._return_url}?purchase={purchase.id}",
            "cancel_url": f"{self._return_url}?purchase={purchase.id}&cancelled=1",
        }
        _add_buyer(wanted, customer, email)
        session = self._ask(
            lambda client: client.v1.checkout.sessions.create(
                wanted, {"idempotency_key": purchase.id}
            )
        )
        return Hosted(session.id, session.url or "")

    def charge(self, purchase: Purchase, saved: SavedMethod) -> Observation:
        tags = {INSTALLATION: self._installation, PURCHASE: purchase.id, ACCOUNT: purchase.account}
        wanted: dict[str, Any] = {
            "amount": purchase.total_cents,
            "currency": CURRENCY,
            "customer": saved.customer,
            "payment_method": saved.method,
            "payment_method_types": ["card"],  # otherwise Stripe wants to know where to redirect to
            "off_session": True,
            "confirm": True,
            "metadata": tags,
        }
        import stripe

        try:
            intent = self._client().v1.payment_intents.create(
                wanted, {"idempotency_key": purchase.id}
            )
        except stripe.CardError as error:
            body = _plain(error.json_body).get("error") or {}
            refused = body.get("payment_intent") or {}
            return Observation(
                purchase=purchase.id,
                payment=refused.get("id"),
                has_failed=True,
                problem=str(error.user_message or "the card was declined")[:200],
            )
        except stripe.StripeError as error:
            raise _translated(error) from error
        return self._observed(purchase.id, _plain(intent), is_off_session=True)

    def look(self, purchase: Purchase) -> Observation:
        payment, is_over = purchase.payment, False
        if purchase.session is not None:
            name = purchase.session
            session = _plain(self._ask(lambda client: client.v1.checkout.sessions.retrieve(name)))
            payment = session.get("payment_intent") or payment
            is_over = session.get("status") == "expired"
        if payment is None:
            return Observation(
                purchase=purchase.id,
                has_failed=is_over,
                problem="the page has expired" if is_over else "",
            )
        named = payment
        intent = _plain(self._ask(lambda client: client.v1.payment_intents.retrieve(named)))
        return self._observed(
            purchase.id, intent, is_off_session=purchase.session is None, is_over=is_over
        )

    def _observed(
        self,
        purchase: PurchaseId,
        intent: Mapping[str, Any],
        *,
        is_off_session: bool,
        is_over: bool = False,
    ) -> Observation:
        payment, status = intent["id"], intent.get("status")
        if status != "succeeded":
            # On a hosted page its visitor may try another card; off-session nobody does.
            gone = status == "canceled" or (
                is_off_session and status in ("requires_payment_method", "requires_action")
            )
            error = intent.get("last_payment_error") or {}
            return Observation(
                purchase=purchase,
                payment=payment,
                has_failed=gone or is_over,
                problem=str(error.get("message") or status)[:200] if gone or is_over else "",
            )
        charge = self._charge_of(intent)
        refunds = _plain(
            self._ask(
                lambda client: client.v1.refunds.list(
                    {"payment_intent": payment, "limit": LISTED_MAX}
                )
            )
        )
        disputes: Iterable[Mapping[str, Any]] = ()
        if charge.get("disputed"):
            disputes = _plain(
                self._ask(
                    lambda client: client.v1.disputes.list(
                        {"payment_intent": payment, "limit": LISTED_MAX}
                    )
                )
            ).get("data", ())
        return Observation(
            purchase=purchase,
            payment=payment,
            paid_cents=int(intent.get("amount_received") or intent["amount"]),
            currency=str(intent["currency"]),
            paid_ms=int(charge.get("created") or intent["created"]) * 1000,
            refunds=tuple(self._seen(one) for one in refunds.get("data", ())),
            disputes=tuple(
                SeenDispute(
                    one["id"],
                    int(one["amount"]),
                    _DISPUTE_STATES.get(one["status"], SeenDisputeState.WARNED),
                )
                for one in disputes
            ),
        )

    def _charge_of(self, intent: Mapping[str, Any]) -> Mapping[str, Any]:
        charge = intent.get("latest_charge")
        if isinstance(charge, str):
            name = charge
            return _plain(self._ask(lambda client: client.v1.charges.retrieve(name)))
        return charge or {}

    # --- paying back ---

    def refund(self, refund: Refund) -> SeenRefund:
        made = _plain(
            self._ask(
                lambda client: client.v1.refunds.list(
                    {"payment_intent": refund.payment, "limit": LISTED_MAX}
                )
            )
        )
        for one in made.get("data", ()):
            if (one.get("metadata") or {}).get(REFUND) == refund.id:
                return self._seen(one)
        wanted: dict[str, Any] = {
            "payment_intent": refund.payment,
            "amount": refund.amount_cents,
            "metadata": {INSTALLATION: self._installation, REFUND: refund.id},
        }
        return self._seen(
            _plain(
                self._ask(
                    lambda client: client.v1.refunds.create(wanted, {"idempotency_key": refund.id})
                )
            )
        )

    def _seen(self, refund: Mapping[str, Any]) -> SeenRefund:
        tags = refund.get("metadata") or {}
        ours = tags.get(REFUND) if tags.get(INSTALLATION) == self._installation else None
        state = _REFUND_STATES.get(refund.get("status") or "", SeenRefundState.PENDING)
        return SeenRefund(refund["id"], ours, int(refund["amount"]), state)

    # --- saved cards ---

    def begin_saving(
        self, account: AccountId, *, customer: str | None, email: str | None
    ) -> Hosted:
        tags = {INSTALLATION: self._installation, ACCOUNT: account}
        if customer is None:
            about: dict[str, Any] = {"metadata": tags}
            if email is not None:
                about["email"] = email
            customer = self._ask(lambda client: client.v1.customers.create(about)).id
        wanted: dict[str, Any] = {
            "mode": "setup",
            "customer": customer,
            "payment_method_types": ["card"],
            "metadata": tags,
            "setup_intent_data": {"metadata": tags},
            "success_url": f"{self._return_url}?saved=1",
            "cancel_url": f"{self._return_url}?saved=0",
        }
        session = self._ask(lambda client: client.v1.checkout.sessions.create(wanted))
        return Hosted(session.id, session.url or "")

    def saved(self, session: str) -> SavedMethod | None:
        found = _plain(self._ask(lambda client: client.v1.checkout.sessions.retrieve(session)))
        setup, customer = found.get("setup_intent"), found.get("customer")
        if not setup or not customer:
            return None
        intent = _plain(self._ask(lambda client: client.v1.setup_intents.retrieve(setup)))
        method = intent.get("payment_method")
        if intent.get("status") != "succeeded" or not method:
            return None
        card = _plain(self._ask(lambda client: client.v1.payment_methods.retrieve(method))).get(
            "card", {}
        )
        return SavedMethod(customer, method, f"{card.get('brand', 'card')} {card.get('last4', '')}")

    def forget(self, saved: SavedMethod) -> None:
        with suppress(PaymentsRefused):  # it is gone already
            self._ask(lambda client: client.v1.payment_methods.detach(saved.method))

    # --- webhooks ---

    def read_event(self, body: bytes, signature: str, *, now_s: float) -> Event:
        if self._webhook_secret is None:
            raise EventRefused("no webhook secret is configured")
        import stripe

        try:
            # The age is ours to check, by the clock that everything else here goes by.
            stripe.WebhookSignature.verify_header(
                body.decode(), signature, self._webhook_secret, tolerance=None
            )
        except (stripe.SignatureVerificationError, UnicodeDecodeError, ValueError) as error:
            raise EventRefused("the signature does not fit") from error
        if abs(now_s - _signed_s(signature)) > self._tolerance_s:
            raise EventRefused("the signature is of another time")
        try:
            return self.kept_event(body)
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
            raise EventRefused("this is no event") from error

    def kept_event(self, body: bytes) -> Event:
        event = msgspec.json.decode(body, type=dict[str, Any])
        about = event["data"]["object"]
        tags = about.get("metadata") or {}
        kind, what = str(event["type"]), about.get("object")
        installation = tags.get(INSTALLATION)
        is_payment, is_session = what == "payment_intent", what == "checkout.session"
        payment = about["id"] if is_payment else about.get("payment_intent")
        saving = None
        if is_session and about.get("mode") == "setup" and installation == self._installation:
            saving = AccountId(tags.get(ACCOUNT, ""))
        return Event(
            id=str(event["id"]),
            kind=kind,
            purchase=tags.get(PURCHASE) if installation == self._installation else None,
            payment=payment if isinstance(payment, str) else None,
            session=about["id"] if is_session else None,
            saving=saving,
            is_ours=None if installation is None else installation == self._installation,
        )

    def purchase_of(self, event: Event) -> PurchaseId | None:
        if event.purchase is not None or event.is_ours is False or event.payment is None:
            return event.purchase
        payment = event.payment
        try:
            intent = _plain(self._ask(lambda client: client.v1.payment_intents.retrieve(payment)))
        except PaymentsRefused:
            return None  # of another account of Stripe's, or of none
        tags = intent.get("metadata") or {}
        return tags.get(PURCHASE) if tags.get(INSTALLATION) == self._installation else None

    # --- asking ---

    def _client(self) -> stripe.StripeClient:
        """Made when it is first used: the library takes half a second to import."""
        if self._made is None:
            import stripe

            self._made = stripe.StripeClient(
                self._secret_key,
                base_addresses={} if self._api_base is None else {"api": self._api_base},
                max_network_retries=NETWORK_RETRIES,
                http_client=stripe.RequestsClient(timeout=TIMEOUT_S),
            )
        return self._made

    def _ask(self, question: Callable[[stripe.StripeClient], _Answer]) -> _Answer:
        import stripe

        try:
            return question(self._client())
        except stripe.StripeError as error:
            raise _translated(error) from error


def _translated(error: stripe.StripeError) -> Exception:
    """A refusal is one only where Stripe says that it read the request and will not do it."""
    import stripe

    message = str(error.user_message or "Stripe refused")[:200]
    is_answered = isinstance(error, stripe.InvalidRequestError | stripe.CardError)
    if is_answered and error.http_status != CONFLICT:
        return PaymentsRefused(message)
    return PaymentsAway(f"{type(error).__name__}: {message}")


def _plain(found: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever the library makes of JSON
    """As plain values."""
    if found is None:
        return {}
    return dict(found.to_dict()) if hasattr(found, "to_dict") else dict(found)


def _line(name: str, cents: int) -> dict[str, Any]:
    return {
        "quantity": 1,
        "price_data": {
            "currency": CURRENCY,
            "unit_amount": cents,
            "product_data": {"name": name},
        },
    }


def _add_buyer(wanted: dict[str, Any], customer: str | None, email: str | None) -> None:
    if customer is not None:
        wanted["customer"] = customer
    elif email is not None:
        wanted["customer_email"] = email


def _signed_s(signature: str) -> float:
    """The moment in a signature that was found to fit. Of several, nobody knows which one was signed."""
    parts = (part.partition("=") for part in signature.split(","))
    moments = [value for name, _, value in parts if name.strip() == "t"]
    if len(moments) != 1 or not (moments[0].isascii() and moments[0].isdigit()):
        raise EventRefused("the signature has no time, or several")
    return float(moments[0])
