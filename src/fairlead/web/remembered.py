"""Answers that everybody may see, kept for a moment: a page that many look at asks once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

from fairlead.web.services import Clock

__all__ = ["Remembered"]

KEPT_S: Final = 20.0
ANSWERS_MAX: Final = 200  # a few hundred KB each at most

_Answer = TypeVar("_Answer")


class Remembered(Generic[_Answer]):
    """rankings = Remembered(clock); await rankings.get(("model", "week"), ask)"""

    def __init__(
        self, clock: Clock, *, kept_s: float = KEPT_S, answers_max: int = ANSWERS_MAX
    ) -> None:
        self._clock = clock
        self._kept_s = kept_s
        self._answers_max = answers_max
        self._answers: dict[Hashable, tuple[float, _Answer]] = {}

    async def get(self, question: Hashable, ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """Two that come at once ask twice; the same comes out. What `ask` raises is not kept."""
        now_s = self._clock.now_s()
        known = self._answers.get(question)
        if known is not None and 0 <= now_s - known[0] < self._kept_s:
            return known[1]
        answer = await ask()
        if len(self._answers) >= self._answers_max:
            self._answers.clear()
        self._answers[question] = (now_s, answer)
        return answer
