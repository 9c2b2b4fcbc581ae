"""Items of a Responses answer that are no words: calls of tools, and images. See `responses_items.py`."""

from __future__ import annotations

from typing import Final

import msgspec

from fairlead.core.chat import ToolCallDelta
from fairlead.dialects.responses_listener import Listener
from fairlead.dialects.responses_object import Fields
from fairlead.dialects.responses_tools import CallForm

__all__ = ["CallItem", "ImageItem"]

_decode: Final = msgspec.json.Decoder().decode


class CallItem:
    """A call of a function, or of a custom tool. Empty arguments of a function are `{}`."""

    __slots__ = (
        "_call_id",
        "_id",
        "_index",
        "_is_custom",
        "_is_mapped",
        "_listener",
        "_name",
        "_namespace",
        "_pieces",
        "_status",
    )

    def __init__(
        self,
        first: ToolCallDelta,
        form: CallForm | None,
        item_id: str,
        index: int,
        listener: Listener,
        call_id: str,
    ) -> None:
        self._name = form.name if form is not None else first.name or ""
        self._namespace = form.namespace if form is not None else None
        self._is_mapped = form is not None and form.is_custom and first.type != "custom"
        self._is_custom = self._is_mapped or first.type == "custom"
        self._id = item_id
        self._call_id = call_id
        self._index = index
        self._listener = listener
        self._pieces: list[str] = []
        self._status = "in_progress"
        listener.event("response.output_item.added", {"output_index": index, "item": self.fields()})

    @property
    def is_complete(self) -> bool:
        """Whether nothing can be missing."""
        if self._status != "in_progress":
            return False
        if self._is_custom and not self._is_mapped:
            return (
                True  # free text has no mark of its end; who calls several at once ends each first
            )
        try:
            return isinstance(_decode("".join(self._pieces)), dict)
        except (ValueError, RecursionError):
            return False

    def fields(self) -> Fields:
        fields: Fields = {"id": self._id, "type": "function_call"}
        if self._is_custom:
            fields["type"] = "custom_tool_call"
        else:
            fields["status"] = self._status
        fields["call_id"] = self._call_id
        fields["name"] = self._name
        if self._namespace is not None:
            fields["namespace"] = self._namespace
        fields["input" if self._is_custom else "arguments"] = self._text()
        return fields

    def add(self, piece: str) -> None:
        if not piece or self._status != "in_progress":
            return
        self._pieces.append(piece)
        if not self._is_mapped:
            self._tell(piece)

    def close(self, status: str) -> None:
        if self._status != "in_progress":
            return
        if not self._is_custom and status == "completed" and not "".join(self._pieces).strip():
            self.add("{}")
        self._status = status
        text = self._text()
        if self._is_mapped and text:
            self._tell(text)
        if self._is_custom:
            done = {"item_id": self._id, "output_index": self._index, "input": text}
            self._listener.event("response.custom_tool_call_input.done", done)
        else:
            done = {"item_id": self._id, "output_index": self._index, "name": self._name}
            done["arguments"] = text
            self._listener.event("response.function_call_arguments.done", done)
        self._listener.event(
            "response.output_item.done", {"output_index": self._index, "item": self.fields()}
        )

    def abandon(self) -> None:
        if self._status == "in_progress":
            self._status = "incomplete"

    def _tell(self, piece: str) -> None:
        kind = "custom_tool_call_input" if self._is_custom else "function_call_arguments"
        self._listener.event(
            f"response.{kind}.delta",
            {"item_id": self._id, "output_index": self._index, "delta": piece},
        )

    def _text(self) -> str:
        """Arguments as they were written, or the input that they hold."""
        text = "".join(self._pieces)
        if not self._is_mapped or not text:
            return text
        try:
            arguments = _decode(text)
        except (ValueError, RecursionError):
            return text
        found = arguments.get("input") if isinstance(arguments, dict) else None
        return found if isinstance(found, str) else text


class ImageItem:
    """An image that the model made: it comes whole."""

    __slots__ = ("_id", "_result")

    def __init__(self, item_id: str, index: int, listener: Listener, url: str) -> None:
        self._id = item_id
        _, mark, data = url.partition(";base64,")
        self._result = data if mark else url
        place: Fields = {"item_id": item_id, "output_index": index}
        begun = {**self.fields(), "status": "in_progress", "result": None}
        listener.event("response.output_item.added", {"output_index": index, "item": begun})
        listener.event("response.image_generation_call.in_progress", place)
        listener.event("response.image_generation_call.completed", place)
        listener.event("response.output_item.done", {"output_index": index, "item": self.fields()})

    def abandon(self) -> None:
        """It came whole."""

    def fields(self) -> Fields:
        return {
            "id": self._id,
            "type": "image_generation_call",
            "status": "completed",
            "result": self._result,
        }
