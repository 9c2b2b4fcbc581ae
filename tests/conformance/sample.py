"""The answers that the official clients read: a few of every shape, always the same."""

from __future__ import annotations

from functools import cache

from tests.conformance.meaning import Choice
from tests.conformance.recorded import Source, answers
from tests.recordings import Recording

__all__ = ["sample"]

ALIKE_MAX = 2  # answers of one source that have the same to say


def shape(choice: Choice) -> tuple[object, ...]:
    """What there is in an answer, its words aside."""
    return (
        bool(choice.text),
        bool(choice.reasoning),
        bool(choice.refusal),
        min(len(choice.calls), 2),
        choice.finish,
        bool(choice.spoken),
        bool(choice.images),
        bool(choice.cited),
    )


@cache
def sample(source: Source) -> tuple[Recording, ...]:
    """The shortest few of every shape: clients read long streams in quadratic time."""
    found: dict[tuple[object, ...], list[Recording]] = {}
    for case in sorted(answers(source), key=lambda case: (len(case.body), case.id)):
        alike = found.setdefault((case.streamed, *map(shape, source.read(case).choices)), [])
        if len(alike) < ALIKE_MAX:
            alike.append(case)
    return tuple(case for cases in found.values() for case in cases)
