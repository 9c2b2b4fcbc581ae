"""`/docs/...`: every page is there, every link leads somewhere, and nothing in it can do harm."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import httpx
import pytest

from fairlead.web.pages.docs_rendering import highlighted, render
from fairlead.web.pages.docs_search import found, passages_of
from fairlead.web.pages.docs_shelf import PACKAGED, DocPage, Shelf, docs_folder, read_shelf
from tests.web.management.stage import Stage

pytestmark = pytest.mark.anyio

HTML = {"accept": "text/html"}
SHELF = read_shelf()
HOSTILE = '"><img src=x onerror=alert(1)><script>alert(1)</script>'


class Read(HTMLParser):
    """The links and the ids of what is in `<main>`."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.ids: list[str] = []
        self.inline: list[str] = []
        self._in_main = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_main = self._in_main or tag == "main"
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if name == "style" or name.startswith("on"):
                self.inline.append(f"{tag} {name}")
            if self._in_main and name in ("href", "src") and value:
                self.links.add(value)


def page_of(text: str, source: str = "api/made-up.md") -> DocPage:
    return DocPage("made-up", "Made up", "Made up", source, "Start", about_calls=True, text=text)


def made_up(text: str, source: str = "api/made-up.md") -> str:
    return str(render(page_of(text, source), SHELF).body)


async def test_every_page_answers_and_every_link_in_it_leads_somewhere(
    client: httpx.AsyncClient,
) -> None:
    pages: dict[str, Read] = {}
    waiting = {"/docs", *(page.address for page in SHELF.pages.values())}
    while waiting:
        path = waiting.pop()
        answer = await client.get(path, headers=HTML)
        assert answer.status_code == 200, path
        if answer.headers["content-type"].startswith("text/html"):
            pages[path] = read = Read(answer.text)
            assert len(read.ids) == len(set(read.ids)), path
            assert read.inline == [], path
        else:
            pages[path] = Read("")
        found = {link.partition("#")[0] for link in pages[path].links if link.startswith("/")}
        waiting |= {one for one in found - pages.keys() if one.startswith(("/docs", "/openapi"))}
    assert len(pages) > 80
    dead = [
        (path, link)
        for path, read in pages.items()
        for link in read.links
        if link.startswith(("#", "/docs"))
        and (anchor := link.partition("#")[2])
        and anchor not in pages[link.partition("#")[0] or path].ids
    ]
    assert dead == []
    relative = {link for read in pages.values() for link in read.links}
    assert {
        link for link in relative if not link.startswith(("/", "#", "https://", "http://"))
    } <= {"mailto:"}


async def test_examples_name_this_installation_and_nobody_can_put_anything_there(
    client: httpx.AsyncClient,
) -> None:
    page = (await client.get("/docs/quickstart", headers=HTML)).text
    assert "http://fairlead.test/api/v1" in page
    assert "127.0.0.1" not in page
    hostile = (await client.get("/docs/quickstart", headers={**HTML, "host": "x<script>"})).text
    main = hostile[hostile.index("<main") : hostile.index("</main>")]
    assert "<script>" not in main


@pytest.mark.parametrize(
    "path",
    ["/docs/nothing", "/docs/../pyproject.toml", "/docs/%2e%2e/README", "/docs/images/nothing.png",
     "/docs/images/..%2fweb.md", "/docs/api/nothing", "/docs/routing/"],
)  # fmt: skip
async def test_what_is_not_there_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path, headers=HTML)).status_code == 404


async def test_pictures_are_sent_with_their_size_known_before(client: httpx.AsyncClient) -> None:
    page = (await client.get("/docs/web-app", headers=HTML)).text
    pictures = re.findall(r'<img src="([^"]+)"[^>]* width="(\d+)" height="(\d+)"', page)
    assert len(pictures) == len(SHELF.images) == 6
    for address, _, _ in pictures:
        answer = await client.get(address)
        assert answer.headers["content-type"] == "image/png"
        assert answer.content.startswith(b"\x89PNG")


async def test_pages_are_read_one_after_the_other(client: httpx.AsyncClient) -> None:
    order = [page for section in SHELF.sections for page in section.pages]
    for before, after in pairwise(order):
        assert SHELF.beside(before)[1] is after
        assert SHELF.beside(after)[0] is before
    page = (await client.get("/docs/routing", headers=HTML)).text
    assert 'rel="prev" href="/docs/presets"' in page
    assert 'rel="next" href="/docs/routing-explained"' in page
    assert page.count('href="/docs/routing" aria-current="page"') == 2  # broad and narrow


async def test_a_search_finds_the_passage_that_is_meant(client: httpx.AsyncClient) -> None:
    page = (await client.get("/docs/search?q=Retry-After", headers=HTML)).text
    assert '<a href="/docs/limits#too-many">' in page
    assert "<mark>Retry-After</mark>" in page
    nothing = (await client.get("/docs/search?q=xyzzy+plugh", headers=HTML)).text
    assert "Nothing was found" in nothing
    empty = (await client.get("/docs/search", headers=HTML)).text
    assert "What are you looking for?" in empty
    part = await client.get("/docs/search?q=errors", headers={**HTML, "hx-request": "true"})
    assert "<html" not in part.text


