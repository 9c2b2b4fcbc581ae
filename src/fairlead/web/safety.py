"""What holds for every answer of the web edge, whichever route makes it, so that none can forget it.

A browser takes it for what it says it is, runs nothing in it and shows it in no frame; pages say themselves
what more they may load (`pages/headers.py`). And no handler is asked for what no database can keep.
"""

from __future__ import annotations

from typing import Final

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send

__all__ = ["SafeApplication"]

_NOTHING: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_REPLACEMENT: Final = "\ufffd"  # as for bytes that are no text, see gateway.caller_side


class SafeApplication(Starlette):
    """Around all of it: what the outermost handlers say of a crash leaves through here, too."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        if "\0" in scope["path"]:
            scope["path"] = scope["path"].replace("\0", _REPLACEMENT)

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("x-content-type-options", "nosniff")
                headers.setdefault("content-security-policy", _NOTHING)
            await send(message)

        await super().__call__(scope, receive, send_safely)
