"""The output of a Responses answer: items, built event by event, and the events that tell of them.

Theory of operation. An answer is a list of items: messages, reasoning, calls, images. Whatever comes next
closes the item before it, so items are told one after the other, as the format's own server tells them.
One exception: the arguments of several calls may arrive interleaved. A call is closed if its arguments
are complete JSON when the next item begins; one that is not complete then stays open until the end, and
its `output_index` says where its pieces belong.

Whole answers are built by the same steps, with nobody listening; so both forms cannot drift apart.

Ids are made of the generation's id and the item's place, so an answer has the same ids however it is told.
Encrypted reasoning and signatures are always handed out, asked for or not: nothing is stored here, so
without them a caller could not go on. Audio has no place in this format; its transcript is told as text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, assert_never

import msgspec

from fairlead.core.chat import (
    AnnotationsAdded,
    Finished,
    MediaAdded,
    PlainEvent,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    UsageReported,
)
from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.core.ids import GenerationId
from fairlead.dialects.responses_calls import CallItem, ImageItem
from fairlead.dialects.responses_listener import Listener
from fairlead.dialects.responses_object import Fields
from fairlead.dialects.responses_reasoning import ReasoningItem
from fairlead.dialects.responses_tools import CallForm

__all__ = ["CHARACTERS_MAX", "ITEMS_MAX", "Output"]

ITEMS_MAX: Final = 4096  # in one answer; four times the calls that a reader allows in a choice
# Of one answer: it is held to its end, because the last event repeats it. As much as a whole answer may have.
CHARACTERS_MAX: Final = 128 * 1024 * 1024

_read_logprobs: Final = msgspec.json.Decoder(dict[str, object]).decode


class Output:
    """Give it the events of the answer's first choice, in order; then `end`."""

    def __init__(
        self,
        generation: GenerationId,
        listener: Listener,
        forms: Mapping[str, CallForm],
        *,
        shows_reasoning: bool,
    ) -> None:
        """forms: how the caller knows the tools that we gave names of ours."""
        self._generation = generation
        self._listener = listener
        self._forms = forms
        self._shows_reasoning = shows_reasoning
        self._items: list[_Message | ReasoningItem | CallItem | ImageItem] = []
        self._current: _Message | ReasoningItem | None = None
        self._calls: dict[int, CallItem] = {}  # by the index that the model gave them
        self._last_call: CallItem | None = None  # if it may still be open
        self._reasoning_ids: set[str] = set()
        self._annotations: list[Fields] = []  # that came before any text
        self._room = CHARACTERS_MAX
        self.has_content = False

    def items(self) -> list[Fields]:
        """What is there so far, finished or not."""
        return [item.fields() for item in self._items]

    def text(self, text: str) -> None:
        """Text without log probabilities."""
        if text:
            self._hold(len(text))
            current = self._current
            if type(current) is not _Message:
                current = self._message()
            current.say(text)

    def add(self, event: PlainEvent) -> None:
        """Raises UpstreamFailure (GARBAGE) for more than an answer may have."""
        match event:
            case TextDelta():
                if event.logprobs is None:
                    self.text(event.text)
                elif (items := _logprob_items(event.logprobs)) or event.text:
                    self._hold(len(event.logprobs))
                    self._message().say(event.text, items)
            case ReasoningDelta():
                if self._shows_reasoning:
                    self._reason(event)
            case RefusalDelta():
                if event.text:
                    self._hold(len(event.text))
                    self._message().refuse(event.text)
            case ToolCallDelta():
                self._call(event)
            case MediaAdded():
                self._media(event)
            case AnnotationsAdded():
                self._annotate(event.annotations)
            case Started() | Finished() | UsageReported():
                pass
            case _:
                assert_never(event)

    def end(self, status: str) -> None:
        """status: of items that the end cuts: completed or incomplete."""
        has_answer = any(not isinstance(item, ReasoningItem) for item in self._items)
        if self._annotations or (status == "completed" and not has_answer):
            self._message().say("")  # readers count on one item that answers
        self._close_current(status)
        for call in self._calls.values():
            call.close(status)

    def abandon(self) -> None:
        """The answer broke off: what is open stays so, and no client may take a piece of a call for one."""
        for item in self._items:
            item.abandon()

    # --- steps ---

    def _begin(self) -> int:
        """Whatever was being told is over; the place of the next item."""
        self._close_current("completed")
        if self._last_call is not None and self._last_call.is_complete:
            self._last_call.close("completed")
        self._last_call = None
        if len(self._items) >= ITEMS_MAX:
            raise _garbage(f"it has more than {ITEMS_MAX} parts")
        self.has_content = True
        return len(self._items)

    def _hold(self, characters: int) -> None:
        self._room -= characters
        if self._room < 0:
            raise _garbage(f"it has more than {CHARACTERS_MAX} characters")

    def _close_current(self, status: str) -> None:
        if self._current is not None:
            self._current.close(status)
            self._current = None

    def _id(self, prefix: str, index: int) -> str:
        return f"{prefix}_{self._generation}_{index}"

    def _message(self) -> _Message:
        current = self._current
        if isinstance(current, _Message):
            return current
        index = self._begin()
        item = _Message(self._id("msg", index), index, self._listener)
        self._items.append(item)
        self._current = item
        item.annotate(self._annotations)
        self._annotations = []
        return item

    def _reason(self, event: ReasoningDelta) -> None:
        details: Sequence[Mapping[str, object]] = event.details
        if not details:
            if not event.text:
                return
            details = ({"type": "reasoning.text", "text": event.text},)
        for detail in details:
            self._hold(sum(len(value) for value in detail.values() if isinstance(value, str)))
            current = self._current
            if not (isinstance(current, ReasoningItem) and current.takes(detail)):
                if not ReasoningItem.has_content(detail):
                    continue
                index = self._begin()
                item_id = detail.get("id")
                if not isinstance(item_id, str) or not item_id or item_id in self._reasoning_ids:
                    item_id = self._id("rs", index)  # no two items may have the same
                self._reasoning_ids.add(item_id)
                current = ReasoningItem(item_id, index, self._listener, detail)
                self._items.append(current)
                self._current = current
            current.add(detail)

    def _call(self, piece: ToolCallDelta) -> None:
        call = self._calls.get(piece.index)
        if call is None:
            index = self._begin()
            form = self._forms.get(piece.name or "")
            call = CallItem(
                piece,
                form,
                self._id(
                    "ctc" if piece.type == "custom" or (form and form.is_custom) else "fc", index
                ),
                index,
                self._listener,
                piece.id or self._id("call", index),
            )
            self._calls[piece.index] = self._last_call = call
            self._items.append(call)
        self._hold(len(piece.arguments))
        call.add(piece.arguments)

    def _annotate(self, annotations: Sequence[Mapping[str, object]]) -> None:
        flat = [found for annotation in annotations if (found := _annotation(annotation))]
        if isinstance(self._current, _Message):
            self._current.annotate(flat)
        else:
            self._annotations += flat

    def _media(self, event: MediaAdded) -> None:
        value = event.value
        if event.kind == "audio":
            transcript = value.get("transcript") if isinstance(value, dict) else None
            if isinstance(transcript, str):
                self.text(transcript)
            return
        for image in value if isinstance(value, list) else ():
            holder = image.get("image_url") if isinstance(image, dict) else None
            url = holder.get("url") if isinstance(holder, dict) else holder
            if isinstance(url, str):
                self._hold(len(url))
                index = self._begin()
                self._items.append(ImageItem(self._id("ig", index), index, self._listener, url))


