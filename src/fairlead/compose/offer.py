"""What can be called: a catalogue, and which of its providers open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fairlead.core.catalog import Endpoint, EndpointStatus, Model, Snapshot
from fairlead.core.ids import ProviderSlug
from fairlead.gateway.keyring import Opened
from fairlead.providers.base import Credential

__all__ = ["Offer"]


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
