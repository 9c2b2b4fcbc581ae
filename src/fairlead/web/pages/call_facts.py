"""What else is known of a call, in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fairlead.control.usage.apps import claim
from fairlead.core.generation import Attribution, Generation
from fairlead.core.money import NanoUSD
from fairlead.core.one_line import one_line
from fairlead.web.api.generations import data_region
from fairlead.web.pages.paging import addressed
from fairlead.web.pages.shown import count, dollars

__all__ = ["Fact", "facts_of", "session_path"]

_REGIONS: Final = {"europe": "European Union only", "us": "United States only"}
_MEDIA: Final = {"image": "pictures", "file": "files", "audio": "sound", "video": "video"}


@dataclass(frozen=True, slots=True)
class Fact:
    """href: where there is more about it; "": nowhere."""

    name: str
    value: str
    href: str = ""


def facts_of(
    generation: Generation, *, key_name: str, workspace: str, cache_saved: NanoUSD | None
) -> tuple[Fact, ...]:
    """key_name, workspace: as people call them; "" where they are gone."""
    every = (
        *_whose(generation, key_name, workspace),
        *_what(generation),
        *_answered(generation, cache_saved),
    )
    return tuple(fact for fact in every if fact.value)


def session_path(session: str) -> str:
    return addressed("/activity/session", {"id": session})


def _whose(generation: Generation, key_name: str, workspace: str) -> Sequence[Fact]:
    said = generation.attribution or Attribution()
    claimed = claim(generation.attribution)
    session = generation.session_id or ""
    return (
        Fact("Workspace", workspace),
        Fact("Key", key_name),
        Fact("App", "" if claimed is None else claimed.title or claimed.identity),
        Fact("App's address", said.referer or ""),
        Fact("Program", said.user_agent or ""),
        Fact("Session", one_line(session) or session, session_path(session) if session else ""),
        Fact("End user", generation.external_user or ""),
    )


def _what(generation: Generation) -> Sequence[Fact]:
    decision = generation.decision
    traits = None if decision is None else decision.question.traits
    media = () if traits is None else traits.modalities
    preset = generation.preset or ""
    return (
        Fact("Router", generation.router or ""),
        Fact("Preset", preset),
        Fact("Interface", generation.api_type),
        Fact(
            "Prompt", ", ".join(("text", *(_MEDIA.get(one, one) for one in media))) if media else ""
        ),
        Fact("Data region", _REGIONS.get(data_region(generation), "")),
        Fact("Service tier", generation.service_tier or ""),
    )


def _answered(generation: Generation, cache_saved: NanoUSD | None) -> Sequence[Fact]:
    usage = generation.usage
    upstream_cost = generation.upstream_cost
    return (
        Fact("Finish reason", generation.finish_reason or ""),
        Fact("As the provider says it", generation.native_finish_reason or ""),
        Fact("Error", (generation.error_type or "").replace("_", " ")),
        Fact("Web searches", count(usage.web_searches) if usage.web_searches else ""),
        Fact("Provider's id", generation.upstream_id or ""),
        Fact("Provider charged us", "" if upstream_cost is None else dollars(upstream_cost)),
        Fact("Saved by caching", dollars(cache_saved) if cache_saved else ""),
        Fact("Prices", generation.price_version),
        Fact("Catalogue", generation.catalog_version),
    )
