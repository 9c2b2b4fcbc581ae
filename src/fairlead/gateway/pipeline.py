"""Serving one inference call: who calls, what for, and that nothing of ours goes wrong in front of him.

    authenticate ─> read ─> decode ─> decide ─> hold ─┬─> attempt ──> relay ──> settle
                                                      └──── next ────┘
                                                        (until the first token; later, if it is wanted so)

Every step that decides is pure and lives elsewhere. What happens from the decision on is `call.py`'s story.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Final

from fairlead.core.errors import FairleadError, NotAuthenticated, Overloaded, PermissionDenied
from fairlead.dialects.base import Dialect
from fairlead.gateway.call import Call
from fairlead.gateway.caller_side import CallerSide
from fairlead.gateway.ports import Caller
from fairlead.gateway.presets import read_alone, read_with_preset
from fairlead.gateway.services import Services
from fairlead.gateway.telling import tell

__all__ = ["FindCaller", "authenticate", "serve_chat"]

_log = logging.getLogger(__name__)

FindCaller = Callable[[CallerSide, Services], Awaitable[Caller]]


async def serve_chat(
    caller_side: CallerSide,
    *,
    dialect: Dialect,
    services: Services,
    find_caller: FindCaller | None = None,
) -> None:
    """Serve one call completely. Only a shutdown's cancellation comes out of here.

    find_caller: None: by the key that is sent.
    """
    call: Call | None = None
    try:
        caller = await (find_caller or authenticate)(caller_side, services)
        services.generations.check()
        body = await caller_side.body(services.body_bytes_max)
        headers = caller_side.headers
        request = read_alone(dialect.decode, body, headers) or await read_with_preset(
            dialect.name, dialect.decode, body, headers, caller=caller, services=services
        )
        call = Call(caller_side, dialect, services, caller, request)
        await call.run()
    except FairleadError as error:
        if not caller_side.has_left:
            problem = error.problem() if call is None else call.problem_of(error)
            tell(caller_side, dialect, problem, call.id if call else None)
    except asyncio.CancelledError:
        # We are cancelled when the caller leaves; anybody else means it.
        if not caller_side.has_left:
            await _cut_short(caller_side, dialect, call, Overloaded(_STOPPING))
            raise
        # Still marked as cancelled, so that a shutdown does not interrupt the settling.
        if call is not None:
            try:
                await call.cancelled()
            except Exception:  # noqa: BLE001 — as below
                _log.exception("A call whose caller had left could not be settled.")
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
    except Exception:  # noqa: BLE001 — the outermost edge of a call: nothing may pass it
        _log.exception("A call failed for a reason of our own.")
        await _cut_short(caller_side, dialect, call, FairleadError(_MASKED))
    finally:
        if call is not None:
            call.release()


async def _cut_short(
    caller_side: CallerSide, dialect: Dialect, call: Call | None, error: FairleadError
) -> None:
    """End a call before its time. The caller is told, even if it cannot be recorded any more."""
    if call is not None:
        try:
            await call.cut_short(error)
        except Exception:  # noqa: BLE001 — as above
            _log.exception("A call that was cut short could not be settled.")
    tell(caller_side, dialect, error.problem(), call.id if call else None)


_STOPPING: Final = "The server is stopping. Please send the call again."
_MASKED: Final = "Something went wrong on our side. The call was not charged."


async def authenticate(caller_side: CallerSide, services: Services) -> Caller:
    """Who calls. Raises NotAuthenticated only when the store positively says no."""
    header = caller_side.headers.get(b"authorization")
    if header is not None and header[:7].lower() == b"bearer ":
        secret = header[7:].strip()
    else:
        secret = caller_side.headers.get(b"x-api-key", b"").strip()
    if not secret:
        raise NotAuthenticated(
            "No API key was sent. Put it in the header `Authorization: Bearer <key>`."
        )
    digest = sha256(secret).digest()
    found = services.keys.peek(digest)
    if found is None:
        found = await services.keys.find(digest)
    if not isinstance(found, Caller):
        raise NotAuthenticated(found.reason)
    if found.is_management:
        raise PermissionDenied("A management key cannot be used for inference. Use an API key.")
    return found
