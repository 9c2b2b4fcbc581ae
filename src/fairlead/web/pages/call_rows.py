"""Calls in a table: what is shown of each, and by what of them people choose. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fairlead.control.generations.types import Cursor, Page
from fairlead.control.usage.apps import claim
from fairlead.control.usage.dimensions import Dimension
from fairlead.control.usage.service import Usage
from fairlead.control.usage.types import Names
from fairlead.core.catalog import Snapshot
from fairlead.core.generation import Generation, Outcome
from fairlead.core.ids import AccountId
from fairlead.web.pages.generation_view import outcome_of, pace_of, provider_name
from fairlead.web.pages.shown import cost, count, moment

__all__ = ["ANY_CALL", "CallFilters", "CallRow", "call_row", "cursor_of", "names_of_calls"]

_WORD_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class CallRow:
    path: str
    id: str
    created_s: float
    when: str
    model: str
    provider: str
    key: str
    app: str
    prompt_tokens: str
    completion_tokens: str
    cost: str
    pace: str
    outcome: str
    tone: str
    is_byok: bool


def call_row(one: Generation, names: Names, snapshot: Snapshot) -> CallRow:
    outcome, tone = outcome_of(one)
    key = names.keys.get(one.key)
    claimed = claim(one.attribution)
    return CallRow(
        path=f"/activity/{one.id}",
        id=one.id,
        created_s=one.created_s,
        when=moment(one.created_s).removesuffix(" UTC"),
        model=one.model,
        provider=provider_name(one.provider, snapshot),
        key="" if key is None else key.name,
        app="" if claimed is None else claimed.title or claimed.identity,
        prompt_tokens=count(one.usage.prompt_tokens),
        completion_tokens=count(one.usage.completion_tokens),
        cost=cost(one.cost),
        pace=pace_of(one),
        outcome=outcome,
        tone=tone,
        is_byok=one.is_byok,
    )


def names_of_calls(usage: Usage, *, account: AccountId, page: Page) -> Names:
    return usage.names(account, {Dimension.API_KEY: {one.key for one in page.generations}})


def cursor_of(text: str) -> Cursor | None:
    """As an address has it; None for what is none."""
    created, dash, name = text.partition("-")
    if not (created.isascii() and created.isdigit() and len(created) <= 15):
        return None
    is_name = dash and name.isprintable() and len(name) <= _WORD_MAX
    return Cursor(int(created), name) if is_name else None


# --- by what one chooses ----------------------------------------------------------------------------------

_ANY: Final = ""
_RESULTS: Final = (
    (_ANY, "Result"),
    (Outcome.COMPLETED.value, "Completed"),
    (Outcome.FAILED.value, "Failed"),
    (Outcome.CANCELLED.value, "Cancelled"),
)
_CACHES: Final = ((_ANY, "Cache"), ("read", "Cached"), ("none", "Not cached"))
_STREAMS: Final = ((_ANY, "Stream"), ("yes", "Streamed"), ("no", "At once"))


@dataclass(frozen=True, slots=True)
class CallFilters:
    """What calls must be like, as the address says it: "" for whatever. Sums do not tell these apart."""

    result: str = _ANY
    cache: str = _ANY
    streamed: str = _ANY

    @property
    def is_any(self) -> bool:
        return not (self.result or self.cache or self.streamed)

    @property
    def outcome(self) -> Outcome | None:
        return Outcome(self.result) if self.result else None

    @property
    def is_cached(self) -> bool | None:
        return self.cache == "read" if self.cache else None

    @property
    def is_streamed(self) -> bool | None:
        return self.streamed == "yes" if self.streamed else None

    @property
    def chosen(self) -> Mapping[str, str]:
        """By its name in the address."""
        return {"result": self.result, "cache": self.cache, "streamed": self.streamed}

    @property
    def selects(self) -> tuple[tuple[str, str, tuple[tuple[str, str], ...], str], ...]:
        """What it is about, its name in the address, what can be chosen, what is."""
        return (
            ("Result", "result", _RESULTS, self.result),
            ("Prompt cache", "cache", _CACHES, self.cache),
            ("Streaming", "streamed", _STREAMS, self.streamed),
        )

    @classmethod
    def of(cls, query: Mapping[str, str]) -> CallFilters:
        """Whatever makes no sense is as if it were not there."""

        def known(name: str, options: tuple[tuple[str, str], ...]) -> str:
            value = query.get(name, _ANY)
            return value if any(value == one for one, _ in options) else _ANY

        return cls(known("result", _RESULTS), known("cache", _CACHES), known("streamed", _STREAMS))


ANY_CALL: Final = CallFilters()
