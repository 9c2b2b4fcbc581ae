"""What the management API works with, on a control plane."""

from __future__ import annotations

import os

from fairlead.compose.control_plane import ControlPlane
from fairlead.compose.system import SystemClock
from fairlead.control.apps.service import Apps
from fairlead.control.audit.service import Audit
from fairlead.control.feedback.service import Feedback
from fairlead.control.keys.service import Keys, LiveKeys
from fairlead.control.people.service import People
from fairlead.control.usage.service import Usage
from fairlead.control.workspaces.service import Workspaces
from fairlead.web.management import Management

__all__ = ["build_management"]


def build_management(control: ControlPlane, *, clock: SystemClock, usage: Usage) -> Management:
    """usage: what was added up."""
    database, now_ms, entropy = control.database, clock.now_ms, os.urandom
    audit = Audit(database, now_ms=now_ms, entropy=entropy)
    keys = Keys(database, now_ms=now_ms, entropy=entropy, audit=audit, limits=control.budgets)
    workspaces = Workspaces(
        database, audit, keys=LiveKeys(), limits=control.budgets, now_ms=now_ms, entropy=entropy
    )
    return Management(
        in_thread=control.threads.run,
        accounts=control.accounts,
        keys=keys,
        usages=usage,
        standings=control.budgets,
        workspaces=workspaces,
        people=People(database),
        credits=control.ledger,
        apps=Apps(
            database,
            keys=keys,
            workspaces=workspaces,
            audit=audit,
            now_ms=now_ms,
            entropy=entropy,
        ),
        feedback=Feedback(database, now_ms=now_ms, entropy=entropy),
    )
