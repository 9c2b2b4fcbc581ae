"""Answers made ready once for each snapshot, not once for each request.

All models together are 1.5 MB of JSON. The process that answers `/models` also relays streams, so the
list is made in a worker thread the first time it is asked for, and after that a request costs a copy.
A shelf belongs to one snapshot; when the catalogue changes, the next request makes a new one.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from fairlead.core.catalog import Model, Snapshot
from fairlead.core.ids import ModelId
from fairlead.web.api.model_listing import listed, shown
from fairlead.web.api.model_shapes import zero_retention_endpoints
from fairlead.web.services import CatalogFeed

__all__ = ["Document", "Shelf", "Shelves", "send"]

GZIP_LEVEL = 6
GZIP_FROM_BYTES = 1024  # below this the header costs more than is saved


@dataclass(frozen=True, slots=True)
class Document:
    """One JSON answer. etag: weak, because the gzipped form has it too."""

    body: bytes
    zipped: bytes | None
    etag: str


@dataclass(frozen=True, slots=True)
class Shelf:
    """models: all that are listed, in the default order. encoded: each one's JSON."""

    snapshot: Snapshot
    models: tuple[Model, ...]
    encoded: dict[ModelId, bytes]
    everything: Document
    zero_retention: Document

    def list_of(self, models: Iterable[Model], *, total: int, next_url: str | None) -> bytes:
        """The models list's JSON. total: how many there are on all pages."""
        return _list_json([self.encoded[model.id] for model in models], total, next_url)


class Shelves:
    """The shelf of the snapshot in force. While one is being made, others wait for it."""

    def __init__(self, catalog: CatalogFeed) -> None:
        self._catalog = catalog
        self._shelf: Shelf | None = None
        self._making = asyncio.Lock()

    async def current(self) -> Shelf:
        snapshot = self._catalog.snapshot
        if self._shelf is None or self._shelf.snapshot is not snapshot:
            async with self._making:
                snapshot = self._catalog.snapshot
                if self._shelf is None or self._shelf.snapshot is not snapshot:
                    self._shelf = await run_in_threadpool(_make, snapshot)
        return self._shelf


def _make(snapshot: Snapshot) -> Shelf:
    models = tuple(listed(snapshot))
    encoded = {model.id: msgspec.json.encode(shown(model, snapshot)) for model in models}
    plain = [encoded[model.id] for model in models if "text" in model.output_modalities]
    return Shelf(
        snapshot=snapshot,
        models=models,
        encoded=encoded,
        everything=document(_list_json(plain, len(plain), None)),
        zero_retention=document(msgspec.json.encode({"data": zero_retention_endpoints(snapshot)})),
    )


def _list_json(encoded: list[bytes], total: int, next_url: str | None) -> bytes:
    links = msgspec.json.encode({"next": next_url})
    return b'{"object":"list","data":[%b],"total_count":%d,"links":%b}' % (
        b",".join(encoded),
        total,
        links,
    )


def document(body: bytes) -> Document:
    """Ready to send. Costs some 30 ms for a megabyte: not for the event loop."""
    zipped = gzip.compress(body, GZIP_LEVEL, mtime=0) if len(body) >= GZIP_FROM_BYTES else None
    return Document(body, zipped, f'W/"{blake2b(body, digest_size=12).hexdigest()}"')


def send(request: Request, ready: Document) -> Response:
    """The document, gzipped where that is accepted; 304 where the caller has it already."""
    headers = {"etag": ready.etag, "vary": "accept-encoding", "cache-control": "no-cache"}
    seen = {tag.strip() for tag in request.headers.get("if-none-match", "").split(",")}
    if ready.etag in seen or "*" in seen:
        return Response(status_code=304, headers=headers)
    if ready.zipped is not None and _accepts_gzip(request.headers.get("accept-encoding", "")):
        headers["content-encoding"] = "gzip"
        return Response(ready.zipped, media_type="application/json", headers=headers)
    return Response(ready.body, media_type="application/json", headers=headers)


def _accepts_gzip(header: str) -> bool:
    for offer in header.lower().split(","):
        coding, _, weight = offer.partition(";")
        if coding.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
