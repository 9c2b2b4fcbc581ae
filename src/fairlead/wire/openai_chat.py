"""The OpenAI chat format, as providers really write it, read into events and put into its documented form.

`AnswerReader` reads the JSON objects of one answer, in order: chunks of a stream, or one whole answer.
Each object is normalised in place, so that it can travel on to a caller of the same format, and its
meaning is returned as events, for everybody else. Both say the same thing.

What normalising means:

- every choice has `index`, `finish_reason` (null until the end, once) and, at the end, `native_finish_reason`;
- reasoning is `reasoning` (text) and `reasoning_details` (items), whatever the provider calls it;
- the first fragment of a tool call has `index`, `id`, `type` and `function.name`, later ones only arguments;
- `content` is text, never a list; empty stand-ins for "nothing here" are gone; so is padding;
- `usage` is taken out of chunks: it is said once, at the end, by whoever writes the answer.

Nothing here trusts the provider: any JSON object gives events or `UpstreamFailure`.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Final, Literal

import msgspec

from fairlead.core.chat import (
    AnnotationsAdded,
    Finished,
    FinishReason,
    MediaAdded,
    PlainEvent,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    UsageReported,
    WireFormat,
)
from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.wire.openai_alike import PADDING
from fairlead.wire.openai_pieces import CallState, ChoiceState, piece_of, reasoning_details
from fairlead.wire.openai_usage import read_cost_usd, read_usage

__all__ = ["CHOICES_MAX", "TOOL_CALLS_MAX", "AnswerReader", "finish_reason_of"]

CHOICES_MAX: Final = 128  # OpenAI's own bound on `n`
TOOL_CALLS_MAX: Final = 1024  # in one choice; eight times the tools a request may offer there

_FINISH_REASONS: Final[Mapping[str, FinishReason]] = {
    "stop": FinishReason.STOP,
    "eos": FinishReason.STOP,
    "eos_token": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "end_turn": FinishReason.STOP,
    "completed": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "max_output_tokens": FinishReason.LENGTH,
    "max_length": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "tool_call": FinishReason.TOOL_CALLS,
    "tool_use": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
    "content_filtered": FinishReason.CONTENT_FILTER,
    "sensitive": FinishReason.CONTENT_FILTER,
    "safety": FinishReason.CONTENT_FILTER,
    "recitation": FinishReason.CONTENT_FILTER,
    "prohibited_content": FinishReason.CONTENT_FILTER,
    "refusal": FinishReason.CONTENT_FILTER,
    "error": FinishReason.ERROR,
    "network_error": FinishReason.ERROR,
    "insufficient_system_resource": FinishReason.ERROR,
    "engine_overloaded": FinishReason.ERROR,
}

_PLAIN_KEYS: Final = frozenset({"role", "content", "refusal", "annotations"})
# Fields of a chunk that say nothing when there is no choice in it.
_ENVELOPE: Final = frozenset(
    {
        "id", "object", "created", "model", "choices", "provider", "system_fingerprint", "service_tier",
        "x_groq", "time_info", "sla_metrics", "usage_breakdown", "stats", "timings",
    }
)  # fmt: skip


def finish_reason_of(native: str) -> FinishReason:
    """The normalised word for a provider's word; an unknown one is a stop."""
    return _FINISH_REASONS.get(native) or _FINISH_REASONS.get(native.lower(), FinishReason.STOP)


