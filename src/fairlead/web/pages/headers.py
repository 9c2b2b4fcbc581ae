"""What every page says to the browser besides itself: what it may load, and how it travels."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

__all__ = ["accepts", "page_headers", "send_page"]

GZIP_LEVEL: Final = 5
GZIP_FROM_BYTES: Final = 1024  # below this the header costs more than is saved

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self';"
    " connect-src 'self'; manifest-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)
_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    # Not "no-referrer": then browsers say of our own forms that they come from "null".
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    # The same address answers a part to htmx, and greets whoever is signed in.
    "vary": "accept, accept-encoding, cookie, hx-request",
}


def page_headers(goes_to: Sequence[str] = ()) -> dict[str, str]:
    """goes_to: origins to which a form of this page may lead in the end, as "https://pay.example"."""
    return _HEADERS | {"content-security-policy": " ".join((_POLICY, *goes_to))}


def send_page(
    request: Request,
    html: str,
    *,
    status: int = 200,
    is_private: bool,
    goes_to: Sequence[str] = (),
) -> Response:
    """is_private: of somebody who is signed in. Nobody keeps it; and it is not compressed, because a token in
    it beside text from the address could be guessed from the length of both."""
    body = html.encode()
    headers = page_headers(goes_to)
    if is_private or status != 200:
        headers["cache-control"] = "no-store"
    else:
        headers["cache-control"] = "no-cache"
        headers["etag"] = etag = f'W/"{blake2b(body, digest_size=12).hexdigest()}"'
        if _is_known(request, etag):
            return Response(status_code=304, headers=headers)
    if not is_private:
        body = _packed(request, body, headers)
    return Response(body, status, headers, media_type="text/html")


def _packed(request: Request, body: bytes, headers: dict[str, str]) -> bytes:
    """The body as the caller likes it; adds the header that says so."""
    if len(body) < GZIP_FROM_BYTES or not accepts(request, "gzip"):
        return body
    headers["content-encoding"] = "gzip"
    return gzip.compress(body, GZIP_LEVEL, mtime=0)


def _is_known(request: Request, etag: str) -> bool:
    """Whether the caller has it already."""
    seen = {tag.strip() for tag in request.headers.get("if-none-match", "").split(",")}
    return etag in seen or "*" in seen


def accepts(request: Request, coding: str) -> bool:
    for offer in request.headers.get("accept-encoding", "").lower().split(","):
        name, _, weight = offer.partition(";")
        if name.strip() == coding:
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