async def test_what_is_looked_for_is_shown_as_text(client: httpx.AsyncClient) -> None:
    answer = await client.get("/docs/search", params={"q": HOSTILE}, headers=HTML)
    assert answer.status_code == 200
    assert "<img src=x" not in answer.text
    assert "alert(1)</script>" not in answer.text
    assert unescape(answer.text).count(HOSTILE) >= 1


def test_every_word_must_be_there_and_titles_count_most() -> None:
    passages = passages_of(SHELF.pages.values())
    assert found(passages, "") == ()
    assert found(passages, "errors xyzzy") == ()
    assert found(passages, "ERRORS")[0].passage.page.name in ("errors", "operate/provider-errors")
    assert found(passages, "[(*") == ()  # no word is read as an expression
    assert len(found(passages, "the")) == 30


def test_a_passage_reads_as_its_page_does() -> None:
    text = (
        "Code like `xyzzy`, *and* more\n\n| Fault | Sees |\n|---|---|\n| none | `200`. |\n"
        + "far " * 80
    )
    (passage,) = passages_of([page_of(text)])
    excerpt = "".join(found([passage], "xyzzy")[0].parts)
    assert excerpt.startswith("Code like xyzzy, and more Fault · Sees none · 200. far")
    assert excerpt.endswith(" far …")


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "a <b onclick='x'>bold</b> word",
        "[x](javascript:alert(1))",
        '[x](https://example.org "a\\"onclick=b")',
        "```sh\n</code></pre><script>alert(1)</script>\n```",
        "```" + HOSTILE.replace("`", "") + "\nx\n```",
        f"## {HOSTILE}",
        f"| {HOSTILE} |\n|---|\n| {HOSTILE} |",
        "![<script>](javascript:alert(1))",
    ],
)
def test_markdown_cannot_bring_scripts(text: str) -> None:
    html = made_up(f"# Made up\n\n{text}\n")
    read = Read(f"<main>{html}</main>")
    assert "<script" not in html
    assert read.inline == []
    assert not any(link.startswith("javascript:") for link in read.links)


def test_links_out_of_the_documentation_become_words() -> None:
    html = made_up(
        "[code](../../src/fairlead/core/money.py) and [errors](errors.md#statuses-and-words)"
    )
    assert "money.py" not in html
    assert "code and " in html
    assert 'href="/docs/errors#statuses-and-words"' in html


def test_a_line_ends_in_a_table_where_it_says_so() -> None:
    assert "<td>a<br />\nb</td>" in made_up("| x |\n|---|\n| a<br>b |")


def test_a_name_in_a_table_can_be_broken_at_its_joints() -> None:
    html = made_up("`a_b`\n\n| x |\n|---|\n| `too_many.calls` |")
    assert "<code>a_b</code>" in html
    assert "<code>too_<wbr>many.<wbr>calls</code>" in html


def test_code_of_no_known_language_is_shown_as_it_is() -> None:
    assert highlighted("<a> & b", "nothing") == "&lt;a&gt; &amp; b"
    assert '<span class="hl-' in highlighted("x = 1", "python")


def test_every_page_is_on_the_shelf() -> None:
    folder = docs_folder()
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*.md")}
    assert written - {page.source for page in SHELF.pages.values()} == {"README.md"}


def test_links_from_other_pages_lead_to_pages_that_are_there(stage: Stage) -> None:
    web = docs_folder().parent / "src" / "fairlead" / "web"
    named = {
        link
        for path in (*web.rglob("*.html"), *(web / "pages").rglob("*.py"))
        for link in re.findall(r'href="(/docs[a-z/-]*)["#]', path.read_text("utf-8"))
        + re.findall(r'"(/docs/[a-z/-]+)["#]', path.read_text("utf-8"))
    } - {"/docs/images/"}
    assert "/docs/quickstart" in named
    for link in sorted(named):
        assert stage.send("GET", link, headers=HTML).status_code == 200, link


def test_a_page_that_nobody_listed_comes_last_in_its_section(tmp_path: Path) -> None:
    for name in ("api/new.md", "operate/new.md", "new.md", "api/errors.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("# Something `new`\n", "utf-8")
    shelf = read_shelf(tmp_path)
    assert set(shelf.pages) == {"new", "operate/new", "more/new", "errors"}
    assert shelf.pages["operate/new"].label == "Something new"


def test_a_package_carries_the_documentation_where_it_is_looked_for() -> None:
    project = tomllib.loads((docs_folder().parent / "pyproject.toml").read_text("utf-8"))
    carried = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert carried == {"docs": f"fairlead/web/{PACKAGED}"}


def test_an_installation_without_documentation_still_serves(tmp_path: Path) -> None:
    assert read_shelf(tmp_path) == Shelf((), MappingProxyType({}), MappingProxyType({}))


async def test_docs_are_sent_with_a_tag_and_kept(
    browse: Callable[..., httpx.AsyncClient],
) -> None:
    async with browse() as client:
        first = await client.get("/docs/errors", headers=HTML)
        again = await client.get(
            "/docs/errors", headers={**HTML, "if-none-match": first.headers["etag"]}
        )
        assert again.status_code == 304
