"""What a server started now would offer: the catalogue with the configuration's models, those of running
engines and what the operator changed, and which providers open."""

from __future__ import annotations

from fairlead.cli.errors import Stop
from fairlead.compose.offer import Offer
from fairlead.compose.system import SystemClock
from fairlead.compose.upstream import build_upstream
from fairlead.control.catalog.files import load_seed
from fairlead.control.catalog.service import Catalog
from fairlead.core.catalog_amendments import NO_AMENDMENTS, Amendments
from fairlead.core.catalog_overlay import ConfigurationInvalid
from fairlead.gateway.credentials import CredentialBook
from fairlead.gateway.engines import EngineLists
from fairlead.gateway.keyring import open_providers
from fairlead.gateway.upstream import UpstreamClient
from fairlead.providers.registry import PROVIDERS
from fairlead.settings import Settings

__all__ = ["Offer", "look", "upstream_client"]


def upstream_client(settings: Settings) -> UpstreamClient:
    return build_upstream(settings, SystemClock())


async def look(
    settings: Settings, upstream: UpstreamClient, amendments: Amendments = NO_AMENDMENTS
) -> Offer:
    """Read everything and ask the engines. amendments: the operator's; none where a question is not about what
    callers are offered. Raises Stop for a wrong [[models]] table."""
    catalog = Catalog(load_seed())
    try:
        await catalog.configure(settings.models)
    except ConfigurationInvalid as error:
        raise Stop(str(error)) from error
    opened = open_providers(catalog.snapshot.providers, settings.providers, spoken=PROVIDERS)
    await catalog.discover(EngineLists(upstream, CredentialBook(opened.credentials)))
    await catalog.amend(amendments)
    return Offer(catalog.snapshot, opened)