def _garbage(why: str) -> UpstreamFailure:
    return UpstreamFailure(
        f"The provider's answer could not be read: {why}.", kind=FailureKind.GARBAGE
    )


def _logprob_items(raw: msgspec.Raw) -> list[object]:
    """Log probabilities of the chat format as those of this one: without its holder, bytes never null."""
    content = _read_logprobs(raw).get("content")
    items: list[object] = []
    for token in content if isinstance(content, list) else ():
        if isinstance(token, dict):
            best = token.get("top_logprobs")
            items.append(
                {
                    **_with_bytes(token),
                    "top_logprobs": [
                        _with_bytes(other)
                        for other in (best if isinstance(best, list) else ())
                        if isinstance(other, dict)
                    ],
                }
            )
    return items


def _with_bytes(token: Fields) -> Fields:
    return {**token, "bytes": token.get("bytes") or []}


def _annotation(annotation: Mapping[str, object]) -> Fields | None:
    """A citation, flat. Parsed files have no place in this format."""
    citation = annotation.get("url_citation")
    if annotation.get("type") != "url_citation" or not isinstance(citation, dict):
        return None
    url = str(citation.get("url") or "")
    return {
        "type": "url_citation",
        "url": url,
        "title": str(citation.get("title") or url),
        "start_index": citation.get("start_index") or 0,
        "end_index": citation.get("end_index") or 0,
    }


