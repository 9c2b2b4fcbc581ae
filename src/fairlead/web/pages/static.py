"""`/static/built/...`: what pages send to browsers. Read into memory once; packed by the build.

A name holds the hash of its content, so a browser may keep the file for ever. Without a bundle the pages can
still be read, unstyled; that is said once, in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fairlead.core.errors import NotFound
from fairlead.web.pages.headers import accepts

__all__ = ["BUILT", "Bundle", "read_bundle", "static_routes"]

BUILT: Final = Path(__file__).parents[1] / "static" / "built"
BUNDLE_BYTES_MAX: Final = 32 * 1024 * 1024
PREFIX: Final = "/static/built/"

_log = logging.getLogger(__name__)
_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".woff2": "font/woff2",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
}
_PACKED: Final = (("br", ".br"), ("gzip", ".gz"))  # the smaller first
_HEADERS: Final = {
    "cache-control": "public, max-age=31536000, immutable",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "vary": "accept-encoding",
}


@dataclass(frozen=True, slots=True)
class Bundle:
    """names: as pages call a file ("shell.js") to its hashed name. files: all, also the packed forms."""

    names: Mapping[str, str]
    files: Mapping[str, bytes]

    def address(self, name: str) -> str | None:
        """Where to load it; None: it is not there."""
        file = self.names.get(name)
        return None if file is None else PREFIX + file


@cache
def read_bundle(folder: Path = BUILT) -> Bundle:
    """Empty if nothing was built."""
    manifest = folder / "manifest.json"
    try:
        names = msgspec.json.decode(manifest.read_bytes(), type=dict[str, str])
    except FileNotFoundError:
        _log.warning(
            "scripts and styles of the pages are missing, pages are unstyled: run `make web` once, or install a"
            " package made by `make wheel`",
            extra={"missing": str(manifest)},
        )
        return Bundle({}, {})
    files = {one.name: one.read_bytes() for one in sorted(folder.iterdir()) if one != manifest}
    assert sum(map(len, files.values())) <= BUNDLE_BYTES_MAX
    return Bundle(names, files)


def static_routes(bundle: Bundle) -> list[Route]:
    async def serve(request: Request) -> Response:
        name = request.path_params["name"]
        media_type = _TYPES.get(Path(name).suffix)
        body = bundle.files.get(name)
        if media_type is None or body is None:
            raise NotFound("There is no such file. If it was here before, reload the page.")
        headers = dict(_HEADERS)
        for coding, suffix in _PACKED:
            if name + suffix in bundle.files and accepts(request, coding):
                body = bundle.files[name + suffix]
                headers["content-encoding"] = coding
                break
        return Response(body, headers=headers, media_type=media_type)

    async def nothing(_request: Request) -> Response:
        """Browsers ask for it unasked; the real one is in the head of every page."""
        return Response(status_code=204, headers={"cache-control": "public, max-age=86400"})

    return [Route(PREFIX + "{name}", serve), Route("/favicon.ico", nothing)]
