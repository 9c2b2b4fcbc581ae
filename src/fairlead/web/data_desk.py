"""The published data sets as the web edge asks for them, and how often somebody may."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from fairlead.control.datasets.service import DataSets
from fairlead.core.errors import RateLimited
from fairlead.core.ids import AccountId
from fairlead.core.limits import Allowance, LimitName
from fairlead.web.asking import Desk

__all__ = ["PER_DAY", "PER_MINUTE", "DataDesk"]

PER_MINUTE: Final = 30  # of a key
PER_DAY: Final = 500  # of an account, all keys together

_Answer = TypeVar("_Answer")


class Paces(Protocol):
    """Counts requests, and says of one too many when to come again."""

    async def take(self, wanted: list[Allowance], /, *, now_s: float) -> RateLimited | None: ...


@dataclass(frozen=True, slots=True)
class DataDesk:
    sets: Desk[DataSets]
    paces: Paces
    now_s: Callable[[], float]

    async def admit(self, key: str, account: AccountId) -> None:
        """Count a request. key: or the person without one. Raises RateLimited."""
        wanted = [
            Allowance(LimitName.DATA_MINUTE, key, PER_MINUTE),
            Allowance(LimitName.DATA_DAY, account, PER_DAY),
        ]
        refusal = await self.paces.take(wanted, now_s=self.now_s())
        if refusal is not None:
            raise refusal

    async def ask(self, question: Callable[[DataSets], _Answer]) -> _Answer:
        """Raises RequestInvalid, and Overloaded if we cannot tell."""
        return await self.sets.do(lambda: question(self.sets.service))
