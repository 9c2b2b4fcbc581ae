"""Families of models, and the newest of each. Pure.

`~anthropic/claude-opus-latest` is the newest Claude Opus. A family is what remains of a slug without what
changes from release to release: versions, dates and the word `preview`. So `claude-3.7-sonnet` and
`claude-sonnet-5` are of one family, and a release of tomorrow finds its own. What the catalogue calls a
family is another name of it, where the name is free.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from fairlead.core.catalog import EndpointStatus, Family, Model, ModelKind, ProviderInfo
from fairlead.core.catalog_contenders import is_specialist
from fairlead.core.ids import ProviderSlug

__all__ = ["LATEST_MARK", "families_of", "family_name"]

LATEST_MARK: Final = "-latest"
_VERSION: Final = re.compile(r"[a-z]?\d+(\.\d+)*")  # 5.5, v3.2, k2, 0813
_LETTERED: Final = re.compile(r"\d+(\.\d+)*([a-z])")  # 4o, 4.5v: the letter is part of the name
_SIZE: Final = re.compile(r"[a-z]?\d+(\.\d+)?(x\d+)?[bmt]")  # 70b, 8x22b, a95b, 2.4t
_AT_THE_END: Final = re.compile(r"(?<=[a-z])\d+(\.\d+)*$")  # qwen3.8, o3
_PASSING: Final = frozenset({"preview", "exp", "experimental", "latest", "beta"})


def family_name(slug: str) -> str:
    """The family of a slug without its author; "" where nothing remains.

    >>> family_name("claude-3.7-sonnet"), family_name("qwen3.8-max"), family_name("gpt-4o-2024-08-06")
    ('claude-sonnet', 'qwen-max', 'gpt-o')
    """
    first, *rest = slug.lower().split("-")
    words = [_AT_THE_END.sub("", first)]
    for word in rest:
        if _SIZE.fullmatch(word):
            words.append(word)
        elif lettered := _LETTERED.fullmatch(word):
            words.append(lettered[2])
        elif not _VERSION.fullmatch(word) and word not in _PASSING:
            words.append(_AT_THE_END.sub("", word))
    return "-".join(word for word in words if word)


def families_of(
    models: Iterable[Model], providers: Mapping[ProviderSlug, ProviderInfo]
) -> dict[str, Family]:
    """Each alias in lower case to its family. Families without a model that can be called have none."""
    labs = {author for one in providers.values() if one.kind != "sandbox" for author in one.authors}
    named: defaultdict[str, list[Model]] = defaultdict(list)
    catalogued: defaultdict[str, list[Model]] = defaultdict(list)
    for model in models:
        if _is_concrete(model):
            slug = model.id.partition("/")[2]
            named[_alias(model.author, family_name(slug))].append(model)
            if model.family and not is_specialist(model):
                catalogued[_alias(model.author, model.family)].append(model)
    families = {
        alias: _family(alias, members, is_listed=len(members) > 1 and members[0].author in labs)
        for alias, members in named.items()
    }
    for alias, members in catalogued.items():
        families.setdefault(alias, _family(alias, members, is_listed=False))
    return families


def _alias(author: str, family: str) -> str:
    return f"~{author}/{family}{LATEST_MARK}".lower()


def _family(alias: str, members: list[Model], *, is_listed: bool) -> Family:
    """Of two that came out on one day the shorter name is the plainer model."""
    newest = min(members, key=lambda one: (-one.created, len(one.id), one.id))
    return Family(alias, newest.id, is_listed)


def _is_concrete(model: Model) -> bool:
    """A chat model that can be called, and no other name of one."""
    slug = model.id.partition("/")[2]
    return (
        model.kind is ModelKind.CHAT
        and model.output_modalities == ("text",)
        and model.preset_effort is None
        and ":" not in slug
        and not slug.endswith(LATEST_MARK)
        and any(one.status is EndpointStatus.ACTIVE for one in model.endpoints)
    )
