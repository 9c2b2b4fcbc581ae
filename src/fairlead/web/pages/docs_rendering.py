"""A page of the documentation, from Markdown to HTML. Pure but for the templates of the components.

Markdown may hold no HTML but `<br>`: it would be shown as text. A link to another file of the documentation
becomes a link to its page, one to any other file of the repository becomes plain words. Code is coloured by
classes.
"""

from __future__ import annotations

import posixpath
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from markupsafe import Markup

from fairlead.web.pages.docs_shelf import ADDRESS, DocPage, Shelf, slug_of
from fairlead.web.pages.environment import templates

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

__all__ = ["EXAMPLE_ORIGIN", "Heading", "Rendered", "here", "highlighted", "inline", "render"]

EXAMPLE_ORIGIN: Final = "http://127.0.0.1:8400"  # in the files; pages show where one is
_ELSEWHERE: Final = re.compile(r"[a-z][a-z0-9+.-]*:")
_LABELS: Final[Mapping[str, str]] = {
    "sh": "Shell", "python": "Python", "js": "JavaScript", "ts": "TypeScript", "json": "JSON", "toml": "TOML",
    "http": "HTTP",
}  # fmt: skip
_LEVELS_SHOWN: Final = ("h2", "h3")
_BREAK: Final = "<br>"
_JOINT: Final = re.compile(r"(?<=\w[._/])(?=\w)")  # of a name, where it may be broken
_PNG_SIZE: Final = struct.Struct(">II")
_PNG_SIZE_AT: Final = 16


@dataclass(frozen=True, slots=True)
class Heading:
    level: int
    anchor: str
    text: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """body: without the title. headings: those of the table of contents."""

    title: str
    body: Markup
    headings: tuple[Heading, ...]


@dataclass(slots=True)
class _Surroundings:
    """What the rules of one page know. codes: how many blocks of code came already."""

    page: DocPage
    shelf: Shelf
    codes: int = 0
    heading: str = ""
    anchors: dict[str, int] = field(default_factory=dict)


_Env: TypeAlias = Mapping[str, _Surroundings]


def render(page: DocPage, shelf: Shelf) -> Rendered:
    surroundings = _Surroundings(page, shelf, heading=page.title)
    env = {"surroundings": surroundings}
    markdown = _markdown()
    tokens = markdown.parse(page.text, env)
    headings = _anchored(tokens, surroundings)
    by_source = shelf.by_source
    for token in tokens:
        if token.children:
            _relinked(token.children, page, shelf, by_source)
    if tokens and tokens[0].type == "heading_open" and tokens[0].tag == "h1":
        tokens = tokens[3:]
    body = markdown.renderer.render(tokens, markdown.options, env)
    return Rendered(page.title, Markup(body), headings)  # noqa: S704 - the parser escapes, see `_markdown`


