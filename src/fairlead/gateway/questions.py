"""Questions that we answer ourselves: nothing is sent to a provider, nothing is charged or recorded."""

from __future__ import annotations

import logging
from collections.abc import Callable

from fairlead.core.chat import ChatRequest
from fairlead.core.errors import FairleadError
from fairlead.gateway.caller_side import CallerSide
from fairlead.gateway.pipeline import authenticate
from fairlead.gateway.ports import Caller
from fairlead.gateway.presets import Decode, read_alone, read_with_preset
from fairlead.gateway.services import Services
from fairlead.gateway.telling import WHOLE_HEAD, Refusing, refuse

__all__ = ["serve_question"]

_log = logging.getLogger(__name__)


async def serve_question(
    caller_side: CallerSide,
    *,
    dialect: Refusing,
    services: Services,
    read: Decode,
    name: str,
    answer: Callable[[Caller, ChatRequest], bytes],
) -> None:
    """Serve one question.

    read: the body in the words of the dialect of that name. answer: from who asks, and what, to the body; may
    raise FairleadError.
    """
    try:
        caller = await authenticate(caller_side, services)
        if services.belongings is not None and services.belongings.peek(caller) is None:
            await services.belongings.find(caller)
        body = await caller_side.body(services.body_bytes_max)
        headers = caller_side.headers
        request = read_alone(read, body, headers) or await read_with_preset(
            name, read, body, headers, caller=caller, services=services
        )
        caller_side.answer(200, WHOLE_HEAD, answer(caller, request))
    except FairleadError as error:
        if not caller_side.has_left:
            refuse(caller_side, dialect, error.problem(), None)
    except Exception:  # noqa: BLE001 — the outermost edge of a call: nothing may pass it
        _log.exception("A question could not be answered for a reason of our own.")
        masked = FairleadError("Something went wrong on our side.")
        refuse(caller_side, dialect, masked.problem(), None)
