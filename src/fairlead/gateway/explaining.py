"""`POST /routing/explain`: a chat body in, the decision it would get out. Nothing is sent, nothing is charged.

It is decided as a call would be at this moment: with the caller's account, the endpoints' health and the
conversation's warm cache. Only the draw is another one.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fairlead.core.chat import ChatRequest
from fairlead.core.explanation import document
from fairlead.dialects.base import Dialect
from fairlead.gateway.caller_side import CallerSide
from fairlead.gateway.deciding import Deciding
from fairlead.gateway.ports import Caller
from fairlead.gateway.questions import serve_question
from fairlead.gateway.services import Services

__all__ = ["serve_explanation"]

_encode: Final = msgspec.json.Encoder().encode


async def serve_explanation(
    caller_side: CallerSide, *, dialect: Dialect, services: Services
) -> None:
    """Serve one question."""

    def explained(caller: Caller, request: ChatRequest) -> bytes:
        found = Deciding(
            request, caller, caller_side, capability=dialect.capability, services=services
        ).pondered()
        told = document(
            found.decision,
            found.snapshot,
            requested=request.first_model,
            catalog_version=found.snapshot.version,
        )
        return _encode({"data": told})

    await serve_question(
        caller_side,
        dialect=dialect,
        services=services,
        read=dialect.decode,
        name=dialect.name,
        answer=explained,
    )
