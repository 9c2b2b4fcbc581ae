"""One body for two clients: the synchronous and the asynchronous one differ in `await` alone."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from typing import Any


async def told(result: Any) -> Any:
    """The value, or what is awaited for it."""
    return await result if inspect.isawaitable(result) else result


async def each(stream: Any) -> AsyncIterator[Any]:
    """The items of either kind of stream."""
    if hasattr(stream, "__aiter__"):
        async for item in stream:
            yield item
    else:
        for item in stream:
            yield item


async def every(stream: Any) -> list[Any]:
    return [item async for item in each(stream)]
