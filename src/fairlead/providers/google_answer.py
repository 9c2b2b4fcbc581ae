"""Google's answers, read into events: the objects of a stream, or the one of a whole answer, in order.

How an answer is told here, and what follows for us:

- Every object is a `GenerateContentResponse` with the parts that are new. Nothing says which is the last: a
  finish reason may be repeated in each, and counts are running totals. So ends are told by `end`, once the
  bytes are over; counts whenever they come.
- A call comes whole, in one part, with an object for its arguments, often without an id: one is made from
  what is known, the same whenever the answer is read again. A choice with calls ends in `tool_calls`.
- Thoughts are parts like any other. A part may carry a signature, which has to come back with it: it
  travels as an encrypted reasoning detail, whose id is that of the call or image that it belongs to, or none
  for text.
- A prompt that is refused has a `promptFeedback` instead of candidates. That is a failure, told before
  anything was said; an answer that is stopped for its content ends in `content_filter`.

Source: https://ai.google.dev/api/generate-content (read 2026-11-21).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

import msgspec

from fairlead.core.chat import (
    AnnotationsAdded,
    Finished,
    FinishReason,
    MediaAdded,
    PlainEvent,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    UsageReported,
)
from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.providers.google_citations import citations, web_searches
from fairlead.providers.google_contents import REASONING_FORMAT, image_signature_id
from fairlead.providers.google_failures import failure_inside
from fairlead.providers.google_response import (
    Call,
    Candidate,
    Feedback,
    Part,
    decode_response,
)
from fairlead.providers.google_usage import Counts, read_counts, usage_of
from fairlead.providers.whole_body import garbage

__all__ = ["CHOICES_MAX", "TOOL_CALLS_MAX", "AnswerReader"]

CHOICES_MAX: Final = 128  # Google's own bound is 8
TOOL_CALLS_MAX: Final = 1024  # in one choice
CITED_CHARACTERS_MAX: Final = 4_000_000  # of text is kept, to find the places of citations in it

_FINISH_REASONS: Final[Mapping[str, FinishReason]] = {
    "STOP": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "CONTINUATION": FinishReason.LENGTH,
    "TOO_MANY_TOOL_CALLS": FinishReason.LENGTH,
    "SAFETY": FinishReason.CONTENT_FILTER,
    "RECITATION": FinishReason.CONTENT_FILTER,
    "LANGUAGE": FinishReason.CONTENT_FILTER,
    "BLOCKLIST": FinishReason.CONTENT_FILTER,
    "PROHIBITED_CONTENT": FinishReason.CONTENT_FILTER,
    "SPII": FinishReason.CONTENT_FILTER,
    "ESCALATION": FinishReason.CONTENT_FILTER,
    "PUP_LIMITED_DISABLED": FinishReason.CONTENT_FILTER,
    "MODEL_ARMOR": FinishReason.CONTENT_FILTER,
    "IMAGE_SAFETY": FinishReason.CONTENT_FILTER,
    "IMAGE_PROHIBITED_CONTENT": FinishReason.CONTENT_FILTER,
    "IMAGE_RECITATION": FinishReason.CONTENT_FILTER,
    "OTHER": FinishReason.ERROR,
    "IMAGE_OTHER": FinishReason.ERROR,
    "NO_IMAGE": FinishReason.ERROR,
    "MALFORMED_FUNCTION_CALL": FinishReason.ERROR,
    "MALFORMED_RESPONSE": FinishReason.ERROR,
    "MISSING_THOUGHT_SIGNATURE": FinishReason.ERROR,
}
# The model called a function that nobody declared: the caller sees the call, and can answer it.
_STILL_A_CALL: Final = "UNEXPECTED_TOOL_CALL"
# Numbers instead of words come from a server that was asked for them.
_FINISH_NUMBERS: Final[Mapping[int, str]] = {
    1: "STOP",
    2: "MAX_TOKENS",
    3: "SAFETY",
    4: "RECITATION",
    5: "OTHER",
}
_UNSPECIFIED: Final = frozenset({"", "FINISH_REASON_UNSPECIFIED"})


_decode_any: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode


class _Choice:
    """What is known of one choice so far."""

    __slots__ = (
        "audio",
        "calls",
        "citation_metadata",
        "finish",
        "grounding",
        "images",
        "items",
        "kept_characters",
        "last_item",
        "texts",
    )

    def __init__(self) -> None:
        self.finish = ""
        self.calls = 0
        self.images = 0
        self.items = 0  # reasoning details that were begun
        self.last_item = ""  # the kind of the one that may go on
        self.texts: list[str] = []
        self.kept_characters = 0
        self.audio = b""  # bytes that do not fill three yet
        self.grounding: dict[str, object] = {}
        self.citation_metadata: dict[str, object] = {}


class AnswerReader:
    """Reads one answer. Feed it each JSON object once, in order; then ask `end` for what is still missing."""

    __slots__ = ("_choices", "_counts", "_has_started", "_searches", "_seed")

    def __init__(self) -> None:
        self._choices: dict[int, _Choice] = {}
        self._has_started = False
        self._seed = ""
        self._counts: Counts | None = None
        self._searches = 0

    @property
    def has_begun(self) -> bool:
        return self._has_started

    @property
    def has_choices(self) -> bool:
        return bool(self._choices)

    @property
    def is_complete(self) -> bool:
        """Whether there was a choice, and every one has ended."""
        return bool(self._choices) and all(choice.finish for choice in self._choices.values())

    def read(self, data: bytes) -> list[PlainEvent]:
        """What one object says. Raises UpstreamFailure for an error, a refused prompt or garbage in it."""
        try:
            answer = decode_response(data)
        except (ValueError, RecursionError):  # bytes that are not UTF-8 are ValueErrors too
            raise garbage("it is not of the format") from None
        if answer.error and answer.error != _NULL:
            raise _error_inside(data)
        counts = read_counts(answer.usage_metadata)
        events: list[PlainEvent] = []
        if not self._has_started:
            self._has_started = True
            self._seed = f"{answer.response_id}|{answer.model_version}"
            tier = counts.tier if counts is not None else None
            events.append(Started(answer.response_id, answer.model_version, tier))
        for position, candidate in enumerate(answer.candidates or ()):
            self._candidate(candidate, position, events)
        if counts is not None:
            self._report_usage(counts, events)
        feedback = answer.prompt_feedback
        if feedback is not None and feedback.block_reason and not self._choices:
            raise _refused(feedback)
        return events

    def end(self) -> list[PlainEvent]:
        """What can be said only now that all has been read. Raises UpstreamFailure if a choice failed."""
        events: list[PlainEvent] = []
        for index, choice in sorted(self._choices.items()):
            if choice.audio:
                events.append(_audio(base64.b64encode(choice.audio).decode(), index))
                choice.audio = b""
            if choice.grounding or choice.citation_metadata:
                text = "".join(choice.texts)
                found = citations(text, choice.grounding, choice.citation_metadata)
                if found:
                    events.append(AnnotationsAdded(found, index))
                self._searches += web_searches(choice.grounding)
        if self._searches and self._counts is not None:
            self._report_usage(self._counts, events)
        for index, choice in sorted(self._choices.items()):
            events.append(_finished(index, choice))
        return events

    def _report_usage(self, counts: Counts, events: list[PlainEvent]) -> None:
        """A later report replaces an earlier one as a whole, but for one that counts nothing."""
        usage = usage_of(counts, web_searches=self._searches)
        if usage is not None:
            self._counts = counts
            events.append(UsageReported(usage))

    # --- a candidate --------------------------------------------------------------------------------------

    def _candidate(self, candidate: Candidate, position: int, events: list[PlainEvent]) -> None:
        index = position if candidate.index is None else candidate.index
        choice = self._choices.get(index)
        if choice is None:
            if not 0 <= index < CHOICES_MAX:
                raise garbage(f"choice {index} of at most {CHOICES_MAX}")
            choice = self._choices[index] = _Choice()
        logprobs = _logprobs(candidate.logprobs_result)
        content = candidate.content
        for part in (content.parts or ()) if content is not None else ():
            if part.text and not part.thought:
                events.append(TextDelta(part.text, index, logprobs))
                logprobs = None
                choice.last_item = ""
                if choice.kept_characters < CITED_CHARACTERS_MAX:
                    choice.texts.append(part.text)
                    choice.kept_characters += len(part.text)
                if part.thought_signature:
                    events.append(_signature(part.thought_signature, None, choice, index))
            else:
                self._other_part(part, index, choice, events)
        if logprobs is not None:
            events.append(TextDelta("", index, logprobs))
        if candidate.grounding_metadata:
            _update(choice.grounding, candidate.grounding_metadata)
        if candidate.citation_metadata:
            _update(choice.citation_metadata, candidate.citation_metadata)
        if candidate.finish_reason is not None:
            choice.finish = _word(candidate.finish_reason) or choice.finish

    def _other_part(
        self, part: Part, index: int, choice: _Choice, events: list[PlainEvent]
    ) -> None:
        signature = part.thought_signature
        if part.function_call is not None:
            call_id = self._call(part.function_call, index, choice, events)
            if signature:
                events.append(_signature(signature, call_id, choice, index))
        elif part.thought:
            if part.text:
                events.append(_thought(part.text, signature, choice, index))
            elif signature:
                events.append(_signature(signature, None, choice, index))
        elif part.inline_data is not None or part.file_data is not None:
            media_id = _media(part, index, choice, events)
            if signature:
                events.append(_signature(signature, media_id, choice, index))
        elif (ran := _own_tool(part)) is not None:
            choice.last_item = ""
            events.append(ReasoningDelta("", index, (_item(ran, signature, choice),)))
        elif signature:
            events.append(_signature(signature, None, choice, index))

    def _call(self, call: Call, index: int, choice: _Choice, events: list[PlainEvent]) -> str:
        position = choice.calls
        if position >= TOOL_CALLS_MAX:
            raise garbage(f"more than {TOOL_CALLS_MAX} tool calls in one answer")
        choice.calls += 1
        choice.last_item = ""
        call_id = call.id or self._minted_id(index, position, call.name)
        events.append(
            ToolCallDelta(position, _compact(call.args) or "{}", call_id, call.name, index)
        )
        return call_id

    def _minted_id(self, index: int, position: int, name: str) -> str:
        """An id for a call that came without: unique per answer, the same whenever it is read again."""
        digest = sha256(f"{self._seed}|{index}|{position}|{name}".encode()).hexdigest()
        return f"call_{digest[:24]}"


# --- ends -------------------------------------------------------------------------------------------------


def _word(native: str | int) -> str:
    word = _FINISH_NUMBERS.get(native, "") if isinstance(native, int) else native
    return "" if word in _UNSPECIFIED else word


def _finished(index: int, choice: _Choice) -> Finished:
    """How a choice ended. Raises UpstreamFailure where that is a failure; an unknown word is a stop."""
    native = choice.finish
    reason = _FINISH_REASONS.get(native, FinishReason.STOP)
    if native == _STILL_A_CALL and not choice.calls:
        reason = FinishReason.ERROR
    if reason is FinishReason.ERROR:
        kind = FailureKind.SERVER
        if native == "MISSING_THOUGHT_SIGNATURE":
            kind = FailureKind.BAD_REQUEST
        raise UpstreamFailure(
            f"The provider ended its answer with an error: {native}.",
            kind=kind,
            provider_code=native,
        )
    if reason is FinishReason.STOP and choice.calls:
        reason = FinishReason.TOOL_CALLS
    return Finished(reason, native, index)


def _refused(feedback: Feedback) -> UpstreamFailure:
    reason = str(feedback.block_reason)
    told = feedback.block_reason_message
    return UpstreamFailure(
        told or f"The provider refused the prompt for its content: {reason}.",
        kind=FailureKind.CONTENT_POLICY,
        provider_code=reason,
    )


def _error_inside(data: bytes) -> UpstreamFailure:
    try:
        fields = _decode_any(data)
    except (ValueError, RecursionError):  # raw fields were skipped, not read
        return garbage("it is not JSON")
    assert isinstance(fields, dict)  # it was an object a moment ago
    return failure_inside(fields)


_NULL: Final = msgspec.Raw(b"null")


# --- thoughts and signatures ------------------------------------------------------------------------------


def _thought(text: str, signature: str | None, choice: _Choice, index: int) -> ReasoningDelta:
    """Thoughts that follow each other are one item."""
    if choice.last_item != "thought":
        choice.items += 1
        choice.last_item = "thought"
    item: dict[str, object] = {
        "type": "reasoning.text",
        "text": text,
        "format": REASONING_FORMAT,
        "index": choice.items - 1,
    }
    if signature:
        item["signature"] = signature
        choice.last_item = ""
    return ReasoningDelta(text, index, (item,))


def _signature(signature: str, part_id: str | None, choice: _Choice, index: int) -> ReasoningDelta:
    """part_id: of the call or image that it belongs to."""
    choice.last_item = ""
    item = _item({"type": "reasoning.encrypted", "data": signature, "id": part_id}, None, choice)
    return ReasoningDelta("", index, (item,))


def _item(fields: dict[str, object], signature: str | None, choice: _Choice) -> dict[str, object]:
    choice.items += 1
    item = {**fields, "format": REASONING_FORMAT, "index": choice.items - 1}
    return {**item, "signature": signature} if signature else item


def _own_tool(part: Part) -> dict[str, object] | None:
    """What Google's own tools were asked, or answered, as a reasoning detail."""
    if part.executable_code is not None:
        told, name = part.executable_code, "code_execution"
        arguments, result = _encode({"language": told.language, "code": told.code}).decode(), None
    elif part.code_execution_result is not None:
        told, name = part.code_execution_result, "code_execution"
        arguments = ""
        result = _encode({"outcome": told.outcome, "output": told.output}).decode()
    elif part.tool_call is not None:
        told, name = part.tool_call, (part.tool_call.tool_type or "").lower()
        arguments, result = _compact(told.args), None
    elif part.tool_response is not None:
        told, name = part.tool_response, (part.tool_response.tool_type or "").lower()
        arguments, result = "", _compact(told.response)
    else:
        return None
    return {
        "type": "reasoning.server_tool_call",
        "tool_name": name,
        "arguments": arguments,
        "result": result,
        "tool_call_id": told.id,
    }


