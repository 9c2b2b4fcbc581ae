"""Kept prompts and answers as the web edge asks for them."""

from __future__ import annotations

from functools import partial

from fairlead.control.contents.service import Contents
from fairlead.core.caller import Caller as KnownCaller
from fairlead.core.content import Content
from fairlead.core.ids import GenerationId
from fairlead.web.account_desk import InThread
from fairlead.web.services import Caller

__all__ = ["ContentDesk"]


class ContentDesk:
    """`web.services.Contents` over the contents."""

    def __init__(self, contents: Contents, *, in_thread: InThread) -> None:
        self._contents = contents
        self._in_thread = in_thread

    async def find(self, caller: Caller, generation: GenerationId) -> Content | None:
        assert isinstance(caller, KnownCaller)
        return await self._in_thread(partial(self._contents.find, caller), generation)
