"""What is measured of models, for lists that are sorted and cut by it.

Counting calls reads a week of sums, and everybody sees the same: it is kept for a moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from fairlead.control.standings.service import Standings
from fairlead.core.errors import Overloaded
from fairlead.core.ids import ModelId
from fairlead.web.api.model_query import (
    MEASURED_SORTS,
    NOTHING_MEASURED,
    TOKEN_SORTS,
    TOOL_SUCCESS,
    Measured,
)
from fairlead.web.remembered import Remembered
from fairlead.web.services import WebServices

__all__ = ["Measuring"]

_Ask: TypeAlias = Callable[[Standings], Measured]


class Measuring:
    """measured = await Measuring(services).needed(request.query_params)"""

    def __init__(self, services: WebServices) -> None:
        self._services = services
        self._counted: Remembered[Measured] = Remembered(services.clock)

    async def needed(self, parameters: Mapping[str, str]) -> Measured:
        """As much as a list with these parameters goes by; what costs nothing is always there. Raises
        Overloaded if we cannot tell."""
        sort, measured = parameters.get("sort"), NOTHING_MEASURED
        if sort in MEASURED_SORTS:
            measured = await self._asked(_tokens if sort in TOKEN_SORTS else _speeds)
        measured = replace(measured, indices=self._services.benchmarks.indices)
        if any(parameters.get(f"{bound}_{TOOL_SUCCESS}") for bound in ("min", "max")):
            measured = replace(measured, tool_success=self._tool_success())
        return measured

    async def weekly_tokens(self) -> Mapping[ModelId, int]:
        """By model. None at all where we cannot tell: what the catalogue says is worth showing without it."""
        try:
            return (await self._asked(_tokens)).weekly_tokens
        except Overloaded:
            return {}

    async def _asked(self, ask: _Ask) -> Measured:
        """Raises Overloaded if we cannot tell."""
        desk = self._services.standings
        if desk is None:
            return NOTHING_MEASURED
        question = partial(ask, desk.service)
        return await self._counted.get(ask, lambda: desk.do(question))

    def _tool_success(self) -> Mapping[ModelId, float]:
        """Of all endpoints of a model together, as far as this process knows."""
        calls, errors = Counter[ModelId](), Counter[ModelId]()
        at = self._services.health.tool_calls()
        for model in self._services.catalog.snapshot.models.values():
            for endpoint in model.endpoints:
                if endpoint.id in at:
                    called, failed = at[endpoint.id]
                    calls[model.id] += called
                    errors[model.id] += failed
        return {model: 1 - errors[model] / count for model, count in calls.items()}


def _tokens(standings: Standings) -> Measured:
    return Measured(
        weekly_tokens={
            ModelId(model): tokens for model, tokens in standings.weekly_tokens().items()
        }
    )


def _speeds(standings: Standings) -> Measured:
    """Four times the work."""
    speeds = {ModelId(model): speed for model, speed in standings.weekly_speeds().items()}
    return Measured(
        latency_s={
            model: one.latency_s for model, one in speeds.items() if one.latency_s is not None
        },
        tokens_per_s={
            model: one.tokens_per_s for model, one in speeds.items() if one.tokens_per_s is not None
        },
    )
