"""A streamed answer in the Responses format: numbered events around the items.

    response.created, response.in_progress, (events of items)*, response.completed | .incomplete | .failed

Every event has a `sequence_number`, from 0. Events are `data:` lines alone, as in the chat dialect; the
official SDKs read the type from the JSON. After a proper end comes `[DONE]`.

A stream that breaks says so twice, as the format's own server does: an `error` event, with the error both
flat (the schema) and as an object (the guide; older SDKs raise at it), then `response.failed` with what was
there. No `[DONE]` follows. Limits that a model ran into are no errors here: the response is incomplete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from fairlead.core.chat import (
    ChatEvent,
    Finished,
    FinishReason,
    Frame,
    PlainEvent,
    Started,
    TextChunk,
)
from fairlead.core.errors import Problem
from fairlead.core.sse import DONE, data_frame
from fairlead.dialects.base import AnswerHead, Closing
from fairlead.dialects.responses_items import Output
from fairlead.dialects.responses_listener import Listener
from fairlead.dialects.responses_object import (
    LIMITS,
    Fields,
    ResponseObject,
    incomplete_reason,
    response_error,
)
from fairlead.dialects.responses_tools import CallForm, call_forms
from fairlead.wire.openai_errors import error_fields, router_metadata_field

__all__ = ["ResponseStream", "Telling"]

_encode: Final = msgspec.json.Encoder().encode
_NO_FORMS: Final[Mapping[str, CallForm]] = {}


class Telling:
    """One answer on its way: its items, how it ended, and the response object at any time.

    Only the first choice is told: the format has no place for others.
    """

    __slots__ = ("_finish", "_object", "_service_tier", "output")

    def __init__(self, head: AnswerHead, listener: Listener) -> None:
        self._object = ResponseObject(head)
        self._finish: FinishReason | None = None
        self._service_tier: str | None = None
        self.output = Output(
            head.generation,
            listener,
            call_forms(head.request.fields) if head.request is not None else _NO_FORMS,
            shows_reasoning=head.show_reasoning,
        )

    @property
    def has_answer(self) -> bool:
        """Whether the provider said anything, if only that it had ended."""
        return self.output.has_content or self._finish is not None

    def add(self, event: PlainEvent) -> None:
        if isinstance(event, Started):
            self._service_tier = event.service_tier or self._service_tier
        elif isinstance(event, Finished):
            if event.choice == 0 and self._finish is None:
                self._finish = event.reason
        elif getattr(event, "choice", 0) == 0:
            self.output.add(event)

    def begun(self) -> Fields:
        return self._object.fields("in_progress", [], service_tier=self._service_tier)

    def ended(self, closing: Closing) -> Fields:
        """Ends all items; the final response."""
        reason = incomplete_reason(self._finish)
        if reason is not None:
            fields = self._incomplete(reason, closing)
        else:
            self.output.end("completed")
            fields = self._snapshot("completed", closing)
        return fields | router_metadata_field(closing.metadata)

    def broken(self, problem: Problem, closing: Closing | None) -> Fields:
        """The response of an answer that broke off."""
        if problem.error_type in LIMITS:
            fields = self._incomplete("max_output_tokens", closing)
        else:
            self.output.abandon()
            fields = self._snapshot("failed", closing)
            fields["error"] = response_error(problem)
            fields["error_type"] = problem.error_type.value
        return fields | router_metadata_field(problem.router_metadata)

    def _incomplete(self, reason: str, closing: Closing | None) -> Fields:
        self.output.end("incomplete")
        fields = self._snapshot("incomplete", closing)
        fields["incomplete_details"] = {"reason": reason}
        return fields

    def _snapshot(self, status: str, closing: Closing | None) -> Fields:
        return self._object.fields(
            status, self.output.items(), service_tier=self._service_tier, closing=closing
        )


class _Writer:
    """Numbers events and writes them."""

    __slots__ = ("_around", "_number", "_place", "_written")

    def __init__(self) -> None:
        self._number = 0
        self._written: list[bytes] = []
        self._place: tuple[str, int] | None = None
        self._around = b""

    def event(self, kind: str, fields: Fields) -> None:
        event = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        self._written.append(data_frame(_encode(event)))

    def text(self, item_id: str, output_index: int, content_index: int, text: str) -> None:
        """As `event`; what does not change from piece to piece is written once."""
        if self._place != (item_id, content_index):
            self._place = (item_id, content_index)
            around = _encode(
                {
                    "type": "response.output_text.delta",
                    "item_id": item_id,
                    "output_index": output_index,
                    "content_index": content_index,
                    "logprobs": [],
                }
            )
            self._around = b"data: " + around[:-1] + b',"delta":'
        number = self._number
        self._number = number + 1
        self._written.append(
            b'%b%b,"sequence_number":%d}\n\n' % (self._around, _encode(text), number)
        )

    def taken(self) -> bytes:
        """What was written since the last time."""
        written = b"".join(self._written)
        self._written.clear()
        return written


class ResponseStream:
    """Writes one streamed answer."""

    __slots__ = ("_has_begun", "_telling", "_writer")

    def __init__(self, head: AnswerHead) -> None:
        self._writer = _Writer()
        self._telling = Telling(head, self._writer)
        self._has_begun = False

    def feed(self, events: Sequence[ChatEvent]) -> bytes:
        for event in events:
            if isinstance(event, TextChunk):
                self._begin()
                if event.likeness.index == 0:
                    self._telling.output.text(event.text)
            elif isinstance(event, Frame):
                for inner in event.events:
                    self._plain(inner)
            else:
                self._plain(event)
        return self._writer.taken()

    def close(self, closing: Closing) -> bytes:
        self._begin()
        self._end(self._telling.ended(closing))
        return self._writer.taken() + DONE

    def fail(self, problem: Problem, closing: Closing | None) -> bytes:
        self._begin()
        response = self._telling.broken(problem, closing)
        if response["status"] == "incomplete":
            self._end(response)
            return self._writer.taken() + DONE
        error = response_error(problem)
        self._writer.event(
            "error",
            {**error, "param": problem.param, "error": {**error_fields(problem), **error}},
        )
        self._end(response)
        return self._writer.taken()

    def _plain(self, event: PlainEvent) -> None:
        if not isinstance(event, Started):
            self._begin()
        self._telling.add(event)

    def _begin(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            response = self._telling.begun()
            self._writer.event("response.created", {"response": response})
            self._writer.event("response.in_progress", {"response": response})

    def _end(self, response: Fields) -> None:
        self._writer.event(f"response.{response['status']}", {"response": response})
