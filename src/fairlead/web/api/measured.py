"""What calls through this installation tell of models, for lists that are sorted by it.

Counting it reads a week of sums, and everybody sees the same: it is kept for a moment.
"""

from __future__ import annotations

from typing import Final

from fairlead.core.errors import Overloaded
from fairlead.core.ids import ModelId
from fairlead.web.api.model_query import NOTHING_MEASURED, Measured
from fairlead.web.services import WebServices

__all__ = ["Measuring"]

KEPT_S: Final = 20.0


class Measuring:
    """measured = await Measuring(services).current()"""

    def __init__(self, services: WebServices) -> None:
        self._services = services
        self._kept: tuple[float, Measured] | None = None

    async def known(self) -> Measured:
        """Nothing where we cannot tell: what the catalogue says is worth showing without it."""
        try:
            return await self.current()
        except Overloaded:
            return NOTHING_MEASURED

    async def current(self) -> Measured:
        """Two that come at once ask twice. Raises Overloaded if we cannot tell."""
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