# --- a message ----------------------------------------------------------------------------------------


class _Part:
    """One part of a message in progress."""

    __slots__ = ("annotations", "is_refusal", "logprobs", "pieces")

    def __init__(self, *, is_refusal: bool) -> None:
        self.is_refusal = is_refusal
        self.pieces: list[str] = []
        self.logprobs: list[object] = []
        self.annotations: list[Fields] = []

    def fields(self) -> Fields:
        text = "".join(self.pieces)
        if self.is_refusal:
            return {"type": "refusal", "refusal": text}
        return {
            "type": "output_text",
            "annotations": list(self.annotations),
            "logprobs": list(self.logprobs),
            "text": text,
        }


class _Message:
    """Text, perhaps with citations, and refusals."""

    __slots__ = ("_id", "_index", "_listener", "_part", "_parts", "_status")

    def __init__(self, item_id: str, index: int, listener: Listener) -> None:
        self._id = item_id
        self._index = index
        self._listener = listener
        self._parts: list[_Part] = []
        self._part: _Part | None = None
        self._status = "in_progress"
        listener.event("response.output_item.added", {"output_index": index, "item": self.fields()})

    def fields(self) -> Fields:
        return {
            "id": self._id,
            "type": "message",
            "status": self._status,
            "role": "assistant",
            "content": [part.fields() for part in self._parts],
        }

    def say(self, text: str, logprobs: Sequence[object] = ()) -> None:
        part = self._part
        if part is None or part.is_refusal:
            part = self._open(is_refusal=False)
        part.pieces.append(text)
        if logprobs:
            part.logprobs += logprobs
            self._listener.event(
                "response.output_text.delta",
                {**self._place(), "delta": text, "logprobs": logprobs},
            )
        elif text:
            self._listener.text(self._id, self._index, len(self._parts) - 1, text)

    def refuse(self, text: str) -> None:
        part = self._part
        if part is None or not part.is_refusal:
            part = self._open(is_refusal=True)
        part.pieces.append(text)
        self._listener.event("response.refusal.delta", {**self._place(), "delta": text})

    def annotate(self, annotations: Sequence[Fields]) -> None:
        for annotation in annotations:
            part = self._part
            if part is None or part.is_refusal:
                part = self._open(is_refusal=False)
            part.annotations.append(annotation)
            self._listener.event(
                "response.output_text.annotation.added",
                {
                    **self._place(),
                    "annotation_index": len(part.annotations) - 1,
                    "annotation": annotation,
                },
            )

    def close(self, status: str) -> None:
        self._close_part()
        self._status = status
        self._listener.event(
            "response.output_item.done", {"output_index": self._index, "item": self.fields()}
        )

    def abandon(self) -> None:
        if self._status == "in_progress":
            self._status = "incomplete"

    def _place(self) -> Fields:
        return {
            "item_id": self._id,
            "output_index": self._index,
            "content_index": len(self._parts) - 1,
        }

    def _open(self, *, is_refusal: bool) -> _Part:
        self._close_part()
        part = self._part = _Part(is_refusal=is_refusal)
        self._parts.append(part)
        self._listener.event(
            "response.content_part.added", {**self._place(), "part": part.fields()}
        )
        return part

    def _close_part(self) -> None:
        part = self._part
        if part is None:
            return
        fields = part.fields()
        if part.is_refusal:
            self._listener.event(
                "response.refusal.done", {**self._place(), "refusal": fields["refusal"]}
            )
        else:
            self._listener.event(
                "response.output_text.done",
                {**self._place(), "text": fields["text"], "logprobs": fields["logprobs"]},
            )
        self._listener.event("response.content_part.done", {**self._place(), "part": fields})
        self._part = None
