"""A chart's numbers, as its table has them; the script draws that table. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

__all__ = ["Chart", "Point", "Row", "chart", "distinct"]

ROWS_MAX = 1500  # a minute each for a day; more than a screen can show
SERIES_MAX = 12


@dataclass(frozen=True, slots=True)
class Point:
    """value: None: not known. text: as the table shows it."""

    value: float | int | None
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    unix_s: int
    label: str
    points: tuple[Point, ...]

    @property
    def cells(self) -> Markup:
        """A `<td>` for each point. All texts of a row are escaped at once: a page of charts has thousands, and
        one by one they took half of its template's time."""
        if not self.points:
            return Markup()
        texts = str(escape("\0".join(point.text for point in self.points))).split("\0")
        cells = (
            f'<td class="numeric" data-value="{"" if point.value is None else point.value}">{text}</td>'
            for point, text in zip(self.points, texts, strict=True)
        )
        return Markup("".join(cells))  # noqa: S704 - of numbers, and of texts that are escaped


@dataclass(frozen=True, slots=True)
class Chart:
    """unit: of the rows, as "Day". series: a column each."""

    unit: str
    series: tuple[str, ...]
    rows: tuple[Row, ...]


def distinct(names: Iterable[str]) -> list[str]:
    """Two keys or apps may have one name, two series may not: they are told apart by a number."""
    found: dict[str, None] = {}
    for name in names:
        told, number = name, 2
        while told in found:
            told, number = f"{name} ({number})", number + 1
        found[told] = None
    return list(found)


def chart(
    unit: str,
    series: Sequence[str],
    rows: Sequence[tuple[int, str, Sequence[float | int | None]]],
    *,
    written: Callable[[float | int | None], str],
) -> Chart:
    """rows: start in Unix seconds, its label, a value for each series. written: how a
    value looks in the table."""
    assert len(series) <= SERIES_MAX
    assert all(len(values) == len(series) for _, _, values in rows)
    return Chart(
        unit,
        tuple(series),
        tuple(
            Row(start, label, tuple(Point(value, written(value)) for value in values))
            for start, label, values in rows[-ROWS_MAX:]
        ),
    )
