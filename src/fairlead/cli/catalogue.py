"""What a server started now would offer: the catalogue with the configuration's models and those of
running engines, and which providers open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fairlead.cli.errors import Stop
from fairlead.compose.system import SystemClock
from fairlead.compose.upstream import build_upstream
from fairlead.control.catalog.files import load_seed
from fairlead.control.catalog.service import Catalog
from fairlead.core.catalog import Endpoint, EndpointStatus, Model, Snapshot
from fairlead.core.catalog_overlay import ConfigurationInvalid
from fairlead.core.ids import ProviderSlug
from fairlead.gateway.credentials import CredentialBook
from fairlead.gateway.engines import EngineLists
from fairlead.gateway.keyring import Opened, open_providers
from fairlead.gateway.upstream import UpstreamClient
from fairlead.providers.base import Credential
from fairlead.providers.registry import PROVIDERS
from fairlead.settings import Settings

__all__ = ["Offer", "look", "upstream_client"]


@dataclass(frozen=True, slots=True)
class Offer:
    snapshot: Snapshot
    opened: Opened

    @property
    def credentials(self) -> Mapping[ProviderSlug, Credential]:
        return self.opened.credentials

    def routable(self, model: Model) -> tuple[Endpoint, ...]:
        """The model's endpoints that a call may use today, cheapest first."""
        return tuple(
            endpoint
            for endpoint in model.usual_endpoints
            if endpoint.status is not EndpointStatus.UNPRICED
            and endpoint.provider in self.credentials
        )


def upstream_client(settings: Settings) -> UpstreamClient:
    return build_upstream(settings, SystemClock())


async def look(settings: Settings, upstream: UpstreamClient) -> Offer:
    """Read everything and ask the engines. Raises Stop for a wrong [[models]] table."""
    catalog = Catalog(load_seed())
    try:
        await catalog.configure(settings.models)
    except ConfigurationInvalid as error:
        raise Stop(str(error)) from error
    opened = open_providers(catalog.snapshot.providers, settings.providers, spoken=PROVIDERS)
    await catalog.discover(EngineLists(upstream, CredentialBook(opened.credentials)))
    return Offer(catalog.snapshot, opened)