# --- images, audio, probabilities ---------------------------------------------------------------------------


def _media(part: Part, index: int, choice: _Choice, events: list[PlainEvent]) -> str | None:
    """The id under which a signature of this part travels."""
    choice.last_item = ""
    blob = part.inline_data
    if blob is not None and blob.mime_type.startswith("audio/"):
        try:
            sound = choice.audio + base64.b64decode(_standard(blob.data))
        except (binascii.Error, ValueError):
            raise garbage("its audio is not base64") from None
        # Pieces are joined as text, so each must fill its base64 but the last.
        whole = len(sound) - len(sound) % 3
        choice.audio = sound[whole:]
        if whole:
            events.append(_audio(base64.b64encode(sound[:whole]).decode(), index))
        return None
    if blob is not None:
        url = f"data:{blob.mime_type or 'image/png'};base64,{_standard(blob.data)}"
    else:
        assert part.file_data is not None  # one of the two is there
        url = part.file_data.file_uri
    image_id = image_signature_id(choice.images)
    choice.images += 1
    events.append(MediaAdded("images", [{"type": "image_url", "image_url": {"url": url}}], index))
    return image_id


def _audio(data: str, index: int) -> MediaAdded:
    return MediaAdded("audio", {"data": data}, index)


def _standard(data: str) -> str:
    """base64 in the alphabet of data URLs."""
    return data.replace("-", "+").replace("_", "/")


