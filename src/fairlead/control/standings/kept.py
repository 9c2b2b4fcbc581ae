"""Sums that were read before, for as long as nothing is added to them."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import sqlalchemy as sa

from fairlead.control.standings import queries
from fairlead.control.standings.queries import Mark, Series
from fairlead.control.standings.rules import Counted
from fairlead.control.usage.spans import Span
from fairlead.control.usage.types import Level, Resolution

__all__ = ["MARKED_BY", "KeptSums"]

SUMS_MAX: Final = 500_000  # that are kept; 24 bytes each
# By what one sees that nothing was added. Apps alone are a thirtieth of what they asked of each model, and are
# added to in the same transaction.
MARKED_BY: Final[Mapping[Level, Level]] = {
    Level.APP: Level.APP_ALONE,
    Level.MODEL_ALONE: Level.MODEL_ALONE,
}


class KeptSums:
    """Sums by model, and by app and model: so many that handing a year of them over is most of what a page
    takes, and those of the past hardly ever change.

    What began at a moment is read again if all of it together came to something else than when it was read.
    That is added up by the database in a fraction of the time, and every call that is added counts there: so
    answers are those of the database at that moment. Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[Level, Resolution, int], tuple[Mark, Counted]] = {}
        self._count = 0  # of all that are kept
        self._keeping = threading.Lock()  # or of two who count at once, one is lost

    def counted(
        self, connection: sa.Connection, series: Series, spans: Iterable[Span]
    ) -> Iterator[Counted]:
        """Tokens and requests, as queries.counted has them. series: of a level in MARKED_BY."""
        for span in spans:
            at = (series.level, span.resolution)
            marks = queries.marks(connection, MARKED_BY[series.level], span)
            known = {start_ms: self._kept.get((*at, start_ms)) for start_ms in marks}
            current = {
                start_ms: kept[1]
                for start_ms, kept in known.items()
                if kept is not None and kept[0] == marks[start_ms]
            }
            missing = [start_ms for start_ms in marks if start_ms not in current]
            if missing:
                # Mostly the one that is now, or all. What lies between them is read again as well.
                around = Span(span.resolution, min(missing), max(missing) + 1)
                for one in queries.counted(connection, series, [around], "tokens", "requests"):
                    current[one.start_ms] = self._keep(*at, marks, one)
            yield from current.values()

    def _keep(
        self, level: Level, resolution: Resolution, marks: Mapping[int, Mark], one: Counted
    ) -> Counted:
        packed = Counted(
            one.start_ms, array("q", one.series), tuple(array("q", sums) for sums in one.sums)
        )
        at = (level, resolution, one.start_ms)
        with self._keeping:
            before = self._kept.get(at)
            self._count += len(one.series) - (len(before[1].series) if before is not None else 0)
            if self._count > SUMS_MAX:
                self._kept, self._count = {}, len(one.series)
            self._kept[at] = (marks.get(one.start_ms, ()), packed)
        return packed
