"""What is measured of models, for lists that are sorted and cut by it.

Counting calls reads a week of sums, and everybody sees the same: it is kept for a moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from fairlead.core.errors import Overloaded
from fairlead.core.ids import ModelId
from fairlead.web.api.model_query import (
    MEASURED_SORTS,
    NOTHING_MEASURED,
    TOOL_SUCCESS,
    Measured,
)
from fairlead.web.services import WebServices

__all__ = ["Measuring"]

KEPT_S: Final = 20.0


class Measuring:
    """measured = await Measuring(services).needed(request.query_params)"""

    def __init__(self, services: WebServices) -> None:
        self._services = services
        self._kept: tuple[float, Measured] | None = None

    async def needed(self, parameters: Mapping[str, str]) -> Measured:
        """As much as a list with these parameters goes by; what costs nothing is always there. Raises
        Overloaded if we cannot tell."""
        is_sorted = parameters.get("sort") in MEASURED_SORTS
        measured = await self.current() if is_sorted else NOTHING_MEASURED
        measured = replace(measured, indices=self._services.benchmarks.indices)
        if any(parameters.get(f"{bound}_{TOOL_SUCCESS}") for bound in ("min", "max")):
            measured = replace(measured, tool_success=self._tool_success())
        return measured

    async def known(self) -> Measured:
        """As `current`; nothing where we cannot tell: what the catalogue says is worth showing without it."""
        try:
            return await self.current()
        except Overloaded:
            return NOTHING_MEASURED

    async def current(self) -> Measured:
        """What calls of seven days tell. Two that come at once ask twice. Raises Overloaded if we cannot
        tell."""
        desk = self._services.standings
        if desk is None:
            return NOTHING_MEASURED
        now_s = self._services.clock.now_s()
        if self._kept is not None and 0 <= now_s - self._kept[0] < KEPT_S:
            return self._kept[1]
        standings = desk.service

        def asked() -> Measured:
            speeds = standings.weekly_speeds()
            return Measured(
                weekly_tokens={
                    ModelId(model): tokens for model, tokens in standings.weekly_tokens().items()
                },
                latency_s={
                    ModelId(model): one.latency_s
                    for model, one in speeds.items()
                    if one.latency_s is not None
                },
                tokens_per_s={
                    ModelId(model): one.tokens_per_s
                    for model, one in speeds.items()
                    if one.tokens_per_s is not None
                },
            )

        measured = await desk.do(asked)
        self._kept = now_s, measured
        return measured

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
