"""What every answer says to browsers, whoever makes it: what it is, what it may load, who may keep it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from fairlead.control.people.oidc_rules import OidcFailed
from fairlead.web.auth.entering import entering_routes
from fairlead.web.safety import SafeApplication
from tests.web.pages.visits import HTML
from tests.web.security.house import House, check

# The same for whoever asks.
SHARED = frozenset(
    {
        "/models/feed.xml", "/status/feed.xml", "/chat/models.json", "/docs/images/{name}",
        "/static/built/{name}", "/favicon.ico", "/metrics", "/openapi.json", "/openapi.yaml",
    }
)  # fmt: skip

Answers = list[tuple[str, httpx.Response]]


@pytest.fixture(scope="module")
def of_nobody(house: House) -> Answers:
    """By the template of the path."""
    return [(one, house.send("GET", house.place(one), headers=HTML)) for one in house.routes("GET")]


@pytest.fixture(scope="module")
def of_somebody(house: House) -> Answers:
    """Who sees most of it."""
    return [
        (one, house.viewer(one).get(house.place(one), **{"accept-encoding": "gzip, br"}))
        for one in house.routes("GET")
    ]


def test_every_answer_is_what_it_says_and_runs_nothing_of_others(
    of_nobody: Answers, of_somebody: Answers
) -> None:
    for template, answer in of_nobody + of_somebody:
        said = answer.headers
        assert said["x-content-type-options"] == "nosniff", template
        policy = said["content-security-policy"]
        assert policy.startswith("default-src 'none'"), template
        for word in ("base-uri 'none'", "frame-ancestors 'none'", "form-action "):
            assert word in policy, template
        for word in ("unsafe", " http:", " https:", " *"):
            assert word not in policy.replace("https://app.example", ""), template  # who asks
        if said.get("content-type", "").startswith("text/html"):
            assert said["referrer-policy"] == "same-origin", template


def test_names_that_are_scripts_are_text_on_every_page(
    of_nobody: Answers, of_somebody: Answers
) -> None:
    for _, answer in of_nobody + of_somebody:
        check(answer)


def test_nobody_on_the_way_keeps_or_measures_what_is_somebodys(of_somebody: Answers) -> None:
    """Packed, the length of a page would tell what of an address is in it, too: also its token."""
    with_token = 0
    for template, answer in of_somebody:
        if template not in SHARED:
            assert "no-store" in answer.headers["cache-control"], template
        if 'name="csrf"' in answer.text:
            with_token += 1
            assert "etag" not in answer.headers, template
            assert "content-encoding" not in answer.headers, template
    assert with_token > 40


def test_refusals_and_the_api_say_so_as_well(house: House) -> None:
    for method, path in (
        ("GET", "/nothing"),
        ("POST", "/models"),
        ("PUT", "/models"),
        ("GET", "/api/v1/models"),
        ("GET", "/api/v1/keys"),
        ("GET", "/api/v1/nothing"),
        ("POST", "/auth/nothing"),
    ):
        for accept in ("text/html", "*/*"):
            answer = house.send(method, path, headers={"accept": accept})
            assert answer.headers["x-content-type-options"] == "nosniff", (method, path)
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


async def _crash(_request: Request) -> Response:
    raise RuntimeError("the secret of the house")


async def _echo(request: Request) -> Response:
    return PlainTextResponse(repr(request.path_params["text"]))


@pytest.mark.anyio
async def test_a_new_route_cannot_forget(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    app = SafeApplication(routes=[Route("/crash", _crash), Route("/echo/{text:path}", _echo)])
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gate.test") as client:
        for path in ("/crash", "/echo/x", "/nothing"):
            answer = await client.get(path)
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        # What no database keeps is what nobody has, in whatever part of a path.
        assert (await client.get("/echo/a%00b")).text == repr("a\ufffdb")


@pytest.mark.anyio
async def test_nobody_writes_a_line_of_their_own_into_the_log(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """What a provider refused with comes by way of the browser, in the address."""

    async def finish(_name: str, _secret: str, answer: Mapping[str, str]) -> None:
        raise OidcFailed(f"it refused: {answer['error']}")

    openid = SimpleNamespace(providers={"acme": None}, finish=finish)
    auth = replace(house.people.auth, openid=openid)  # type: ignore[arg-type] - all that is asked
    transport = httpx.ASGITransport(Starlette(routes=entering_routes(auth)))
    async with httpx.AsyncClient(transport=transport, base_url="http://gate.test") as client:
        forged = "no%0A2026-11-22T00:00:00.000Z INFO fairlead: all is well%1b[2J"
        assert (await client.get(f"/auth/oidc/acme/callback?error={forged}")).status_code >= 400
    (said,) = [record.problem for record in caplog.records if hasattr(record, "problem")]
    assert said.startswith("it refused: no2026")
    assert said.isprintable()
