"""What all pages of credits share: who may see them, their frame, and the way to where one pays.

They are for admins, as in the API. The page on which one pays is the payment company's, or says of itself that
no money moves there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from fairlead.control.accounts.types import Billing as BillingKind
from fairlead.control.audit.types import Actor
from fairlead.control.billing.pretended import PAGE as PRETENDED_PAGE
from fairlead.control.billing.service import Buyer
from fairlead.control.billing.types import Method, Purchase, PurchaseId
from fairlead.control.people.types import SignedIn
from fairlead.core.errors import NotFound, PermissionDenied, RequestInvalid
from fairlead.web.auth.exchange import Form
from fairlead.web.billing import BillingEdge
from fairlead.web.pages.credits.view import TABS, fees_of
from fairlead.web.pages.form_fields import actor_of
from fairlead.web.pages.site import Site
from fairlead.web.reading import is_keepable

__all__ = ["CreditsDesk", "hosted", "is_prepaid", "method", "number", "purchase_id"]

_NUMBER_DIGITS: Final = 15
_NAME_CHARACTERS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class CreditsDesk:
    site: Site
    edge: BillingEdge

    @property
    def methods(self) -> tuple[Method, ...]:
        """Of paying."""
        company = self.edge.billing.payments
        return () if company is None else company.methods

    async def page(
        self,
        request: Request,
        member: SignedIn,
        tab: str,
        template: str,
        *,
        title: str,
        status: int = 200,
        fragment: str | None = None,
        **shown: Any,  # noqa: ANN401 - for the template
    ) -> Response:
        company = self.edge.billing.payments
        return await self.site.page(
            request,
            template,
            member,
            title=title,
            status=status,
            fragment=fragment,
            goes_to=self._pages_at,
            member=member,
            tabs=TABS,
            tab=tab,
            fees=fees_of(self.edge.billing.terms, self.methods),
            can_buy=company is not None,
            is_test=company is not None and company.is_pretended,
            **shown,
        )

    async def admin(self, request: Request) -> SignedIn:
        return _checked(await self.site.member(request))

    async def posted(self, request: Request) -> tuple[SignedIn, Form]:
        member, form = await self.site.posted(request)
        return _checked(member), form

    def actor(self, request: Request, member: SignedIn) -> Actor:
        return actor_of(self.site, request, member)

    def buyer(self, request: Request, member: SignedIn) -> Buyer:
        return Buyer(member.account.id, self.actor(request, member), member.user.email)

    def onwards(self, purchase: Purchase) -> Response:
        """To where it is paid; else to its own page, from which a link leads there."""
        address = urlsplit(purchase.url or "")
        if self.edge.pretended is not None and address.path.startswith(PRETENDED_PAGE):
            return self.site.go(address.path)
        if f"{address.scheme}://{address.netloc}" in self._pages_at:
            return hosted(purchase.url or "")
        return self.site.go(f"/credits/purchases/{purchase.id}")

    @property
    def _pages_at(self) -> tuple[str, ...]:
        company = self.edge.billing.payments
        return () if company is None else company.pages_at


def hosted(address: str) -> Response:
    """To a page of the payment company."""
    return RedirectResponse(address, 303, {"cache-control": "no-store"})


def is_prepaid(member: SignedIn) -> bool:
    return member.account.billing is BillingKind.PREPAID


def method(text: str) -> Method:
    """Raises RequestInvalid."""
    try:
        return Method(text)
    except ValueError:
        raise RequestInvalid("Choose one of these.", param="method") from None


def number(text: str) -> int:
    """Of a document or an entry. Raises NotFound for what cannot be one."""
    if not (text.isascii() and text.isdigit() and len(text) <= _NUMBER_DIGITS):
        raise NotFound("There is nothing of that number.")
    return int(text)


def purchase_id(text: str) -> PurchaseId:
    """Raises NotFound for what cannot be one."""
    if len(text) > _NAME_CHARACTERS_MAX or not text.startswith("pay-") or not is_keepable(text):
        raise NotFound("There is no such purchase.")
    if not text.isascii() or not text.replace("-", "").isalnum():
        raise NotFound("There is no such purchase.")
    return PurchaseId(text)


def _checked(member: SignedIn) -> SignedIn:
    if not member.is_admin:
        raise PermissionDenied("Credits and invoices are for admins of this account.")
    return member