class AnswerReader:
    """Reads one answer. Feed it each JSON object once, in order; then ask `end` what is still missing.

    Objects given to `chunk` and `whole` are changed in place. Both raise UpstreamFailure (kind GARBAGE)
    for a shape that cannot be read; errors that a provider reports inside an object are not looked for
    here, because they differ by provider.
    """

    __slots__ = ("_choices", "_has_error_finish", "_has_started", "_seed", "format", "usage")

    def __init__(self) -> None:
        self.format = WireFormat.OPENAI_CHAT
        self.usage: UsageReported | None = None
        self._choices: dict[int, ChoiceState] = {}
        self._has_started = False
        self._has_error_finish = False
        self._seed = ""

    # --- chunks of a stream ---------------------------------------------------------------------------

    def chunk(self, fields: dict[str, object]) -> tuple[PlainEvent, ...]:
        """Normalise one chunk and say what it means. An emptied `choices` means: nothing to pass on."""
        choices = fields.get("choices")
        if self._has_started and type(choices) is list and len(choices) == 1:
            piece = piece_of(fields, choices[0], self._choices)
            if piece is not None:
                return piece
        events: list[PlainEvent] = []
        if not self._has_started:
            events.append(self._start(fields))
        if choices is None:
            choices = fields["choices"] = []
        if not isinstance(choices, list):
            raise _garbage("`choices` is no list")
        for name in PADDING:
            fields.pop(name, None)
        self._take_usage(fields, events)
        for position, choice in enumerate(choices):
            if not isinstance(choice, dict):
                raise _garbage("a choice is no object")
            self._streamed_choice(choice, position, fields, events)
        if not choices and not (fields.keys() <= _ENVELOPE):
            # Something of the provider's own: it travels on, in a chunk that every client can read.
            choices.append({"index": 0, "delta": {}, "finish_reason": None})
        return tuple(events)

    def _streamed_choice(
        self,
        choice: dict[str, object],
        position: int,
        fields: dict[str, object],
        events: list[PlainEvent],
    ) -> None:
        index, state = self._state(choice, position)
        delta = choice.get("delta")
        if isinstance(delta, dict):
            choice.pop("message", None)  # Writer repeats the delta there
        elif isinstance(choice.get("text"), str) and "message" not in choice:
            self.format = WireFormat.OPENAI_COMPLETIONS
            self._text_choice(choice, index, state, events)
            self._finish(choice, index, state, events)
            return
        else:
            delta = choice.pop("message", None)
            delta = choice["delta"] = delta if isinstance(delta, dict) else {}
        if "usage" in choice:
            self._take_usage(choice, events)
        if not isinstance(choice.get("logprobs"), dict | None):
            choice["logprobs"] = None
        if "role" in delta:
            delta["role"] = "assistant"
        self._contents(delta, choice, index, state, events)
        if delta.get("tool_calls"):
            self._streamed_calls(delta, index, state, events, fields)
        else:
            delta.pop("tool_calls", None)
        self._finish(choice, index, state, events)

    def _streamed_calls(
        self,
        delta: dict[str, object],
        index: int,
        state: ChoiceState,
        events: list[PlainEvent],
        fields: dict[str, object],
    ) -> None:
        pieces = delta["tool_calls"]
        if not isinstance(pieces, list):
            raise _garbage("`tool_calls` is no list")
        for piece in pieces:
            if not isinstance(piece, dict):
                raise _garbage("a tool call is no object")
            call = self._call_of(piece, state)
            is_first = call is None
            if call is None:
                call = self._new_call(piece, index, state, fields)
            function = piece.get("function")
            custom = piece.get("custom")
            kind = piece.get("type")
            if isinstance(function, dict) or not isinstance(custom, dict):
                function = function if isinstance(function, dict) else {}
                piece["function"] = function
                if "custom" in piece:
                    del piece["custom"]
                kind = "function"
                arguments = function["arguments"] = _text_of_json(function.get("arguments"))
                name = function.get("name")
                if not isinstance(name, str) or not name or call.named:
                    function.pop("name", None)
                    name = None
            else:
                kind = kind if isinstance(kind, str) and kind else "custom"
                arguments = custom["input"] = _text_of_json(custom.get("input"))
                name = custom.get("name")
                if not isinstance(name, str) or not name or call.named:
                    custom.pop("name", None)
                    name = None
            call.named = call.named or name is not None
            piece["index"] = call.index
            if is_first:
                piece["id"] = call.id
                piece["type"] = kind
            else:
                piece.pop("id", None)
                piece.pop("type", None)
            events.append(
                ToolCallDelta(
                    index=call.index,
                    arguments=arguments,
                    id=call.id if is_first else None,
                    name=name,
                    choice=index,
                    type=kind,
                )
            )
        state.has_content = True

    def _call_of(self, piece: dict[str, object], state: ChoiceState) -> CallState | None:
        """The call that a fragment continues, or None if it begins one.

        `index` says it, where there is one; a new id at a known index is a new call all the same, and
        without an index a new id begins a call and anything else continues the last one.
        """
        upstream_index = piece.get("index")
        call_id = piece.get("id")
        call_id = call_id if isinstance(call_id, str) else ""
        if isinstance(upstream_index, int) and not isinstance(upstream_index, bool):
            known = state.by_upstream_index.get(upstream_index)
            if known is not None and call_id and call_id != known.id and _name_of(piece):
                return None
            return known
        if call_id:
            return next((call for call in state.calls if call.id == call_id), None)
        if _name_of(piece) or not state.calls:
            return None
        return state.calls[-1]

    def _new_call(
        self, piece: dict[str, object], index: int, state: ChoiceState, fields: dict[str, object]
    ) -> CallState:
        position = len(state.calls)
        if position >= TOOL_CALLS_MAX:
            raise _garbage(f"more than {TOOL_CALLS_MAX} tool calls in one answer")
        call_id = piece.get("id")
        if not isinstance(call_id, str) or not call_id:
            call_id = self._minted_id(fields, index, position, _name_of(piece))
        call = CallState(position, call_id)
        state.calls.append(call)
        upstream_index = piece.get("index")
        if isinstance(upstream_index, int):
            state.by_upstream_index[upstream_index] = call
        return call

    def _minted_id(self, fields: dict[str, object], index: int, position: int, name: str) -> str:
        """An id for a call that came without: unique per answer, the same whenever the answer is read again."""
        if not self._seed:
            self._seed = f"{fields.get('id')}|{fields.get('created')}|{fields.get('model')}"
        digest = sha256(f"{self._seed}|{index}|{position}|{name}".encode()).hexdigest()
        return f"call_{digest[:24]}"

    # --- one whole answer -----------------------------------------------------------------------------

    def whole(self, fields: dict[str, object]) -> tuple[PlainEvent, ...]:
        """Normalise a whole answer and say what it means."""
        events: list[PlainEvent] = [self._start(fields)]
        choices = fields.get("choices")
        if not isinstance(choices, list):
            raise _garbage("there are no `choices`")
        for position, choice in enumerate(choices):
            if not isinstance(choice, dict):
                raise _garbage("a choice is no object")
            index, state = self._state(choice, position)
            choice["index"] = index
            message = choice.get("message")
            if isinstance(message, dict):
                choice.pop("delta", None)
            elif isinstance(choice.get("text"), str):
                self.format = WireFormat.OPENAI_COMPLETIONS
                self._text_choice(choice, index, state, events)
                self._finish(choice, index, state, events)
                continue
            else:
                message = choice["message"] = {}
            self._contents(message, choice, index, state, events)
            if message.get("tool_calls"):
                self._whole_calls(message, index, state, events, fields)
            else:
                message.pop("tool_calls", None)
            message["role"] = "assistant"
            message.setdefault("content", None)
            message.setdefault("refusal", None)
            message.setdefault("reasoning", None)
            self._finish(choice, index, state, events)
            if not isinstance(choice.get("logprobs"), dict):
                choice["logprobs"] = None  # a bare number, from some
        self._cite(fields, choices, events)
        self._take_usage(fields, events)
        ends = self.end()
        for end in ends:
            if isinstance(end, Finished):
                self._write_finish(choices, end)
        return (*events, *ends)

    def _whole_calls(
        self,
        message: dict[str, object],
        index: int,
        state: ChoiceState,
        events: list[PlainEvent],
        fields: dict[str, object],
    ) -> None:
        """Calls of a whole answer: each entry is a call, whatever its `index` says."""
        calls = message["tool_calls"]
        if isinstance(calls, list):
            for position, piece in enumerate(calls):
                if isinstance(piece, dict):
                    piece["index"] = position
        self._streamed_calls(message, index, state, events, fields)

    def _cite(
        self, fields: dict[str, object], choices: list[object], events: list[PlainEvent]
    ) -> None:
        """Perplexity's sources are beside the choices: told as annotations of the first, too."""
        annotations = _citations(fields)
        first = choices[0] if choices else None
        message = first.get("message") if isinstance(first, dict) else None
        if annotations and isinstance(message, dict) and not message.get("annotations"):
            message["annotations"] = annotations
            events.append(AnnotationsAdded(tuple(annotations)))

    def _write_finish(self, choices: list[object], end: Finished) -> None:
        for choice in choices:
            if isinstance(choice, dict) and choice.get("index") == end.choice:
                choice["finish_reason"] = end.reason.value
                choice["native_finish_reason"] = end.native

    # --- both -----------------------------------------------------------------------------------------

    @property
    def is_complete(self) -> bool:
        """Whether every choice that began has ended."""
        return bool(self._choices) and all(
            state.finish is not None for state in self._choices.values()
        )

    @property
    def has_begun(self) -> bool:
        return self._has_started

    @property
    def has_error_finish(self) -> bool:
        """Whether a choice ended because the provider failed."""
        return self._has_error_finish

    @property
    def has_content(self) -> bool:
        return any(state.has_content for state in self._choices.values())

    def end(self) -> tuple[PlainEvent, ...]:
        """The answer is over by the provider's word: what it left unsaid.

        A choice without a finish reason gets one. Raises UpstreamFailure (kind EMPTY) if there was nothing
        in the answer: no content, and neither a reason to stop nor a token that was paid for.
        """
        produced = self.usage.usage.completion_tokens if self.usage is not None else None
        if not self.has_content:
            reasons = {state.finish for state in self._choices.values()}
            has_reason = bool(reasons - {None, FinishReason.STOP})
            if not has_reason and not produced:
                if produced == 0 or None in reasons or not reasons:
                    raise UpstreamFailure(
                        "The provider's answer was empty.", kind=FailureKind.EMPTY
                    )
        events: list[PlainEvent] = []
        for index, state in self._choices.items():
            if state.finish is None:
                if state.calls:
                    state.finish = FinishReason.TOOL_CALLS
                elif state.has_content:
                    state.finish = FinishReason.STOP
                else:
                    state.finish = FinishReason.LENGTH  # tokens were spent, none on an answer
                events.append(Finished(state.finish, choice=index))
        return tuple(events)

    def _start(self, fields: dict[str, object]) -> Started:
        self._has_started = True
        return Started(
            id=_word(fields.get("id")),
            model=_word(fields.get("model")),
            service_tier=_word(fields.get("service_tier")),
            system_fingerprint=_word(fields.get("system_fingerprint")),
        )

    def _state(self, choice: dict[str, object], position: int) -> tuple[int, ChoiceState]:
        index = choice.get("index")
        if type(index) is not int:
            index = choice["index"] = position
        state = self._choices.get(index)
        if state is None:
            if len(self._choices) >= CHOICES_MAX or not 0 <= index < CHOICES_MAX:
                raise _garbage(f"more than {CHOICES_MAX} choices in one answer")
            state = self._choices[index] = ChoiceState()
        return index, state

    def _take_usage(self, fields: dict[str, object], events: list[PlainEvent]) -> None:
        """Usage, wherever it is: its own field, or Groq's. A later report replaces an earlier one."""
        reported = fields.pop("usage", None)
        groq = fields.get("x_groq")
        if isinstance(groq, dict):
            told_by_groq = groq.pop("usage", None)
            reported = reported if isinstance(reported, dict) else told_by_groq
        cost_usd = _take_cost_in_meta(fields)
        if not isinstance(reported, dict):
            return
        usage = read_usage(reported)
        if usage is None:
            return
        self.usage = UsageReported(usage, cost_usd=read_cost_usd(reported) or cost_usd)
        events.append(self.usage)

    def _text_choice(
        self, choice: dict[str, object], index: int, state: ChoiceState, events: list[PlainEvent]
    ) -> None:
        """A choice of the legacy completions format."""
        text = choice["text"]
        assert isinstance(text, str)
        if text:
            state.has_content = True
            events.append(TextDelta(text, choice=index, logprobs=_raw(choice.get("logprobs"))))

    def _contents(
        self,
        delta: dict[str, object],
        choice: dict[str, object],
        index: int,
        state: ChoiceState,
        events: list[PlainEvent],
    ) -> None:
        """All of a delta or message but its tool calls: normalised, and told in the order it was thought."""
        before = len(events)
        content = delta.get("content")
        if (
            type(content) is str
            and content
            and delta.keys() <= _PLAIN_KEYS
            and not (delta.get("refusal") or delta.get("annotations"))
        ):
            # The common case of a whole answer: text, and empty stand-ins.
            delta.pop("refusal", None)
            delta.pop("annotations", None)
            state.has_content = True
            events.append(TextDelta(content, choice=index, logprobs=_raw(choice.get("logprobs"))))
            return
        if isinstance(content, list):
            _flatten_content(delta, content)
        elif content is not None and not isinstance(content, str):
            raise _garbage("`content` is neither text nor a list")
        self._reasoning(delta, index, events)
        text = delta.get("content")
        if isinstance(text, str) and text:
            events.append(TextDelta(text, choice=index, logprobs=_raw(choice.get("logprobs"))))
        refusal = delta.get("refusal")
        if isinstance(refusal, str) and refusal:
            events.append(RefusalDelta(refusal, choice=index))
        elif "refusal" in delta:
            del delta["refusal"]
        call = delta.get("function_call")
        if isinstance(call, dict) and (call.get("name") or call.get("arguments")):
            self._legacy_call(call, index, state, events)
        elif "function_call" in delta:
            del delta["function_call"]
        audio = delta.get("audio")
        if isinstance(audio, dict) and any(audio.values()):
            events.append(MediaAdded("audio", audio, choice=index))
        elif "audio" in delta:
            del delta["audio"]
        for name in ("images", "annotations"):
            items = delta.get(name)
            found = [i for i in items if isinstance(i, dict)] if isinstance(items, list) else []
            if not found:
                delta.pop(name, None)
            elif name == "images":
                events.append(MediaAdded("images", found, choice=index))
            else:
                events.append(AnnotationsAdded(tuple(found), choice=index))
        if len(events) > before:
            state.has_content = True

    def _reasoning(self, delta: dict[str, object], index: int, events: list[PlainEvent]) -> None:
        text = delta.get("reasoning")
        alias = delta.pop("reasoning_content", None)
        if not isinstance(text, str) or not text:
            text = alias if isinstance(alias, str) else ""
        given = delta.get("reasoning_details")
        details = [i for i in given if isinstance(i, dict)] if isinstance(given, list) else []
        if not text and details:
            text = "".join(_detail_text(detail) for detail in details)
        if not text and not details:
            delta.pop("reasoning", None)
            delta.pop("reasoning_details", None)
            return
        if not details:
            details = reasoning_details(text)
        delta["reasoning"] = text or None
        delta["reasoning_details"] = details
        events.append(ReasoningDelta(text, choice=index, details=tuple(details)))

    def _legacy_call(
        self, call: dict[str, object], index: int, state: ChoiceState, events: list[PlainEvent]
    ) -> None:
        """`function_call`, the forerunner of tool calls: kept in the fields, told as a call."""
        name = call.get("name")
        name = name if isinstance(name, str) and name else None
        call_id = None
        if not state.calls:
            call_id = self._minted_id({}, index, 0, name or "")
            state.calls.append(CallState(0, call_id))
        arguments = _text_of_json(call.get("arguments"))
        events.append(ToolCallDelta(0, arguments, id=call_id, name=name, choice=index))

    def _finish(
        self, choice: dict[str, object], index: int, state: ChoiceState, events: list[PlainEvent]
    ) -> None:
        """A choice's end is told once: some providers say it again in the chunk that carries usage."""
        native = choice.get("finish_reason")
        if not isinstance(native, str) or not native:
            choice["finish_reason"] = None
            choice.pop("native_finish_reason", None)
            return
        if state.finish is not None:
            choice["finish_reason"] = None
            choice.pop("native_finish_reason", None)
            return
        reason = state.finish = finish_reason_of(native)
        if reason is FinishReason.ERROR:
            self._has_error_finish = True
        told = choice.get("native_finish_reason")
        native = told if isinstance(told, str) and told else native
        choice["finish_reason"] = reason.value
        choice["native_finish_reason"] = native
        events.append(Finished(reason, native=native, choice=index))