def highlighted(code: str, language: str) -> Markup:
    """Coloured by classes; as it is, escaped, in a language that nobody knows."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return Markup(escape(code))  # noqa: S704
    formatter: Any = HtmlFormatter(nowrap=True, classprefix="hl-")
    return Markup(highlight(code, lexer, formatter).rstrip("\n"))  # noqa: S704 - it escapes


def here(html: Markup, origin: str) -> Markup:
    """With the address of an installation in what one would paste."""
    return Markup(str(html).replace(EXAMPLE_ORIGIN, escape(origin)))  # noqa: S704 - both are escaped


def inline(text: str) -> Markup:
    """A line or two of Markdown, without a paragraph around it."""
    return Markup(_markdown().renderInline(text))  # noqa: S704 - the parser escapes


@cache
def _markdown() -> MarkdownIt:
    """Imported when the first page is read: a process that only relays needs none of it."""
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    for name, rule in (
        ("fence", _fence),
        ("code_inline", _code_inline),
        ("table_open", _table_open),
        ("table_close", _table_close),
        ("heading_close", _heading_close),
    ):
        markdown.add_render_rule(name, rule)
    markdown.inline.ruler.before("autolink", "line_break", _line_break)
    return markdown


def _line_break(state: StateInline, silent: bool) -> bool:
    """`<br>` ends a line inside of a table, where nothing else can."""
    if not state.src.startswith(_BREAK, state.pos):
        return False
    if not silent:
        state.push("hardbreak", "br", 0)
    state.pos += len(_BREAK)
    return True


def _fence(
    _renderer: object, tokens: Sequence[Token], place: int, _options: object, env: _Env
) -> str:
    surroundings = env["surroundings"]
    surroundings.codes += 1
    language = tokens[place].info.strip()
    code = tokens[place].content.rstrip("\n")
    component: Any = templates().get_template("components/panels.html").module
    label = _LABELS.get(language, "Code")
    return str(
        component.code(highlighted(code, language), f"code-{surroundings.codes}", label=label)
    )


def _code_inline(
    _renderer: object, tokens: Sequence[Token], place: int, _options: object, _env: _Env
) -> str:
    """A name in a table can be broken at its joints: on a phone it would push the next column out."""
    token = tokens[place]
    code = escape(token.content)
    return f"<code>{_JOINT.sub('<wbr>', code) if token.meta.get('in_table') else code}</code>"


def _table_open(
    _renderer: object, tokens: Sequence[Token], place: int, _options: object, env: _Env
) -> str:
    heading = tokens[place].meta.get("heading") or env["surroundings"].page.title
    said = escape(f"Table: {heading}")
    region = f'<div class="table-scroll" tabindex="0" role="region" aria-label="{said}">'
    return f'{region}<table class="table compact">'


def _table_close(*_: object) -> str:
    return "</table></div>\n"


def _heading_close(
    _renderer: object, tokens: Sequence[Token], place: int, _options: object, _env: _Env
) -> str:
    tag, anchor = tokens[place].tag, tokens[place].meta.get("anchor")
    if not anchor:
        return f"</{tag}>\n"
    said = escape(f"Link to {tokens[place].meta['text']}")
    link = f'<a class="docs-anchor" href="#{escape(anchor)}" aria-label="{said}">#</a>'
    return f"{link}</{tag}>\n"


def _anchored(tokens: Sequence[Token], surroundings: _Surroundings) -> tuple[Heading, ...]:
    """Gives each heading its anchor, and tables the heading that they are under."""
    headings = []
    number_of_table = 0
    for place, token in enumerate(tokens):
        if token.type == "heading_open":
            inline = tokens[place + 1]
            text = "".join(
                child.content
                for child in inline.children or ()
                if child.type in ("text", "code_inline")
            )
            anchor = slug_of(text)
            before = surroundings.anchors.get(anchor, 0)
            surroundings.anchors[anchor] = before + 1
            anchor = f"{anchor}-{before}" if before else anchor
            token.attrSet("id", anchor)
            tokens[place + 2].meta = {"anchor": anchor, "text": text}
            surroundings.heading, number_of_table = text, 0
            if token.tag in _LEVELS_SHOWN:
                headings.append(Heading(int(token.tag[1:]), anchor, text))
        elif token.type == "table_open":
            number_of_table += 1
            more = f" ({number_of_table})" if number_of_table > 1 else ""
            token.meta = {"heading": f"{surroundings.heading}{more}"}
        elif token.type in ("th_open", "td_open"):
            # How a column is aligned is written as a style, which the policy refuses.
            if token.attrGet("style") == "text-align:right":
                token.attrSet("class", "numeric")
            token.attrs.pop("style", None)
            for child in tokens[place + 1].children or ():
                child.meta["in_table"] = True
    return tuple(headings)


def _relinked(
    children: Sequence[Token], page: DocPage, shelf: Shelf, by_source: Mapping[str, DocPage]
) -> None:
    """Links between files become links between pages; those that lead out of the documentation, words."""
    is_dropped = False
    for token in children:
        if token.type == "link_open":
            goal = _goal(str(token.attrGet("href")), page, by_source)
            is_dropped = goal is None
            if goal is not None:
                token.attrSet("href", goal)
        if is_dropped and token.type in ("link_open", "link_close"):
            is_dropped = token.type != "link_close"
            token.type, token.tag, token.nesting, token.content = "text", "", 0, ""
        elif token.type == "image":
            name = posixpath.basename(str(token.attrGet("src")))
            token.attrSet("src", f"{ADDRESS}/images/{name}")
            token.attrSet("loading", "lazy")
            image = shelf.images.get(name)
            if image is not None:
                width, height = _PNG_SIZE.unpack_from(image, _PNG_SIZE_AT)
                token.attrSet("width", str(width))
                token.attrSet("height", str(height))


def _goal(href: str, page: DocPage, by_source: Mapping[str, DocPage]) -> str | None:
    if href.startswith("#") or _ELSEWHERE.match(href):
        return href
    path, _, anchor = href.partition("#")
    found = posixpath.normpath(posixpath.join(posixpath.dirname(page.source), path))
    after = f"#{anchor}" if anchor else ""
    if found == "README.md":  # the map
        return f"{ADDRESS}{after}"
    if path.endswith("/"):
        found = f"{found}/README.md"
    goal = by_source.get(found)
    return None if goal is None else f"{goal.address}{after}"
