"""The catalogues that were in force, kept so that a routing decision can be made again and explained.

A decision names the version it was made with. Kept is what routing needs of that version: models without their
descriptions, endpoints, providers. With today's data that is 2.2 MB, 160 KB compressed, and 40 ms of a thread
whenever a version comes into force that nobody has kept.

A version's name stands for the data it was made from. A newer program may make other endpoints of the same
data, so one name can have several contents; a decision was made with the newest of its time.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Final

import msgspec

from fairlead.control.catalog import queries
from fairlead.core.catalog import Model, ProviderInfo, Snapshot
from fairlead.core.errors import Overloaded
from fairlead.store.database import Database, DatabaseUnreadable

__all__ = [
    "VERSIONS_MAX",
    "CatalogVersions",
    "VersionUnreadable",
    "digest_at",
    "packed",
    "unpacked",
]

VERSIONS_MAX: Final = 100  # some 16 MB; beyond it, what was out of force for longest is dropped
CONTENT_BYTES_MAX: Final = 256 << 20  # uncompressed; a hundred times today's
AT_HAND_MAX: Final = 2  # that were read last; some 4 MB each

_LOG: Final = logging.getLogger(__name__)
_COMPRESSION_LEVEL: Final = 6  # of zlib; 9 saves 2 % for half as much time again


class VersionUnreadable(ValueError):
    """What is kept cannot be read: by a newer program, or damaged."""


class _Kept(msgspec.Struct, frozen=True):
    """A snapshot's content. By name: models get new fields in the middle."""

    version: str
    as_of: str
    models: tuple[Model, ...]
    providers: tuple[ProviderInfo, ...]


_ENCODER: Final = msgspec.msgpack.Encoder(order="deterministic")  # sets come in any order otherwise
_DECODER: Final = msgspec.msgpack.Decoder(_Kept)


class CatalogVersions:
    """Methods without `async` block. All but `found` raise DatabaseUnreadable.

    versions = CatalogVersions(database, now_ms=clock.now_ms)
    await versions.record(snapshot)                     # before it comes into force
    await versions.found(version, at_ms=created_ms)     # None: not kept, or not any more
    """

    def __init__(
        self,
        database: Database,
        *,
        now_ms: Callable[[], int],
        versions_max: int = VERSIONS_MAX,
    ) -> None:
        self._database = database
        self._now_ms = now_ms
        self._versions_max = versions_max
        self._at_hand: dict[str, Snapshot] = {}  # by digest; the one that was wanted last is last

    async def record(self, snapshot: Snapshot) -> None:
        """As `keep`, off the event loop."""
        await self._database.run(self.keep, snapshot)

    async def found(self, version: str, *, at_ms: int) -> Snapshot | None:
        """As `find`, off the event loop; None as well for what cannot be read.

        Raises Overloaded if we cannot tell.
        """
        try:
            return await self._database.run(self.find, version, at_ms)
        except DatabaseUnreadable as error:
            raise Overloaded("Catalogues cannot be looked up at the moment.") from error
        except VersionUnreadable as error:
            _LOG.error("%s", error)
            return None

    def keep(self, snapshot: Snapshot) -> None:
        """Note that this is in force from now on. Several processes may say so of one version."""
        plain = packed(snapshot)
        digest = blake2b(plain, digest_size=16).hexdigest()
        with self._database.read() as connection:
            is_new = not queries.has_version(connection, snapshot.version, digest)
        content = zlib.compress(plain, _COMPRESSION_LEVEL) if is_new else None
        now_ms = self._now_ms()
        with self._database.begin() as connection:
            if content is not None:
                queries.insert_version(
                    self._database,
                    connection,
                    version=snapshot.version,
                    digest=digest,
                    content=content,
                    now_ms=now_ms,
                )
            queries.note_in_force(connection, snapshot.version, digest, now_ms=now_ms)
            queries.drop_versions(connection, keep_count=self._versions_max)

    def find(self, version: str, at_ms: int) -> Snapshot | None:
        """What this version held at that time. Raises VersionUnreadable."""
        digest = digest_at(self.contents(version), at_ms)
        return None if digest is None else self.content(version, digest)

    def contents(self, version: str) -> list[tuple[int, str]]:
        """When each content of a version was seen first, and its digest; the oldest first."""
        with self._database.read() as connection:
            return queries.contents_of(connection, version)

    def content(self, version: str, digest: str) -> Snapshot | None:
        """Raises VersionUnreadable."""
        at_hand = self._at_hand.get(digest)
        if at_hand is not None:
            self._have_at_hand(digest, at_hand)
            return at_hand
        with self._database.read() as connection:
            content = queries.version_content(connection, version, digest)
        if content is None:
            return None
        unpacking = zlib.decompressobj()
        try:
            plain = unpacking.decompress(content, CONTENT_BYTES_MAX)
        except zlib.error as error:
            raise VersionUnreadable(f"catalogue {version}: {error}") from error
        snapshot = unpacked(plain)
        self._have_at_hand(digest, snapshot)
        return snapshot

    def _have_at_hand(self, digest: str, snapshot: Snapshot) -> None:
        """Unpacking takes 30 ms, and whoever looks at calls looks at several of one time."""
        others = [(one, kept) for one, kept in self._at_hand.items() if one != digest]
        self._at_hand = dict([*others[1 - AT_HAND_MAX :], (digest, snapshot)])


def digest_at(contents: Sequence[tuple[int, str]], at_ms: int) -> str | None:
    """Which content of a version held at that time: the newest that was seen by then. Pure.

    Where none was, as with clocks that differ, the oldest. contents: as `CatalogVersions.contents` has them.
    """
    by_then = [digest for first_seen_ms, digest in contents if first_seen_ms <= at_ms]
    if by_then:
        return by_then[-1]
    return contents[0][1] if contents else None


def packed(snapshot: Snapshot) -> bytes:
    """What routing needs of a snapshot; equal content gives equal bytes. Pure."""
    return _ENCODER.encode(
        _Kept(
            version=snapshot.version,
            as_of=snapshot.as_of,
            models=tuple(
                msgspec.structs.replace(model, description="") for model in snapshot.models.values()
            ),
            providers=tuple(snapshot.providers.values()),
        )
    )


def unpacked(plain: bytes) -> Snapshot:
    """The snapshot again, without descriptions, and with names that are ids alone. Pure.

    Raises VersionUnreadable.
    """
    try:
        kept = _DECODER.decode(plain)
    except msgspec.MsgspecError as error:
        raise VersionUnreadable(f"a kept catalogue cannot be read: {error}") from error
    return Snapshot(
        version=kept.version,
        as_of=kept.as_of,
        models={model.id: model for model in kept.models},
        providers={info.slug: info for info in kept.providers},
        names={model.id: model.id for model in kept.models},
    )
