"""The first page: what this is and where its API is."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

__all__ = ["home_routes"]

_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
}

_PAGE: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Fairlead</title>
<style>
  body { font: 1rem/1.6 system-ui, sans-serif; max-width: 38rem; margin: 4rem auto; padding: 0 1rem; }
  code { background: color-mix(in srgb, currentColor 8%, transparent); padding: .1em .3em; }
  :root { color-scheme: light dark; }
</style>
<h1>Fairlead</h1>
<p>One API in front of every large language model. It runs here.</p>
<p>Point any OpenAI client at <code>/api/v1</code> on this address, with a key from
<code>fairlead keys create</code>.</p>
<ul>
  <li><a href="/api/v1/models">Models and prices</a> (<code>GET /api/v1/models</code>)</li>
  <li><a href="/api/v1/providers">Providers</a></li>
  <li><a href="/readyz">Is it ready?</a></li>
</ul>
<p>The documentation comes with the program, in its <code>docs</code> folder.</p>
</html>
"""


def home_routes() -> list[Route]:
    async def home(_request: Request) -> Response:
        return HTMLResponse(_PAGE, headers=_HEADERS)

    return [Route("/", home)]
