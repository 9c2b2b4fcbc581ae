"""What all pages have in common: what they say to browsers, how they travel, how they refuse."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

from fairlead.web.pages import notices
from fairlead.web.pages.environment import TEMPLATES, templates
from fairlead.web.pages.static import BUILT, read_bundle

pytestmark = pytest.mark.anyio

HTML = {"accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
PAGES = [
    "/",
    "/models",
    "/models?view=table",
    "/docs/design-system",
    "/openai/o1?tab=pricing",
    "/compare?models=o1,o3-mini",
]


class Elements(HTMLParser):
    """Every element's name and attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_allows_nothing_that_is_not_ours(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path, headers=HTML)
    policy = answer.headers["content-security-policy"]
    assert answer.status_code == 200
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    elements = Elements(answer.text).found
    assert all("style" not in attributes for _, attributes in elements)
    assert not [name for _, attributes in elements for name in attributes if name.startswith("on")]
    for tag, attributes in elements:
        source = attributes.get("src")
        assert tag != "script" or (source is not None and source.startswith("/static/built/"))
        assert tag != "style"


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_names_its_language_title_and_parts(
    client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.get(path, headers=HTML)
    elements = Elements(answer.text).found
    tags = [tag for tag, _ in elements]
    assert ("html", {"lang": "en"}) in elements
    assert (tags.count("h1"), tags.count("main"), tags.count("title")) >= (1, 1, 1)
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))


async def test_every_public_page_of_its_own_is_linked_from_every_page(
    client: httpx.AsyncClient,
) -> None:
    elements = Elements((await client.get("/", headers=HTML)).text).found
    links = {attributes.get("href") for tag, attributes in elements if tag == "a"}
    assert links >= {
        "/models", "/providers", "/rankings", "/apps", "/chat", "/docs",
        "/compare", "/request-builder", "/docs/api", "/status", "/docs/privacy", "/docs/terms",
    }  # fmt: skip


async def test_an_unchanged_page_is_not_sent_again(client: httpx.AsyncClient) -> None:
    first = await client.get("/models", headers=HTML)
    again = await client.get("/models", headers=HTML | {"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["content-security-policy"] == first.headers["content-security-policy"]


async def test_pages_of_nobody_are_packed(client: httpx.AsyncClient) -> None:
    async with client.stream(
        "GET", "/models", headers=HTML | {"accept-encoding": "gzip"}
    ) as answer:
        raw = b"".join([part async for part in answer.aiter_raw()])
    assert answer.headers["content-encoding"] == "gzip"
    assert b"<!doctype html>" in gzip.decompress(raw)
    plain = await client.get("/models", headers=HTML | {"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers


async def test_what_is_not_there_is_a_page_for_browsers_and_json_for_programs(
    client: httpx.AsyncClient,
) -> None:
    page = await client.get("/nothing", headers=HTML)
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "There is nothing here" in page.text
    assert (await client.get("/nothing")).json()["error"]["code"] == 404
    api = await client.get("/api/v1/nothing", headers=HTML)
    assert api.json()["error"]["code"] == 404


async def test_a_wrong_parameter_is_named_on_a_page(client: httpx.AsyncClient) -> None:
    answer = await client.get("/models?sort=%3Cscript%3E", headers=HTML)
    assert answer.status_code == 400
    assert "sort must be one of" in answer.text
    assert "<script>" not in answer.text
    assert "&lt;script&gt;" in answer.text


async def test_a_crash_is_a_page_that_tells_nothing(
    browse: Callable[..., httpx.AsyncClient],
) -> None:
    class Broken:
        @property
        def snapshot(self) -> object:
            raise RuntimeError("the secret of the house")

    async with browse(catalog=Broken()) as client:
        answer = await client.get("/models", headers=HTML)
    assert answer.status_code == 500
    assert "Something went wrong here" in answer.text
    assert "secret" not in answer.text


async def test_a_notice_says_only_what_is_in_the_table(client: httpx.AsyncClient) -> None:
    said = await client.get("/?notice=saved", headers=HTML)
    assert notices.NOTICES["saved"].text in said.text
    made_up = await client.get("/?notice=Your+account+is+closed", headers=HTML)
    assert "Your account is closed" not in made_up.text.replace("+", " ").split("<main")[1]


async def test_head_asks_for_no_body(client: httpx.AsyncClient) -> None:
    answer = await client.head("/models", headers=HTML)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


async def test_built_files_are_kept_for_ever_and_packed_as_asked(client: httpx.AsyncClient) -> None:
    bundle = read_bundle()
    address = bundle.address("shell.js")
    assert address is not None, "make web builds it"
    answer = await client.get(address, headers={"accept-encoding": "gzip, br"})
    assert answer.headers["content-encoding"] == "br"
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith("text/javascript")
    plain = await client.get(address, headers={"accept-encoding": "identity"})
    assert plain.content == bundle.files[bundle.names["shell.js"]]


@pytest.mark.parametrize(
    "name", ["manifest.json", "..%2Fmanifest.json", "%2e%2e/app.py", "shell.js", "x.js.gz"]
)
async def test_nothing_but_built_files_is_served(client: httpx.AsyncClient, name: str) -> None:
    assert (await client.get(f"/static/built/{name}")).status_code == 404


def test_without_a_bundle_the_log_says_what_to_do(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bundle = read_bundle(tmp_path)
    assert bundle.address("shell.js") is None
    assert "make web" in caplog.text


async def test_without_a_bundle_pages_can_be_read(
    client: httpx.AsyncClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    browse: Callable[..., httpx.AsyncClient],
) -> None:
    empty = read_bundle(tmp_path)
    monkeypatch.setattr("fairlead.web.pages.site.read_bundle", lambda: empty)
    async with browse() as unbuilt:
        answer = await unbuilt.get("/models", headers=HTML)
    assert answer.status_code == 200
    assert "static/built" not in answer.text


def test_every_template_can_be_read() -> None:
    names = [str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("*.*")]
    assert len(names) > 10
    for name in names:
        assert templates().get_template(name)


def test_everything_is_escaped_and_nothing_is_made_up() -> None:
    environment = templates()
    assert environment.from_string("{{ x }}").render(x="<b>") == "&lt;b&gt;"
    with pytest.raises(Exception, match="undefined"):
        environment.from_string("{{ nothing }}").render()


async def test_a_page_ships_few_bytes(client: httpx.AsyncClient) -> None:
    """Compressed: the page, its styles, its scripts, its font."""
    bundle = read_bundle()
    wire = 0
    for name in ("theme.js", "shell.js", "charts.js", "charts.css", "main.css"):
        file = bundle.names[name]
        wire += len(bundle.files.get(f"{file}.br", bundle.files[file]))
    wire += len(bundle.files[bundle.names["inter-latin-wght-normal.woff2"]])
    answer = await client.get("/models", headers=HTML)
    assert answer.num_bytes_downloaded + wire < 150_000
    assert (BUILT / "manifest.json").is_file()
