"""A whole answer out of its events, for whoever needs it in one piece. Pure.

Events of one choice come in order; those of several choices may interleave.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from fairlead.core.chat import (
    AnnotationsAdded,
    ChatEvent,
    Finished,
    FinishReason,
    Frame,
    MediaAdded,
    PlainEvent,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextChunk,
    TextDelta,
    ToolCallDelta,
    UsageReported,
)

__all__ = ["Answer", "AnsweredCall", "Choice", "collect", "plain"]


@dataclass(slots=True)
class AnsweredCall:
    """One tool call, put together. arguments: JSON text as the model wrote it; perhaps not valid."""

    index: int
    id: str = ""
    name: str = ""
    type: str = "function"
    arguments: str = ""


@dataclass(slots=True)
class Choice:
    """One of the answers to one request. finish None: it never ended."""

    index: int
    text: str = ""
    has_text: bool = False
    reasoning: str = ""
    reasoning_details: list[Mapping[str, object]] = field(default_factory=list)
    refusal: str = ""
    calls: list[AnsweredCall] = field(default_factory=list)
    images: list[object] = field(default_factory=list)
    audio: object = None
    annotations: list[Mapping[str, object]] = field(default_factory=list)
    logprobs: list[msgspec.Raw] = field(default_factory=list)
    finish: FinishReason | None = None
    native_finish: str | None = None


@dataclass(slots=True)
class Answer:
    """Everything the events said. choices: by index, ascending."""

    started: Started | None = None
    choices: list[Choice] = field(default_factory=list)
    usage: UsageReported | None = None


def plain(events: Iterable[ChatEvent]) -> Iterator[PlainEvent]:
    """The events with those inside frames unpacked, in order."""
    for event in events:
        if isinstance(event, Frame):
            yield from event.events
        elif isinstance(event, TextChunk):
            yield event.delta
        else:
            yield event


def collect(events: Iterable[ChatEvent]) -> Answer:
    """Put an answer together. Text and arguments are joined once, so a long answer costs linear time."""
    answer = Answer()
    building: dict[int, _Building] = {}
    for event in plain(events):
        if isinstance(event, Started):
            answer.started = answer.started or event
        elif isinstance(event, UsageReported):
            answer.usage = event
        else:
            found = building.get(event.choice)
            if found is None:
                found = building[event.choice] = _Building(Choice(event.choice))
            found.add(event)
    answer.choices = [building[index].done() for index in sorted(building)]
    return answer


class _Building:
    """A choice whose texts are still in pieces."""

    __slots__ = ("_arguments", "_calls", "_choice", "_reasoning", "_refusal", "_text")

    def __init__(self, choice: Choice) -> None:
        self._choice = choice
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._calls: dict[int, AnsweredCall] = {}
        self._arguments: dict[int, list[str]] = {}

    def add(self, event: PlainEvent) -> None:
        choice = self._choice
        match event:
            case TextDelta():
                choice.has_text = True
                self._text.append(event.text)
                if event.logprobs is not None:
                    choice.logprobs.append(event.logprobs)
            case ReasoningDelta():
                self._reasoning.append(event.text)
                choice.reasoning_details.extend(event.details)
            case RefusalDelta():
                self._refusal.append(event.text)
            case ToolCallDelta():
                call = self._calls.get(event.index)
                if call is None:
                    call = self._calls[event.index] = AnsweredCall(event.index, type=event.type)
                    self._arguments[event.index] = []
                call.id = call.id or event.id or ""
                call.name = call.name or event.name or ""
                self._arguments[event.index].append(event.arguments)
            case MediaAdded():
                if event.kind == "audio":
                    choice.audio = _joined_audio(choice.audio, event.value)
                elif isinstance(event.value, list):
                    choice.images.extend(event.value)
            case AnnotationsAdded():
                choice.annotations.extend(event.annotations)
            case Finished():
                if choice.finish is None:
                    choice.finish, choice.native_finish = event.reason, event.native
            case Started() | UsageReported():
                raise AssertionError("not of one choice")

    def done(self) -> Choice:
        choice = self._choice
        choice.text = "".join(self._text)
        choice.reasoning = "".join(self._reasoning)
        choice.reasoning_details = _joined_details(choice.reasoning_details)
        choice.refusal = "".join(self._refusal)
        for index, call in self._calls.items():
            call.arguments = "".join(self._arguments[index])
        choice.calls = [self._calls[index] for index in sorted(self._calls)]
        return choice


def _joined_details(pieces: list[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """Pieces of one item, as a stream tells them, are joined; a signature ends its item."""
    joined: list[Mapping[str, object]] = []
    texts: dict[int, list[str]] = {}
    for piece in pieces:
        name = "summary" if piece.get("type") == "reasoning.summary" else "text"
        last = joined[-1] if joined else None
        if last is None or not _continues(last, piece):
            joined.append(dict(piece))
            texts[len(joined) - 1] = [str(piece.get(name) or "")]
        else:
            joined[-1] = {
                **last,
                **{key: value for key, value in piece.items() if value is not None},
            }
            texts[len(joined) - 1].append(str(piece.get(name) or ""))
    for position, told in texts.items():
        item = joined[position]
        name = "summary" if item.get("type") == "reasoning.summary" else "text"
        if name in item:
            joined[position] = {**item, name: "".join(told)}
    return joined


def _continues(last: Mapping[str, object], piece: Mapping[str, object]) -> bool:
    if piece.get("type") not in ("reasoning.text", "reasoning.summary"):
        return False
    return (
        all(last.get(key) == piece.get(key) for key in ("type", "index", "format"))
        and not last.get("signature")
        and piece.get("id") in (None, last.get("id"))
    )


def _joined_audio(before: object, piece: object) -> object:
    """Audio comes in pieces: `data` and `transcript` grow, the rest is replaced."""
    if not isinstance(before, dict) or not isinstance(piece, dict):
        return piece
    joined = {**before, **piece}
    for name in ("data", "transcript"):
        if isinstance(before.get(name), str) and isinstance(piece.get(name), str):
            joined[name] = before[name] + piece[name]
    return joined
