"""Which app a call came from, by what it said in its headers. Pure.

An app is known by its address, so `HTTP-Referer` is what counts: a title alone is nobody. On somebody's own
machine an address says nothing, so there a title is needed, and the app is in no ranking.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from fairlead.core.generation import Attribution
from fairlead.core.one_line import one_line

__all__ = [
    "APPS_PER_ACCOUNT_MAX",
    "CATEGORIES",
    "CATEGORIES_MAX",
    "CATEGORY_GROUPS",
    "Claim",
    "claim",
    "merged",
]

APPS_PER_ACCOUNT_MAX: Final = 200  # that it may bring; calls of further ones are nobody's
IDENTITY_CHARACTERS_MAX: Final = 200
TITLE_CHARACTERS_MAX: Final = 100
CATEGORIES_MAX: Final = 10  # of one app, from all of its calls
CATEGORIES_OF_CALL_MAX: Final = 2
CATEGORY_GROUPS: Final[Mapping[str, frozenset[str]]] = {
    "coding": frozenset(
        {"cli-agent", "ide-extension", "cloud-agent", "programming-app", "native-app-builder"}
    ),
    "creative": frozenset({"creative-writing", "video-gen", "image-gen", "audio-gen"}),
    "productivity": frozenset({"writing-assistant", "general-chat", "personal-agent", "legal"}),
    "entertainment": frozenset({"roleplay", "game"}),
}
CATEGORIES: Final[frozenset[str]] = frozenset().union(*CATEGORY_GROUPS.values())
_OWN_MACHINE: Final = frozenset({"localhost", "127.0.0.1", "::1", "[::1]", "0.0.0.0"})  # noqa: S104 - a name


class Claim(NamedTuple):
    """What a call says of the app that it comes from."""

    identity: str
    title: str
    categories: tuple[str, ...]
    is_public: bool


def claim(attribution: Attribution | None) -> Claim | None:
    """None: it does not say."""
    if attribution is None or not attribution.referer:
        return None
    try:
        address = urlsplit(attribution.referer.strip())
        host, port = (address.hostname or "").lower(), address.port
    except ValueError:
        return None
    if address.scheme not in ("http", "https") or not host:
        return None
    where = one_line(host if port is None else f"{host}:{port}")
    title = one_line(attribution.title or "")[:TITLE_CHARACTERS_MAX]
    categories = _known(attribution.categories)[:CATEGORIES_OF_CALL_MAX]
    if host in _OWN_MACHINE:
        if not title:
            return None
        identity = f"{address.scheme}://{where} {title}"
        return Claim(identity[:IDENTITY_CHARACTERS_MAX], title, categories, is_public=False)
    identity = f"{address.scheme}://{where}{one_line(address.path).rstrip('/')}"
    return Claim(
        identity[:IDENTITY_CHARACTERS_MAX],
        title or where[:TITLE_CHARACTERS_MAX],
        categories,
        is_public=True,
    )


def merged(before: Iterable[str], more: Iterable[str]) -> tuple[str, ...]:
    """An app's categories once a call has named `more`; the first ones stay."""
    return _known((*before, *more))[:CATEGORIES_MAX]


def _known(categories: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for one in categories if one in CATEGORIES))