def _logprobs(result: Mapping[str, object] | None) -> msgspec.Raw | None:
    """Probabilities in the chat dialect's shape."""
    chosen = result.get("chosenCandidates") if result else None
    if not result or not isinstance(chosen, list):
        return None
    tops = result.get("topCandidates")
    tops = tops if isinstance(tops, list) else []
    content = []
    for position, told in enumerate(chosen):
        top = tops[position] if position < len(tops) else None
        others = top.get("candidates") if isinstance(top, dict) else None
        content.append(
            {
                **_token(told),
                "top_logprobs": [_token(one) for one in others] if isinstance(others, list) else [],
            }
        )
    return msgspec.Raw(_encode({"content": content, "refusal": None}))


def _token(told: object) -> dict[str, object]:
    fields = told if isinstance(told, dict) else {}
    token, logprob = fields.get("token"), fields.get("logProbability", 0.0)
    token = token if isinstance(token, str) else ""
    return {
        "token": token,
        "logprob": logprob if isinstance(logprob, int | float) else 0.0,
        "bytes": list(token.encode("utf-8", "replace")),
    }


def _compact(raw: msgspec.Raw) -> str:
    """JSON as the provider wrote it, without spaces between; "" for none."""
    if not raw or raw == _NULL:
        return ""
    try:
        return msgspec.json.format(bytes(raw), indent=-1).decode()
    except (ValueError, RecursionError):  # raw fields were skipped, not read
        raise garbage("a value in it is not JSON") from None


def _update(known: dict[str, object], fresh: Mapping[str, object]) -> None:
    """Later words win, but empty ones."""
    known.update((name, value) for name, value in fresh.items() if value)
