"""`GET /generation/{id}/routing`: why a call went where it went."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from starlette.responses import Response

from fairlead.core.catalog import Snapshot
from fairlead.core.errors import NotFound
from fairlead.core.explanation import document
from fairlead.core.generation import Generation
from fairlead.core.ids import GenerationId
from fairlead.core.routing.decision import Decision
from fairlead.web.answers import answer
from fairlead.web.api.generations import ID_CHARACTERS_MAX, generation_of
from fairlead.web.operations import Asked, Operation, Who
from fairlead.web.services import WebServices

__all__ = ["routing_object", "routing_operations", "snapshot_of"]

_MS_PER_S: Final = 1000


def routing_operations(services: WebServices) -> list[Operation]:
    async def routing(asked: Asked) -> Response:
        wanted = GenerationId(asked.segment("id"))
        if len(wanted) > ID_CHARACTERS_MAX:
            raise NotFound("This account has no such generation.")
        found = await generation_of(asked.requester.account, wanted, services.generations)
        decision = found.decision
        if decision is None:
            raise NotFound(f"How {wanted} was routed was not kept: an earlier version served it.")
        snapshot = await snapshot_of(found, services)
        return answer({"data": routing_object(found, decision, snapshot)})

    return [Operation("GET", "/generation/{id}/routing", routing, Who.ACCOUNT)]


def routing_object(
    generation: Generation, decision: Decision, snapshot: Snapshot | None
) -> dict[str, object]:
    """The decision explained. snapshot: that of the decision, None where it is not kept. Pure."""
    of_endpoint = [one for one in generation.attempts if one.endpoint == generation.endpoint]
    return {
        "generation_id": generation.id,
        "created_at": datetime.fromtimestamp(generation.created_s, UTC).isoformat(),
        "outcome": generation.outcome.value,
        "router": generation.router,
        **document(
            decision,
            snapshot,
            requested=generation.requested_model,
            catalog_version=generation.catalog_version,
            attempts=generation.attempts,
            selected=of_endpoint[-1] if of_endpoint else None,
            splices=generation.splices,
        ),
    }


async def snapshot_of(generation: Generation, services: WebServices) -> Snapshot | None:
    """The catalogue that it was routed with; None: it is not kept. Raises Overloaded if we cannot tell."""
    version = generation.catalog_version
    at_ms = round(generation.created_s * _MS_PER_S)
    kept = None
    if services.catalogues is not None:
        kept = await services.catalogues.found(version, at_ms=at_ms)
    if kept is None and services.catalog.snapshot.version == version:
        return services.catalog.snapshot
    return kept
