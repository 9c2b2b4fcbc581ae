"""What this process has counted, for Prometheus. Names: docs/operate/metrics.md.

The figures are kept where every call passes anyway: around the usage journal. One process, one set of
figures; a scraper adds up workers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Final

from fairlead.core.generation import Generation, Outcome
from fairlead.core.money import NANO_PER_USD
from fairlead.gateway.ports import Generations

__all__ = ["CountedGenerations", "exposition"]


class CountedGenerations:
    """A journal that also counts what is written to it."""

    def __init__(self, journal: Generations) -> None:
        self._journal = journal
        self._calls: dict[Outcome, int] = dict.fromkeys(Outcome, 0)
        self._fallbacks = 0
        self._prompt_tokens = 0
        self._completion_tokens = 0
        self._cost_nano = 0

    def check(self) -> None:
        self._journal.check()

    def append(self, generation: Generation) -> Awaitable[None] | None:
        recorded = self._journal.append(generation)
        usage = generation.usage
        self._calls[generation.outcome] += 1
        self._fallbacks += len(generation.attempts) > 1
        self._prompt_tokens += usage.prompt_tokens
        self._completion_tokens += usage.completion_tokens
        self._cost_nano += generation.cost
        return recorded

    def samples(self) -> dict[str, float]:
        """Sample name, labels included, to value."""
        return {
            **{
                f'fairlead_calls_total{{outcome="{outcome.value}"}}': count
                for outcome, count in self._calls.items()
            },
            "fairlead_fallbacks_total": self._fallbacks,
            'fairlead_tokens_total{side="prompt"}': self._prompt_tokens,
            'fairlead_tokens_total{side="completion"}': self._completion_tokens,
            "fairlead_cost_usd_total": self._cost_nano / NANO_PER_USD,
        }


_HELP: Final = {
    "fairlead_calls_total": ("counter", "Calls that reached a provider, by how they ended."),
    "fairlead_fallbacks_total": ("counter", "Calls that more than one endpoint was tried for."),
    "fairlead_tokens_total": ("counter", "Tokens used, cached and reasoning tokens included."),
    "fairlead_cost_usd_total": ("counter", "What callers were charged, in US dollars."),
    "fairlead_budget_slices": ("gauge", "Budgets that this process has set something aside of."),
    "fairlead_budget_free_usd": (
        "gauge",
        "Set aside of budgets and held by no call: what may be spent while the database is away.",
    ),
    "fairlead_budget_held_usd": ("gauge", "Held for calls under way, of all budgets together."),
    "fairlead_budget_trips_total": ("counter", "Questions to the database about budgets."),
    "fairlead_budget_waits_total": ("counter", "Calls that waited for such an answer."),
    "fairlead_budget_refusals_total": ("counter", "Calls that some budget had no room for."),
    "fairlead_calls_under_way": ("gauge", "Calls being served now."),
    "fairlead_journal_backlog_bytes": ("gauge", "Usage recorded but not yet in the database."),
    "fairlead_database_away": (
        "gauge",
        "1 while the database does not answer: known keys are served from what is set aside.",
    ),
    "fairlead_journal_failing": ("gauge", "1 while usage cannot be written down: calls get 503."),
    "fairlead_settler_failing": ("gauge", "1 while the database does not take usage records."),
    "fairlead_contents_dropped_total": (
        "counter",
        "Prompts and answers that were to be kept and could not be.",
    ),
}


def exposition(samples: Mapping[str, float]) -> str:
    """Prometheus's text format, version 0.0.4. Samples of one metric must follow each other."""
    lines: list[str] = []
    last = ""
    for sample, value in samples.items():
        name = sample.partition("{")[0]
        if name != last:
            kind, text = _HELP[name]
            lines += (f"# HELP {name} {text}", f"# TYPE {name} {kind}")
            last = name
        lines.append(f"{sample} {value!r}")
    return "\n".join(lines) + "\n"
