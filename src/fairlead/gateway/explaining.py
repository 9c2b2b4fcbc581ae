"""`POST /routing/explain`: a chat body in, the decision it would get out. Nothing is sent, nothing is charged.

It is decided as a call would be at this moment: with the caller's account, the endpoints' health and the
conversation's warm cache. Only the draw is another one.
"""

from __future__ import annotations

import logging
from typing import Final

import msgspec

from fairlead.core.errors import FairleadError
from fairlead.core.explanation import document
from fairlead.dialects.base import Dialect
from fairlead.gateway.caller_side import CallerSide, header_lines
from fairlead.gateway.deciding import Deciding
from fairlead.gateway.pipeline import authenticate
from fairlead.gateway.services import Services
from fairlead.gateway.telling import refuse

__all__ = ["serve_explanation"]

_log = logging.getLogger(__name__)
_encode: Final = msgspec.json.Encoder().encode
_HEAD: Final = header_lines(
    ((b"content-type", b"application/json"), (b"access-control-allow-origin", b"*"))
)


async def serve_explanation(
    caller_side: CallerSide, *, dialect: Dialect, services: Services
) -> None:
    """Serve one question."""
    try:
        caller = await authenticate(caller_side, services)
        body = await caller_side.body(services.body_bytes_max)
        request = dialect.decode(body, caller_side.headers)
        deciding = Deciding(
            request, caller, caller_side, capability=dialect.capability, services=services
        )
        found = deciding.pondered()
        told = document(
            found.decision,
            found.snapshot,
            requested=request.body.first_model,
            catalog_version=found.snapshot.version,
        )
        caller_side.answer(200, _HEAD, _encode({"data": told}))
    except FairleadError as error:
        if not caller_side.has_left:
            refuse(caller_side, dialect, error.problem(), None)
    except Exception:  # noqa: BLE001 — the outermost edge of a call: nothing may pass it
        _log.exception("An explanation failed for a reason of our own.")
        masked = FairleadError("Something went wrong on our side.")
        refuse(caller_side, dialect, masked.problem(), None)
