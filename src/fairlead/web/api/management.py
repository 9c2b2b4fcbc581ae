"""Every operation by which accounts are managed, in one list."""

from __future__ import annotations

from fairlead.web.api.account import account_operations
from fairlead.web.api.current_key import current_key_operations
from fairlead.web.api.feedback import feedback_operations
from fairlead.web.api.keys import key_operations
from fairlead.web.api.oauth import oauth_operations
from fairlead.web.api.presets import preset_operations
from fairlead.web.api.workspaces import workspace_operations
from fairlead.web.operations import Operation
from fairlead.web.services import WebServices

__all__ = ["management_operations"]


def management_operations(services: WebServices) -> list[Operation]:
    management = services.management
    if management is None:
        return []
    return [
        *current_key_operations(services.keys, management),
        *key_operations(management),
        *oauth_operations(management),
        *account_operations(management),
        *workspace_operations(management),
        *preset_operations(management),
        *feedback_operations(services.generations, management),
    ]
