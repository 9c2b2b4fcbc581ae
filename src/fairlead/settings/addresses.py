"""Where a server is reached, as links and messages say it. None ends in a slash."""

from __future__ import annotations

from fairlead.settings.types import Server

__all__ = ["local_address", "outside_address"]


def local_address(host: str, port: int) -> str:
    """Where a program on this machine reaches who listens there."""
    if host in ("", "0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def outside_address(server: Server, port: int | None = None) -> str:
    """Where people reach us: as the operator says, else from this machine. port: the one that was taken; None:
    as the settings have it."""
    if server.public_url is not None:
        return server.public_url.rstrip("/")
    return local_address(server.host, server.port if port is None else port)