def _garbage(why: str) -> UpstreamFailure:
    return UpstreamFailure(
        f"The provider's answer could not be read: {why}.", kind=FailureKind.GARBAGE
    )


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _raw(value: object) -> msgspec.Raw | None:
    return msgspec.Raw(msgspec.json.encode(value)) if isinstance(value, dict) and value else None


def _text_of_json(value: object) -> str:
    """Arguments are JSON text; a provider that sends the JSON itself means its text."""
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()


def _name_of(piece: dict[str, object]) -> str:
    for kind in ("function", "custom"):
        holder = piece.get(kind)
        name = holder.get("name") if isinstance(holder, dict) else None
        if isinstance(name, str) and name:
            return name
    return ""


def _detail_text(detail: Mapping[str, object]) -> str:
    name: Literal["summary", "text"] = (
        "summary" if detail.get("type") == "reasoning.summary" else "text"
    )
    text = detail.get(name)
    return text if isinstance(text, str) else ""


def _flatten_content(delta: dict[str, object], parts: list[object]) -> None:
    """A list of parts becomes text, reasoning and images, each in its documented place."""
    texts: list[str] = []
    thoughts: list[str] = []
    images: list[object] = []
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
        if not isinstance(part, dict):
            continue
        thinking = part.get("thinking")
        if isinstance(thinking, list):
            thoughts.extend(
                piece["text"]
                for piece in thinking
                if isinstance(piece, dict) and isinstance(piece.get("text"), str)
            )
        elif isinstance(thinking, str):
            thoughts.append(thinking)
        elif isinstance(text := part.get("text"), str):
            texts.append(text)
        elif part.get("type") == "image_url":
            images.append(part)
    delta["content"] = "".join(texts) if texts or not (thoughts or images) else None
    if thoughts and not delta.get("reasoning"):
        delta["reasoning"] = "".join(thoughts)
    if images and not delta.get("images"):
        delta["images"] = images


def _citations(fields: dict[str, object]) -> list[dict[str, object]]:
    """`search_results`, or the older `citations`, as `url_citation`s. Their place in the text is not told."""
    found = fields.get("search_results") or fields.get("citations")
    annotations: list[dict[str, object]] = []
    for source in found if isinstance(found, list) else ():
        if isinstance(source, str):
            source = {"url": source}
        url = source.get("url") if isinstance(source, dict) else None
        if isinstance(url, str):
            title = source.get("title")
            citation = {
                "url": url,
                "title": title if isinstance(title, str) else url,
                "start_index": 0,
                "end_index": 0,
            }
            annotations.append({"type": "url_citation", "url_citation": citation})
    return annotations


def _take_cost_in_meta(fields: dict[str, object]) -> float | None:
    """AI/ML API's place for the cost: `meta.usage.usd_spent`. What we are charged is not the caller's news."""
    meta = fields.get("meta")
    usage = meta.get("usage") if isinstance(meta, dict) else None
    if not isinstance(usage, dict):
        return None
    del fields["meta"]
    return read_cost_usd({"cost": usage.get("usd_spent")})
