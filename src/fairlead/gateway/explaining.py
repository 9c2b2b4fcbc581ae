"""`POST /routing/explain`: a chat body in, the decision it would get out. Nothing is sent, nothing is charged.

It is decided as a call would be at this moment: with the caller's account, the endpoints' health and the
conversation's warm cache. Only the draw is another one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import msgspec

from fairlead.core.catalog import Snapshot
from fairlead.core.chat import ChatRequest
from fairlead.core.errors import FairleadError
from fairlead.core.explanation import document
from fairlead.core.routing.decision import Decision
from fairlead.dialects.base import Dialect
from fairlead.gateway.caller_side import CallerSide, header_lines
from fairlead.gateway.pipeline import Services, authenticate, refuse
from fairlead.gateway.ports import Caller

__all__ = ["Decide", "serve_explanation"]

# The decision for this request of this caller under this snapshot; it may have no choices. Raises CallerError
# for names or wishes that mean nothing.
Decide = Callable[[ChatRequest, Caller, Snapshot], Decision]

_log = logging.getLogger(__name__)
_encode: Final = msgspec.json.Encoder().encode
_HEAD: Final = header_lines(
    ((b"content-type", b"application/json"), (b"access-control-allow-origin", b"*"))
)


async def serve_explanation(
    caller_side: CallerSide, *, dialect: Dialect, services: Services, decide: Decide
) -> None:
    """Serve one question."""
    try:
        caller = await authenticate(caller_side, services)
        body = await caller_side.body(services.body_bytes_max)
        request = dialect.decode(body, caller_side.headers)
        snapshot = services.catalog.snapshot
        told = document(
            decide(request, caller, snapshot),
            snapshot,
            requested=request.body.model or "",
            catalog_version=snapshot.version,
        )
        caller_side.answer(200, _HEAD, _encode({"data": told}))
    except FairleadError as error:
        if not caller_side.has_left:
            refuse(caller_side, dialect, error.problem(), None)
    except Exception:  # noqa: BLE001 — the outermost edge of a call: nothing may pass it
        _log.exception("An explanation failed for a reason of our own.")
        masked = FairleadError("Something went wrong on our side.")
        refuse(caller_side, dialect, masked.problem(), None)
