"""`POST /hooks/stripe`: what the payment company tells us. Verified, stored, answered; understood later.

Anything but 200 has the company send it again, for days: a body that it did not sign is refused with 400, and
503 says that we could not keep it.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.core.errors import NotFound, RequestInvalid
from fairlead.web.answers import answer
from fairlead.web.billing import BillingEdge
from fairlead.web.reading import content_of

__all__ = ["hook_routes"]

_log = logging.getLogger(__name__)

BODY_BYTES_MAX: Final = 512 * 1024  # some ten times the largest events
SIGNATURE_CHARACTERS_MAX: Final = 2000


def hook_routes(edge: BillingEdge | None) -> list[Route]:
    async def take(request: Request) -> Response:
        inbox = None if edge is None else edge.inbox
        if edge is None or inbox is None:
            raise NotFound("No payment company is configured here.")
        body = await content_of(request, bytes_max=BODY_BYTES_MAX)
        signature = request.headers.get("stripe-signature", "")[:SIGNATURE_CHARACTERS_MAX]
        try:
            is_new = await edge.do(partial(inbox.store, body, signature))
        except RequestInvalid:
            _log.warning("an event of the payment company was refused", extra={"size": len(body)})
            raise
        if is_new:
            edge.on_event()
        return answer({"received": True})

    return [Route("/hooks/stripe", take, methods=["POST"])]
