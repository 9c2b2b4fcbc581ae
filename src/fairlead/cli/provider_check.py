"""Checks of many providers, some at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from fairlead.cli.catalogue import look, upstream_client
from fairlead.compose.provider_check import Checked, check_provider
from fairlead.core.ids import ProviderSlug
from fairlead.settings import Settings

__all__ = ["Checked", "check_providers"]

AT_ONCE_MAX: Final = 8


async def check_providers(
    settings: Settings, wanted: Sequence[ProviderSlug], report: Callable[[Checked], None]
) -> None:
    """Check all of `wanted`, some at a time; each is reported when it is known."""
    upstream = upstream_client(settings)
    try:
        offer = await look(settings, upstream)
        places = asyncio.Semaphore(AT_ONCE_MAX)

        async def one(slug: ProviderSlug) -> None:
            async with places:
                report(await check_provider(slug, offer, upstream))

        async with asyncio.TaskGroup() as tasks:
            for slug in wanted:
                tasks.create_task(one(slug))
    finally:
        await upstream.aclose()
