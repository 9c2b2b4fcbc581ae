"""Every operation that reads usage, in one list."""

from __future__ import annotations

from fairlead.web.api.activity import activity_operations
from fairlead.web.api.analytics import analytics_operations
from fairlead.web.operations import Operation
from fairlead.web.services import WebServices

__all__ = ["usage_operations"]


def usage_operations(services: WebServices) -> list[Operation]:
    desk = services.usage
    if desk is None:
        return []
    return [
        *activity_operations(desk, services.catalog, services.clock),
        *analytics_operations(desk, services.catalog, services.clock),
    ]
