"""What documentation there is, in the order in which it is read. The pages are the repository's own Markdown.

    SHELF.page("routing").source    "api/routing.md", below the folder of the documentation

A package carries the folder beside this one; in the repository it is `docs/`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

__all__ = [
    "ADDRESS",
    "PACKAGED",
    "DocPage",
    "Section",
    "Shelf",
    "docs_folder",
    "read_shelf",
    "slug_of",
]

ADDRESS: Final = "/docs"
PACKAGED: Final = "documentation"  # the folder in a package
PAGE_BYTES_MAX: Final = 256 * 1024
PAGES_MAX: Final = 400
IMAGE_BYTES_MAX: Final = 4 * 1024 * 1024
_TITLE: Final = re.compile(r"^# (.+)$", re.MULTILINE)
_NOT_IN_ANCHORS: Final = re.compile(r"[^\w\- ]")


@dataclass(frozen=True, slots=True)
class _Shown:
    """title: of the section in the navigation. about_calls: its examples call this installation.
    pages: name in the address, file, and in the navigation what it is called. folder: whatever else is in it
    comes last, under its own title."""

    title: str
    about: str
    about_calls: bool
    pages: tuple[tuple[str, str, str], ...]
    folder: str | None = None


_SECTIONS: Final = (
    _Shown(
        "Start",
        "From nothing to a first answer, and what to expect.",
        about_calls=True,
        pages=(
            ("quickstart", "guide/quickstart.md", "Quick start"),
            ("web-app", "guide/web-app.md", "The web app"),
            ("chat", "chat.md", "Chat and requests"),
            ("principles", "guide/principles.md", "Principles"),
            ("faq", "guide/faq.md", "FAQ"),
            ("terms", "guide/terms.md", "Terms"),
        ),
    ),
    _Shown(
        "Calling models",
        "Names, routing, errors and limits.",
        about_calls=True,
        pages=(
            ("models", "api/models.md", "Models"),
            ("presets", "api/presets.md", "Presets"),
            ("routing", "api/routing.md", "Routing"),
            ("routing-explained", "api/routing-explained.md", "Routing explained"),
            ("errors", "api/errors.md", "Errors"),
            ("limits", "api/limits.md", "Limits"),
            ("continuation", "api/continuation.md", "Continued answers"),
            ("messages", "api/messages.md", "Anthropic's Messages"),
            ("responses", "api/responses.md", "OpenAI's Responses"),
            ("embeddings", "api/embeddings.md", "Embeddings and ranking"),
        ),
        folder="api",
    ),
    _Shown(
        "Your account",
        "Keys, money, privacy and people.",
        about_calls=True,
        pages=(
            ("keys", "api/keys.md", "Keys"),
            ("billing", "api/billing.md", "Credits"),
            ("usage", "api/usage.md", "Usage"),
            ("privacy", "api/privacy.md", "Privacy"),
            ("preferences", "api/preferences.md", "Preferences"),
            ("byok", "api/byok.md", "Own provider keys"),
            ("workspaces", "api/workspaces.md", "Workspaces"),
            ("apps", "api/apps.md", "Keys for apps"),
        ),
    ),
    _Shown(
        "Reference",
        "Every endpoint, every word.",
        about_calls=True,
        pages=(
            ("endpoints", "api/README.md", "All endpoints"),
            ("data", "api/data.md", "Data"),
            ("conformance", "conformance.md", "Between formats"),
            ("glossary", "glossary.md", "Glossary"),
        ),
    ),
    _Shown(
        "Operating",
        "For whoever runs this installation.",
        about_calls=False,
        pages=(
            ("operate/configuration", "operate/configuration.md", "Configuration"),
            ("operate/settings", "operate/settings.md", "All settings"),
            ("operate/commands", "operate/commands.md", "Commands"),
            ("operate/people", "operate/people.md", "People"),
            ("operate/payments", "operate/payments.md", "Payments"),
            ("operate/ledger", "operate/ledger.md", "Ledger"),
            ("operate/budgets", "operate/budgets.md", "Budgets"),
            ("operate/limits", "operate/limits.md", "Limits"),
            ("operate/privacy", "operate/privacy.md", "Privacy"),
            ("operate/usage", "operate/usage.md", "Usage"),
            ("operate/databases", "operate/databases.md", "Databases"),
            ("operate/health", "operate/health.md", "Health of endpoints"),
            ("operate/metrics", "operate/metrics.md", "Metrics"),
            ("operate/when-things-fail", "operate/when-things-fail.md", "When things fail"),
            ("operate/provider-errors", "operate/provider-errors.md", "Errors of providers"),
            ("operate/twin", "operate/twin.md", "Simulated provider"),
            ("operate/demo", "operate/demo.md", "Made-up traffic"),
        ),
        folder="operate",
    ),
    _Shown(
        "How it is built",
        "The code, its speed and the reasons.",
        about_calls=False,
        pages=(
            ("architecture", "architecture.md", "Architecture"),
            ("performance", "performance.md", "Performance"),
            ("decisions", "decisions/README.md", "Decisions"),
            ("web", "web.md", "Writing a page"),
        ),
        folder="",
    ),
)


# Where those are whom nobody gave a name: no two pages have the same.
_STRAYS: Final = {"operate": "operate/", "": "more/"}


@dataclass(frozen=True, slots=True)
class DocPage:
    """A page. name: in its address. label: in the navigation. title: its own. source: its file, below the
    folder. section: which one it is in. about_calls: its examples call this installation."""

    name: str
    label: str
    title: str
    source: str
    section: str
    about_calls: bool
    text: str

    @property
    def address(self) -> str:
        return f"{ADDRESS}/{self.name}"


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    about: str
    pages: tuple[DocPage, ...]


@dataclass(frozen=True, slots=True)
class Shelf:
    """sections: what the navigation shows. pages: all, by name, also those that only others lead to.
    images: PNG, by name."""

    sections: tuple[Section, ...]
    pages: Mapping[str, DocPage]
    images: Mapping[str, bytes]

    @property
    def by_source(self) -> Mapping[str, DocPage]:
        return {page.source: page for page in self.pages.values()}

    def beside(self, page: DocPage) -> tuple[DocPage | None, DocPage | None]:
        """Which one is read before it, and which after."""
        order = [one for section in self.sections for one in section.pages]
        if page not in order:
            return None, None
        place = order.index(page)
        before = order[place - 1] if place > 0 else None
        return before, order[place + 1] if place + 1 < len(order) else None


def docs_folder() -> Path:
    packaged = Path(__file__).parents[1] / PACKAGED
    return packaged if packaged.is_dir() else Path(__file__).parents[4] / "docs"


@cache
def read_shelf(folder: Path | None = None) -> Shelf:
    """Read once; empty where the documentation was left out of an installation."""
    folder = docs_folder() if folder is None else folder
    sections = tuple(
        Section(
            shown.title,
            shown.about,
            tuple(
                _read(folder, name, source, label, shown)
                for name, source, label in (*shown.pages, *_others(folder, shown))
                if (folder / source).is_file()
            ),
        )
        for shown in _SECTIONS
    )
    pages = {page.name: page for section in sections for page in section.pages}
    built = _SECTIONS[-1]
    for path in sorted((folder / "decisions").glob("[0-9]*.md")):
        name = f"decisions/{path.stem}"
        pages[name] = _read(folder, name, f"decisions/{path.name}", "", built)
    assert len(pages) <= PAGES_MAX
    images = {path.name: path.read_bytes() for path in sorted((folder / "images").glob("*.png"))}
    assert all(len(image) <= IMAGE_BYTES_MAX for image in images.values())
    shown_sections = tuple(section for section in sections if section.pages)
    return Shelf(shown_sections, MappingProxyType(pages), MappingProxyType(images))


def _others(folder: Path, shown: _Shown) -> list[tuple[str, str, str]]:
    """Pages of the section's folder that nobody has put on the shelf."""
    if shown.folder is None:
        return []
    known = {source for section in _SECTIONS for _, source, _ in section.pages} | {"README.md"}
    found = sorted(path.relative_to(folder) for path in (folder / shown.folder).glob("*.md"))
    return [
        (f"{_STRAYS.get(shown.folder, '')}{one.stem}", one.as_posix(), "")
        for one in found
        if one.as_posix() not in known
    ]


def slug_of(heading: str) -> str:
    """What a heading is called in a link, as code hosts do it."""
    return _NOT_IN_ANCHORS.sub("", heading.lower()).replace(" ", "-")


def _read(folder: Path, name: str, source: str, label: str, shown: _Shown) -> DocPage:
    text = (folder / source).read_text("utf-8")
    assert len(text) <= PAGE_BYTES_MAX, source
    found = _TITLE.search(text)
    title = source if found is None else found[1].replace("`", "")
    return DocPage(name, label or title, title, source, shown.title, shown.about_calls, text)
