"""What the management API works with, on a control plane."""

from __future__ import annotations

import os

from fairlead.compose.control_plane import ControlPlane
from fairlead.compose.system import SystemClock
from fairlead.control.apps.service import Apps
from fairlead.control.feedback.service import Feedback
from fairlead.control.people.service import People
from fairlead.control.presets.service import Presets
from fairlead.web.management import Management

__all__ = ["build_management"]


def build_management(control: ControlPlane, *, clock: SystemClock) -> Management:
    database, now_ms, entropy = control.database, clock.now_ms, os.urandom
    return Management(
        in_thread=control.threads.run,
        accounts=control.accounts,
        keys=control.keys,
        usages=control.usage,
        standings=control.budgets,
        workspaces=control.workspaces,
        people=People(database),
        credits=control.ledger,
        apps=Apps(
            database,
            keys=control.keys,
            workspaces=control.workspaces,
            audit=control.audit,
            now_ms=now_ms,
            entropy=entropy,
        ),
        feedback=Feedback(database, now_ms=now_ms, entropy=entropy),
        presets=Presets(database, control.audit, now_ms=now_ms, entropy=entropy),
    )
