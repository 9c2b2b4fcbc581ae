"""What was asked and answered, for accounts that want it kept. Pure.

Of a long conversation the last messages are kept, of a long answer its beginning; that something is missing
is said in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from fairlead.core.chat import (
    ChatEvent,
    ChatRequest,
    Frame,
    PlainEvent,
    ReasoningDelta,
    RefusalDelta,
    TextChunk,
    TextDelta,
)
from fairlead.core.ids import AccountId, GenerationId, WorkspaceId
from fairlead.core.retrieval import EmbeddingsRequest, RerankRequest

__all__ = ["ANSWER_CHARACTERS_MAX", "INPUT_BYTES_MAX", "Answer", "Content", "ContentError", "asked"]

INPUT_BYTES_MAX: Final = 512 * 1024  # some hundred thousand tokens; one image of a camera is more
ANSWER_CHARACTERS_MAX: Final = (
    256 * 1024
)  # each of text and reasoning; the longest answers are half of it

_encode: Final = msgspec.json.Encoder().encode


class ContentError(msgspec.Struct, frozen=True, array_like=True):
    """Why a call failed: the failure that said most of those that its providers told. status: what it means
    here.
    """

    status: int
    message: str
    provider: str | None = None


class Content(msgspec.Struct, frozen=True, array_like=True):
    """Of one generation. Kept by position: a new field goes to the end, with a default.

    messages: a JSON array, in the shapes of chat; or prompt: a text.
    completion, reasoning: None: there was none.
    """

    generation: GenerationId
    account: AccountId
    workspace: WorkspaceId
    created_ms: int
    messages: bytes | None
    prompt: str | None
    completion: str | None
    reasoning: str | None
    error: ContentError | None = None

    def __repr__(self) -> str:  # it must not get into a log
        return f"Content({self.generation})"

    @property
    def size_bytes(self) -> int:
        """About, in memory."""
        return _FIXED_BYTES + sum(
            len(one)
            for one in (self.messages, self.prompt, self.completion, self.reasoning)
            if one is not None
        )


_FIXED_BYTES: Final = 500


def asked(request: ChatRequest) -> tuple[bytes | None, str | None]:
    """Messages, or a prompt: what a request asks."""
    if isinstance(request, RerankRequest):
        return None, _beginning(request.query)
    if isinstance(request, EmbeddingsRequest):
        texts = [one for one in request.inputs if isinstance(one, str)]
        return None, _beginning("\n".join(texts))
    body = request.body
    if body.messages is None:
        prompt = body.prompt
        return None, _beginning(prompt if isinstance(prompt, str) else _encode(prompt).decode())
    kept: list[bytes] = []
    room_bytes = INPUT_BYTES_MAX
    for message in reversed(body.messages):
        written = _encode(message)
        room_bytes -= len(written) + 1
        if room_bytes < 0:
            break
        kept.append(written)
    if left_out := len(body.messages) - len(kept):
        note = {"role": "system", "content": f"[{left_out} earlier messages are too long to keep]"}
        kept.append(_encode(note))
    return b"[" + b",".join(reversed(kept)) + b"]", None


def _beginning(text: str) -> str:
    if len(text) <= ANSWER_CHARACTERS_MAX:
        return text
    return f"{text[:ANSWER_CHARACTERS_MAX]}[...]"


class _Text:
    __slots__ = ("_kept", "_room_characters")

    def __init__(self) -> None:
        self._kept: list[str] = []
        self._room_characters = ANSWER_CHARACTERS_MAX

    def add(self, piece: str) -> None:
        if self._room_characters > 0:
            self._kept.append(piece[: self._room_characters])
            self._room_characters -= len(piece)

    def text(self) -> str | None:
        if not self._kept:
            return None
        return "".join(self._kept) + ("[...]" if self._room_characters < 0 else "")


class Answer:
    """Takes down what a caller was given."""

    __slots__ = ("_reasoning", "_text")

    def __init__(self) -> None:
        self._text = _Text()
        self._reasoning = _Text()

    def watch(self, events: Sequence[ChatEvent]) -> None:
        for event in events:
            if isinstance(event, TextChunk):
                self._text.add(event.text)
            elif isinstance(event, Frame):
                for inner in event.events:
                    self._note(inner)
            else:
                self._note(event)

    def _note(self, event: PlainEvent) -> None:
        if isinstance(event, TextDelta | RefusalDelta):
            self._text.add(event.text)
        elif isinstance(event, ReasoningDelta):
            self._reasoning.add(event.text)

    @property
    def completion(self) -> str | None:
        return self._text.text()

    @property
    def reasoning(self) -> str | None:
        return self._reasoning.text()
