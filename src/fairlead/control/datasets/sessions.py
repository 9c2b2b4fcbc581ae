"""What sessions of apps cost, so that nobody's spending can be read from it. Pure.

    book = SessionBook()
    for account in ...:
        for sample in ...:         # all of the account's calls, in any order
            book.add(sample)
        book.account_ends()
    book.cells()

A session is those calls of an account and an app that have a `session_id` in common. It counts for the model
that answered most of them. A median is told where SESSIONS_MIN sessions of ACCOUNTS_MIN accounts are behind it,
and no account has more than half of these.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from statistics import median_low
from typing import Final, NamedTuple

from fairlead.control.datasets.types import SessionCosts, TurnRange
from fairlead.control.usage.apps import claim
from fairlead.control.usage.calendar import day_start_ms, week_start_ms
from fairlead.control.usage.samples import Sample
from fairlead.core.generation import Outcome
from fairlead.core.money import NANO_PER_USD

__all__ = ["ACCOUNTS_MIN", "SESSIONS_MIN", "Cell", "SessionBook", "is_due"]

SESSIONS_MIN: Final = 20
ACCOUNTS_MIN: Final = 5
SESSIONS_MAX: Final = 500_000  # in all; some 100 MB while they are counted
CELLS_MAX: Final = 5_500  # as many as can be asked for
USD_DIGITS: Final = 4


class Cell(NamedTuple):
    """identity: of the app. cost_usd: the median."""

    identity: str
    model: str
    turns: TurnRange
    cost_usd: float


@dataclass(slots=True)
class _Session:
    cost_nano: int = 0
    answers: Counter[str] = field(default_factory=Counter)  # by model


@dataclass(slots=True)
class _Sessions:
    """All of one cell. of_account: how many each account has, without its name."""

    costs_nano: list[int] = field(default_factory=list)
    of_account: list[int] = field(default_factory=list)

    @property
    def is_publishable(self) -> bool:
        count = len(self.costs_nano)
        return (
            count >= SESSIONS_MIN
            and len(self.of_account) >= ACCOUNTS_MIN
            and 2 * max(self.of_account) <= count
        )


class SessionBook:
    def __init__(self) -> None:
        self._open: dict[tuple[str, str], _Session] = {}
        self._told: defaultdict[tuple[str, str, TurnRange], _Sessions] = defaultdict(_Sessions)
        self._count = 0

    def add(self, sample: Sample) -> None:
        """A call; most belong to no session, or to no public app."""
        if not sample.session_id or sample.is_private:
            return
        claimed = claim(sample.attribution)
        if claimed is None or not claimed.is_public:
            return
        at = (claimed.identity, sample.session_id)
        session = self._open.get(at)
        if session is None:
            if self._count >= SESSIONS_MAX:
                return
            self._count += 1
            session = self._open[at] = _Session()
        session.cost_nano += sample.list_cost if sample.is_byok else sample.cost
        if sample.outcome != Outcome.FAILED:
            session.answers[sample.model] += 1

    def account_ends(self) -> None:
        """What comes next is another's."""
        counts: Counter[tuple[str, str, TurnRange]] = Counter()
        for (identity, _), session in self._open.items():
            turns = session.answers.total()
            if not turns:
                continue
            model = min(session.answers, key=lambda one: (-session.answers[one], one))
            cell = (identity, model, _turn_range(turns))
            self._told[cell].costs_nano.append(session.cost_nano)
            counts[cell] += 1
        for cell, count in counts.items():
            self._told[cell].of_account.append(count)
        self._open.clear()

    def cells(self) -> list[Cell]:
        """Those that may be told, by app, model and turns."""
        found = [
            Cell(identity, model, turns, _usd(median_low(sessions.costs_nano)))
            for (identity, model, turns), sessions in self._told.items()
            if sessions.is_publishable
        ]
        order = list(TurnRange)
        found.sort(key=lambda one: (one.identity, one.model, order.index(one.turns)))
        return found[:CELLS_MAX]


def is_due(known: SessionCosts | None, now_ms: int) -> bool:
    """Whether to count anew: each Monday, and each day while there is nothing to tell."""
    if known is None:
        return True
    begins = week_start_ms if known.cells else day_start_ms
    return begins(known.made_ms) < begins(now_ms)


def _turn_range(turns: int) -> TurnRange:
    if turns == 1:
        return TurnRange.ONE
    if turns < 10:
        return TurnRange.FEW
    return TurnRange.SOME if turns < 50 else TurnRange.MANY


def _usd(nano: int) -> float:
    return round(nano / NANO_PER_USD, USD_DIGITS)
