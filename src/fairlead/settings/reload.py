"""Whether the settings changed under a running server, and what it can take over without a restart."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fairlead.settings.loading import CONFIG_BYTES_MAX
from fairlead.settings.types import Settings

__all__ = ["Fingerprint", "fingerprint", "needs_restart"]

# What a running server takes over; all else is read at start. `sources` only says where values are from.
_SWAPPED_WHILE_RUNNING: Final = frozenset({"providers", "models", "sources"})


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What the settings were read from. Equal fingerprints: nothing to reload.

    written_ns, size: of the file, as the file system says; content, environment: SHA-256 digests.
    """

    written_ns: int
    size: int
    content: bytes
    environment: bytes

    def same_source(self, other: Fingerprint) -> bool:
        return (self.content, self.environment) == (other.content, other.environment)


def fingerprint(
    path: Path, environ: Mapping[str, str], previous: Fingerprint | None = None
) -> Fingerprint:
    """The state of the sources now. An untouched file (same time, same size as in `previous`) is not
    read again, so this is cheap enough to ask every second. An absent or unreadable file is empty."""
    try:
        status = path.stat()
        written_ns, size = status.st_mtime_ns, status.st_size
        if previous is not None and (previous.written_ns, previous.size) == (written_ns, size):
            content = previous.content
        else:
            with path.open("rb") as file:
                content = hashlib.sha256(file.read(CONFIG_BYTES_MAX + 1)).digest()
    except OSError:
        written_ns, size, content = 0, 0, hashlib.sha256(b"").digest()
    pairs = "\0".join(f"{name}={value}" for name, value in sorted(environ.items()))
    environment = hashlib.sha256(pairs.encode("utf-8", "surrogateescape")).digest()
    return Fingerprint(written_ns=written_ns, size=size, content=content, environment=environment)


def needs_restart(running: Settings, wanted: Settings) -> tuple[str, ...]:
    """Sections that differ and are read only at start; providers and models are swapped live."""
    return tuple(
        section
        for section in Settings.__struct_fields__
        if section not in _SWAPPED_WHILE_RUNNING
        and getattr(running, section) != getattr(wanted, section)
    )
