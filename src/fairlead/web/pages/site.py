"""What every page is made with: who looks, what the frame around the page shows, how it is sent.

    async def show(request):
        visitor = await site.visitor(request)
        return await site.page(request, "models/list.html", visitor, title="Models", view=view)

A page of the signed in begins with `member = await site.member(request)`: whoever is nobody is sent to
`/sign-in` and comes back (`refusals.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from fairlead.control.accounts.types import AccountKind
from fairlead.control.people.types import SignedIn
from fairlead.core.errors import NotAuthenticated
from fairlead.web.api.measured import Measuring
from fairlead.web.auth.exchange import FORM_BYTES_MAX, Form, read_form
from fairlead.web.operations import Operation
from fairlead.web.pages.environment import templates
from fairlead.web.pages.headers import send_page
from fairlead.web.pages.held import OfSnapshot
from fairlead.web.pages.model_list import Catalogue, catalogue_of
from fairlead.web.pages.notices import Notice, notice_of, with_notice
from fairlead.web.pages.static import Bundle, read_bundle
from fairlead.web.services import WebServices

__all__ = ["NOBODY", "Frame", "Site", "Visitor", "is_fragment_request"]

DESCRIPTION: Final = (
    "One self-hosted API in front of every large language model: routing, fallback, exact usage"
    " and cost."
)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks. signed_in: None: nobody in particular."""

    signed_in: SignedIn | None = None

    @property
    def is_signed_in(self) -> bool:
        return self.signed_in is not None

    @property
    def is_owner(self) -> bool:
        return self.signed_in is not None and self.signed_in.is_owner

    @property
    def csrf(self) -> str:
        """For the hidden field of a form; empty for nobody."""
        return "" if self.signed_in is None else self.signed_in.csrf

    @property
    def name(self) -> str:
        if self.signed_in is None:
            return ""
        user = self.signed_in.user
        return user.name or user.email or self.signed_in.account.name

    @property
    def acts_for(self) -> str:
        """The organisation whose keys, credit and activity pages show; empty: their own."""
        if self.signed_in is None or self.signed_in.account.kind is not AccountKind.ORGANISATION:
            return ""
        return self.signed_in.account.name


NOBODY: Final = Visitor()


@dataclass(frozen=True, slots=True)
class Frame:
    """What `base.html` shows around a page.

    path: of the page, for links that lead back. section: which link of the navigation is current.
    scripts: of the bundle, besides the shell. feed: an RSS feed of the page. is_demo: figures are made up.
    """

    title: str
    description: str
    path: str
    section: str
    visitor: Visitor
    notice: Notice | None
    bundle: Bundle
    can_sign_in: bool
    is_indexed: bool
    scripts: tuple[str, ...] = ()
    feed: str | None = None
    is_demo: bool = False


@dataclass(frozen=True, slots=True)
class Site:
    """services: what pages ask. bundle: scripts and styles. catalogue: the models that are listed. measuring:
    what calls of them tell. operations: of the management API, to document."""

    services: WebServices
    bundle: Bundle
    catalogue: OfSnapshot[Catalogue]
    measuring: Measuring
    operations: tuple[Operation, ...] = ()

    @classmethod
    def of(cls, services: WebServices, operations: Sequence[Operation] = ()) -> Site:
        return cls(
            services,
            read_bundle(),
            OfSnapshot(services.catalog, catalogue_of),
            Measuring(services),
            tuple(operations),
        )

    def origin(self, request: Request) -> str:
        """The address of this installation, as "https://gate.example.com": as configured, else as called."""
        configured = None if self.services.auth is None else self.services.auth.doorway.origin
        return configured or f"{request.url.scheme}://{request.url.netloc}"

    async def visitor(self, request: Request) -> Visitor:
        sessions = self.services.sessions
        if sessions is None or not request.cookies:
            return NOBODY
        return Visitor(await sessions.signed_in(request))

    async def member(self, request: Request) -> SignedIn:
        """Raises NotAuthenticated, which sends a browser to sign in."""
        sessions = self.services.sessions
        found = None if sessions is None else await sessions.signed_in(request)
        if found is None:
            raise NotAuthenticated("Sign in first.")
        return found

    async def posted(
        self, request: Request, *, bytes_max: int = FORM_BYTES_MAX
    ) -> tuple[SignedIn, Form]:
        """A form of somebody who is signed in, proved by its hidden field. Raises NotAuthenticated,
        PermissionDenied for a form that is not from our pages, RequestInvalid, PayloadTooLarge."""
        auth = self.services.auth
        form = await read_form(request, bytes_max=bytes_max)
        if auth is None:
            raise NotAuthenticated("Nobody can sign in here.")
        return await auth.sessions.required(request, form.fields), form

    async def page(
        self,
        request: Request,
        template: str,
        visitor: Visitor | SignedIn = NOBODY,
        *,
        title: str,
        description: str = DESCRIPTION,
        section: str = "",
        scripts: Sequence[str] = (),
        feed: str | None = None,
        fragment: str | None = None,
        is_indexed: bool = True,
        status: int = 200,
        goes_to: Sequence[str] = (),
        **shown: object,
    ) -> Response:
        """fragment: the template that answers htmx instead. goes_to: as in `headers.page_headers`."""
        if isinstance(visitor, SignedIn):
            visitor = Visitor(visitor)
        name = fragment if fragment is not None and is_fragment_request(request) else template
        frame = Frame(
            title=title,
            description=description,
            path=_own_address(request),
            section=section,
            visitor=visitor,
            notice=notice_of(request.query_params.get("notice")),
            bundle=self.bundle,
            can_sign_in=self.services.sessions is not None,
            is_indexed=is_indexed and not visitor.is_signed_in,
            scripts=tuple(scripts),
            feed=feed,
            is_demo=await self.services.demo.is_there(),
        )

        def written() -> Response:
            html = templates().get_template(name).render({"frame": frame, **shown})
            return send_page(
                request, html, status=status, is_private=visitor.is_signed_in, goes_to=goes_to
            )

        # A big table takes milliseconds, as does packing it, and this process also relays streams.
        return await run_in_threadpool(written)

    async def feed(self, template: str, **shown: object) -> Response:
        """RSS."""
        text = await run_in_threadpool(templates().get_template(template).render, shown)
        return Response(
            text, media_type="application/rss+xml", headers={"cache-control": "no-cache"}
        )

    def now_ms(self) -> int:
        return int(self.services.clock.now_s() * 1000)

    def go(self, path: str, *, notice: str | None = None) -> Response:
        """On to a page of ours, after a form. notice: a word of `notices.NOTICES`."""
        to = path if notice is None else with_notice(path, notice)
        return RedirectResponse(to, status_code=303, headers={"cache-control": "no-store"})


def is_fragment_request(request: Request) -> bool:
    """Whether htmx asks for a part. Who goes back in history wants the whole page."""
    headers = request.headers
    return "hx-request" in headers and "hx-history-restore-request" not in headers


def _own_address(request: Request) -> str:
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path
