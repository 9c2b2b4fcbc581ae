"""The listening socket, bound before anything else happens, so that a taken port is found at once."""

from __future__ import annotations

import errno
import socket
from typing import Final

from fairlead.cli.errors import Stop

__all__ = ["listen"]

BACKLOG: Final = 2048  # connections that wait for a busy loop; the kernel caps it at somaxconn


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises Stop."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise Stop(
            f"cannot listen on {host}: {error.strerror}; set server.host or --host to an address of"
            " this machine"
        ) from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # "::" serves IPv4 callers too, whatever the system's default is.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise Stop(_why_not(error, host, port)) from error
    listener.setblocking(False)  # noqa: FBT003 - socket's own signature
    return listener


def _why_not(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"port {port} on {host} is taken by another program; stop it, or choose another with"
                " --port (0 takes a free one)"
            )
        case errno.EACCES:
            return (
                f"may not listen on port {port}: ports below 1024 need privileges; choose another"
                " with --port"
            )
        case _:
            return f"cannot listen on {host} port {port}: {error.strerror}; set --host or --port"
