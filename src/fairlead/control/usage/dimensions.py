"""What usage is told apart by when somebody asks, and where that is kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fairlead.control.usage.types import (
    INSTALLATION,
    INSTALLATION_KEPT_AT,
    KEPT_AT,
    Level,
    Resolution,
)

__all__ = ["Dimension", "Filter", "Operator", "level_for", "resolutions_for"]


class Dimension(StrEnum):
    """By their public names."""

    MODEL = "model"
    PROVIDER = "provider"
    ENDPOINT = "endpoint"
    API_KEY = "api_key_id"
    USER = "user"
    WORKSPACE = "workspace"
    APP = "app"
    API_TYPE = "api_type"
    BYOK = "is_byok"

    @property
    def unset(self) -> str | int | None:
        """How it is kept that there is no value; None: there always is one."""
        if self is Dimension.APP:
            return 0
        return "" if self in _MAY_BE_UNSET else None


_MAY_BE_UNSET: Final = frozenset({Dimension.USER, Dimension.WORKSPACE})


class Operator(StrEnum):
    EQ = "eq"
    NEQ = "neq"
    IN = "in"
    NOT_IN = "not_in"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"

    @property
    def is_ordering(self) -> bool:
        """It compares by order. Whether something is so or not has none."""
        return self in (Operator.GT, Operator.GTE, Operator.LT, Operator.LTE)


@dataclass(frozen=True, slots=True)
class Filter:
    """values: as they are kept ("" and 0: unset); one, but for IN and NOT_IN.

    include_unset: for those two, also what has no value.
    """

    dimension: Dimension
    operator: Operator
    values: tuple[str | int | bool, ...]
    include_unset: bool = False

    def holds(self, value: str | int | bool) -> bool:
        """As in SQL; see queries."""
        unset = value == self.dimension.unset
        match self.operator:
            case Operator.EQ:
                return value == self.values[0]
            case Operator.NEQ:
                return value != self.values[0]
            case Operator.IN:
                return value in self.values or (unset and self.include_unset)
            case Operator.NOT_IN:
                return self.include_unset if unset else value not in self.values
            case Operator.GT:
                return value > self.values[0]  # type: ignore[operator]  # of one type
            case Operator.GTE:
                return value >= self.values[0]  # type: ignore[operator]
            case Operator.LT:
                return value < self.values[0]  # type: ignore[operator]
            case Operator.LTE:
                return value <= self.values[0]  # type: ignore[operator]


_ANSWERED: Final = frozenset(
    {Dimension.MODEL, Dimension.PROVIDER, Dimension.ENDPOINT, Dimension.API_TYPE, Dimension.BYOK}
)
_TOLD_APART: Final[Mapping[Level, frozenset[Dimension]]] = {
    Level.FULL: frozenset(Dimension),
    Level.MODEL: _ANSWERED,
    Level.KEY: frozenset({Dimension.API_KEY, Dimension.USER, Dimension.WORKSPACE}),
    Level.APP: frozenset({Dimension.APP, Dimension.MODEL}),
    Level.WORKSPACE: _ANSWERED | {Dimension.WORKSPACE},
    Level.MODEL_ALONE: frozenset({Dimension.MODEL}),
    Level.APP_ALONE: frozenset({Dimension.APP}),
    Level.PROVIDER_ALONE: frozenset({Dimension.PROVIDER}),
}
_FROM_COARSE: Final = tuple(reversed(Resolution))


def level_for(
    account: str, resolution: Resolution, dimensions: Collection[Dimension]
) -> Level | None:
    """The level with the fewest rows that tells these apart. None: the installation keeps none."""
    kept_at = INSTALLATION_KEPT_AT if account == INSTALLATION else KEPT_AT
    for level in kept_at[resolution]:
        if _TOLD_APART[level].issuperset(dimensions):
            return level
    return None


def resolutions_for(
    account: str, dimensions: Collection[Dimension], *, coarsest: Resolution
) -> tuple[Resolution, ...]:
    """What such a question is read from, the coarsest first.

    Weeks are left out where they tell more apart than days: they would be more rows, not fewer.
    """
    levels = {one: level_for(account, one, dimensions) for one in _FROM_COARSE}
    week, day = levels[Resolution.WEEK], levels[Resolution.DAY]
    if week is not None and day is not None and not _TOLD_APART[week] <= _TOLD_APART[day]:
        levels[Resolution.WEEK] = None
    return tuple(
        one for one in _FROM_COARSE[_FROM_COARSE.index(coarsest) :] if levels[one] is not None
    )
