"""How a running gateway reaches providers: its HTTP clients, and what opens each provider."""

from __future__ import annotations

import logging
from pathlib import Path

from fairlead.compose.system import SystemClock
from fairlead.control.catalog.service import Catalog
from fairlead.gateway.keyring import Opened, open_providers
from fairlead.gateway.upstream import Limits, UpstreamClient
from fairlead.gateway.upstream_native import NativeUpstreamClient
from fairlead.gateway.upstream_schemes import UpstreamsByScheme
from fairlead.providers.registry import PROVIDERS
from fairlead.settings import Settings, revealed

__all__ = ["build_upstream", "opened_providers"]

_log = logging.getLogger(__name__)


def build_upstream(settings: Settings, clock: SystemClock) -> UpstreamClient:
    """The client for every scheme that a provider's address may have."""
    limits = Limits(connect_s=settings.timeouts.connect_s)
    proxy = revealed(settings.upstream.proxy)
    ca_file = None if settings.upstream.ca_file is None else Path(settings.upstream.ca_file)
    http: UpstreamClient
    if settings.upstream.client == "aiohttp":
        # Imported only where it is used: it costs some 10 MB.
        from fairlead.gateway.upstream_aiohttp import AiohttpUpstreamClient

        http = AiohttpUpstreamClient(limits, ca_file=ca_file, proxy=proxy)
    else:
        http = NativeUpstreamClient(limits, ca_file=ca_file, proxy=proxy)

    def sandbox() -> UpstreamClient:
        # Imported only where it is used: it costs some 1 MB.
        from fairlead.sandbox.exchange import SandboxClient

        return SandboxClient(now_s=clock.now_s)

    return UpstreamsByScheme({"http": http, "https": http}, seldom={"sandbox": sandbox})


def opened_providers(settings: Settings, catalog: Catalog) -> Opened:
    """What opens the configured providers. A file that is no use is said; the others work without it."""
    opened = open_providers(catalog.snapshot.providers, settings.providers, spoken=PROVIDERS)
    for slug in opened.unreadable:
        _log.error("%s cannot be used: %s.", slug, opened.lacking[slug].remedy)
    return opened
