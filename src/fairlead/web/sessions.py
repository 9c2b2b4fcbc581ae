"""Who is signed in: the cookie, and the proof that a request comes from our own pages.

    signed_in = await sessions.signed_in(request)  # None: nobody

A browser sends the cookie along with whatever any page makes it send. So a request that changes something must
say where it comes from (`Sec-Fetch-Site`, else `Origin`), and hold the session's `csrf` token, in the header
`X-CSRF-Token` or as the field `csrf` of a form. The cookie is `SameSite=Lax` besides.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from fairlead.control.people.sign_in import SignIn
from fairlead.control.people.types import NewSession, Place, SignedIn
from fairlead.core.errors import NotAuthenticated, PermissionDenied

__all__ = ["COOKIE", "BrowserSessions", "Doorway", "check_own_origin", "local_path"]

COOKIE: Final = "fairlead_session"
CSRF_HEADER: Final = "x-csrf-token"
CSRF_FIELD: Final = "csrf"
PATH_CHARACTERS_MAX: Final = 2000

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_FROM_HERE: Final = frozenset({"same-origin", "none"})  # none: typed, or a bookmark


@dataclass(frozen=True, slots=True)
class Doorway:
    """How browsers reach us.

    origin: as "https://gate.example.com"; None: whatever name they use.
    proxies: of ours, in front; each adds an address to `X-Forwarded-For`.
    """

    origin: str | None = None
    proxies: int = 0

    def is_encrypted(self, request: Request) -> bool:
        """Whether browsers come by TLS: as configured, else as a proxy of ours says. Who makes that up without
        one has a cookie that their own browser does not send."""
        if self.origin is not None:
            return self.origin.startswith("https://")
        said = request.headers.get("x-forwarded-proto", "") if self.proxies else ""
        return said.partition(",")[0].strip().lower() == "https"

    def place(self, request: Request) -> Place:
        """Where a request comes from, as far as we can know."""
        peer = "" if request.client is None else request.client.host
        user_agent = request.headers.get("user-agent", "")
        if not self.proxies:
            return Place(peer, user_agent)
        said = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
        seen = [one.strip() for one in said if one.strip()][-self.proxies :]
        # What is further to the left the caller may have made up.
        known = _address(seen[0]) if len(seen) == self.proxies else None
        return Place(peer if known is None else known, user_agent)


def _address(said: str) -> str | None:
    """Without the port that some proxies add; None for what is no address."""
    host = said
    if said.startswith("["):
        host = said[1:].partition("]")[0]
    elif said.count(":") == 1:
        host = said.partition(":")[0]
    try:
        return str(ip_address(host))
    except ValueError:
        return None


class BrowserSessions:
    """`web.services.Sessions` over the cookie."""

    def __init__(self, sign_in: SignIn, doorway: Doorway, *, session_max_s: int) -> None:
        self._sign_in = sign_in
        self._doorway = doorway
        self._session_max_s = session_max_s

    async def signed_in(
        self, request: Request, form: Mapping[str, str] | None = None
    ) -> SignedIn | None:
        """Whose browser sent it; None: nobody's. form: the body's fields, where the token may be, too.

        Raises PermissionDenied for a request that changes something and does not prove that it comes from our
        own pages; Overloaded if we cannot tell.
        """
        token = self.token(request)
        signed_in = None if token is None else await self._sign_in.find(token)
        if signed_in is None or request.method in _SAFE_METHODS:
            return signed_in
        check_own_origin(request.headers, self._doorway)
        said = request.headers.get(CSRF_HEADER) or (form or {}).get(CSRF_FIELD) or ""
        if not hmac.compare_digest(said.encode("utf-8", "replace"), signed_in.csrf.encode()):
            raise PermissionDenied(
                f"This request lacks its session's token: send it as `{CSRF_HEADER}` or as the field"
                f" `{CSRF_FIELD}`. Reload the page and try again."
            )
        return signed_in

    async def required(self, request: Request, form: Mapping[str, str] | None = None) -> SignedIn:
        """The same; raises NotAuthenticated for nobody."""
        signed_in = await self.signed_in(request, form)
        if signed_in is None:
            raise NotAuthenticated("Sign in first.")
        return signed_in

    def token(self, request: Request) -> str | None:
        """As the browser sent it; perhaps of nobody."""
        return request.cookies.get(COOKIE)

    def keep(self, request: Request, response: Response, new: NewSession) -> None:
        """Have the browser send it from now on."""
        response.set_cookie(
            COOKIE,
            new.token,
            max_age=self._session_max_s,
            path="/",
            httponly=True,
            samesite="lax",
            secure=self._doorway.is_encrypted(request),
        )

    def drop(self, response: Response) -> None:
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")


def check_own_origin(headers: Headers, doorway: Doorway) -> None:
    """Raises PermissionDenied for what a browser sends on behalf of another site.

    A program that is no browser sends neither header, and has no cookie that it was not given.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        is_ours = site in _FROM_HERE
    else:
        origin = headers.get("origin")
        is_ours = origin is None or origin in _own_origins(headers, doorway)
    if not is_ours:
        raise PermissionDenied("This request comes from another site.")


def _own_origins(headers: Headers, doorway: Doorway) -> tuple[str, ...]:
    if doorway.origin is not None:
        return (doorway.origin,)
    host = headers.get("host", "")
    return (f"http://{host}", f"https://{host}")


def local_path(text: str | None, default: str = "/") -> str:
    """Where to go on: a path of ours, or `default` for anything that a browser could take for another place."""
    if not text or len(text) > PATH_CHARACTERS_MAX:
        return default
    if not text.startswith("/") or text.startswith(("//", "/\\")) or "\\" in text:
        return default
    if any(ord(character) <= 0x20 or ord(character) >= 0x7F for character in text):
        return default
    try:
        parts = urlsplit(text)
    except ValueError:
        return default
    return default if parts.scheme or parts.netloc else text
