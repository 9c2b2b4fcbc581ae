"""An answer as the timed steps in which a model would produce it; each format turns steps into events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NamedTuple

from fairlead.sandbox.ask import Answer, Choice

__all__ = ["FINGERPRINT", "Label", "Step", "StepKind", "TimedBytes", "steps", "total_s"]

TimedBytes = tuple[float, bytes]  # (seconds to wait before these bytes, the bytes)


class StepKind(Enum):
    """What a step adds."""

    REASONING = auto()
    TEXT = auto()
    CALL = auto()  # a tool call begins: its name
    ARGUMENTS = auto()
    FINISH = auto()


class Step(NamedTuple):
    """call: index of the tool call within the choice."""

    delay_s: float
    kind: StepKind
    choice: int
    text: str
    call: int = 0


@dataclass(frozen=True, slots=True)
class Label:
    """What a format needs beside the answer. number: of the call; ids are made from it.

    run: tells the ids of one process from those of another.
    """

    number: int
    run: str
    created_s: int
    model: str
    has_usage: bool = True

    @property
    def id(self) -> str:
        return f"{self.run}{self.number:010d}"


FINGERPRINT: Final = "fp_fairlead_sandbox"


def steps(answer: Answer) -> Iterator[Step]:
    """All steps in order: one choice after the other, reasoning before text before calls."""
    delay_s = answer.pace.first_s
    for index, choice in enumerate(answer.choices):
        for kind, text, call in _tokens(choice):
            yield Step(delay_s, kind, index, text, call)
            delay_s = answer.pace.between_s
        yield Step(0.0, StepKind.FINISH, index, "")


def _tokens(choice: Choice) -> Iterable[tuple[StepKind, str, int]]:
    for text in choice.reasoning:
        yield StepKind.REASONING, text, 0
    for text in choice.text:
        yield StepKind.TEXT, text, 0
    for number, call in enumerate(choice.calls):
        yield StepKind.CALL, call.name, number
        for text in call.arguments:
            yield StepKind.ARGUMENTS, text, number


def total_s(answer: Answer) -> float:
    """How long the whole answer takes to produce."""
    return answer.pace.first_s + max(0, answer.counts.completion - 1) * answer.pace.between_s
