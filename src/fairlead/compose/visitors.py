"""Calls from our own pages: sessions of the web edge, as the data plane asks for them."""

from __future__ import annotations

import os

from fairlead.compose.control_plane import ControlPlane
from fairlead.compose.system import SystemClock
from fairlead.control.keys.chat import ChatKeys
from fairlead.web.asking import Desk
from fairlead.web.auth.services import AuthServices
from fairlead.web.visitors import SignedInVisitors

__all__ = ["build_visitors"]


def build_visitors(
    control: ControlPlane, auth: AuthServices, *, clock: SystemClock
) -> SignedInVisitors:
    keys = ChatKeys(
        control.database,
        control.workspaces,
        now_ms=clock.now_ms,
        entropy=os.urandom,
        audit=control.audit,
    )
    return SignedInVisitors(
        auth.sessions, auth.doorway, Desk(keys, in_thread=control.threads.run), control.directory
    )
