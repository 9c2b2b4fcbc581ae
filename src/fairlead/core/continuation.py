"""What may be done when a provider dies after part of its answer was sent. Pure.

    nothing but thoughts or white space was sent    the same request again, elsewhere
    text                                            the next model goes on from it
    tool calls, all complete and valid              the answer is as good as over: it is ended
    anything else                                   nothing: the caller is told that the answer broke off

A model goes on by prefill where its provider continues a last message of the assistant, otherwise because a
user message asks it to. `splicing.py` makes one answer of the two legs. The rules and why they are so:
docs/decisions/0020-continuation.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never

import msgspec

from fairlead.core.answer import AnsweredCall
from fairlead.core.chat import (
    AnnotationsAdded,
    AssistantMessage,
    ChatEvent,
    ChatRequest,
    Finished,
    FinishReason,
    Frame,
    MediaAdded,
    Message,
    PlainEvent,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextChunk,
    TextDelta,
    ToolCallDelta,
    UsageReported,
    UserMessage,
    WireFormat,
)
from fairlead.core.errors import FailureKind, UpstreamFailure
from fairlead.core.splicing import Splicer, last_words
from fairlead.core.tool_calls import ToolJudge, ToolVerdict

__all__ = [
    "NOTHING_LEFT",
    "TRANSCRIPT_CHARACTERS_MAX",
    "Continue",
    "Finish",
    "Impossible",
    "Prefill",
    "Restart",
    "Resumption",
    "Transcript",
    "continuation",
]

# Of one answer: the longest of today's models are below. What is longer cannot be continued.
TRANSCRIPT_CHARACTERS_MAX: Final = 1_000_000
CALLS_MAX: Final = 256

_encode: Final = msgspec.json.Encoder().encode


class Prefill(StrEnum):
    """What a provider does with a conversation that ends with a message of the assistant."""

    NONE = "none"  # it answers that message, or refuses it
    CONTINUES = "continues"  # its answer is what follows
    ECHOES = "echoes"  # its answer begins with that message, and goes on


class Transcript:
    """What the caller was sent of one answer, over all its legs."""

    __slots__ = (
        "_arguments",
        "_calls",
        "_characters",
        "_has_other",
        "_text",
        "is_finished",
        "thoughts",
    )

    def __init__(self) -> None:
        self._text: list[str] = []
        self._calls: dict[int, AnsweredCall] = {}
        self._arguments: dict[int, list[str]] = {}
        self._characters = 0
        self._has_other = False  # what cannot be gone on from
        self.is_finished = False
        self.thoughts = 0  # items of reasoning

    def watch(self, events: Sequence[ChatEvent]) -> None:
        """Take note of what goes to the caller: of a later leg, what its splicer returned."""
        for event in events:
            if isinstance(event, TextChunk):
                self._add_text(event.text, event.likeness.index)
            elif isinstance(event, Frame):
                for inner in event.events:
                    self._note(inner)
            else:
                self._note(event)

    @property
    def text(self) -> str:
        return "".join(self._text)

    @property
    def calls(self) -> Sequence[AnsweredCall]:
        for index, call in self._calls.items():
            call.arguments = "".join(self._arguments[index])
        return tuple(self._calls.values())

    @property
    def can_be_resumed(self) -> bool:
        """One choice, of words and calls alone, and not too long."""
        return not self._has_other and self._characters <= TRANSCRIPT_CHARACTERS_MAX

    def _note(self, event: PlainEvent) -> None:
        match event:
            case Started() | UsageReported():
                return
            case TextDelta():
                self._add_text(event.text, event.choice)
                return
            case ReasoningDelta():
                self._add_thought(event)
            case ToolCallDelta():
                self._add_call(event)
            case Finished():
                self.is_finished = True
            case RefusalDelta():
                self._has_other |= bool(event.text)
            case MediaAdded():
                self._has_other = True
            case AnnotationsAdded():
                pass
            case _:
                assert_never(event)
        self._has_other |= event.choice != 0

    def _add_text(self, text: str, choice: int) -> None:
        self._has_other |= choice != 0
        if self._has_room(text):
            self._text.append(text)

    def _add_thought(self, event: ReasoningDelta) -> None:
        if event.text or event.details:
            self.thoughts = max(self.thoughts, 1)
        for detail in event.details:
            index = detail.get("index")
            if isinstance(index, int):
                self.thoughts = max(self.thoughts, index + 1)

    def _add_call(self, event: ToolCallDelta) -> None:
        call = self._calls.get(event.index)
        if call is None:
            if len(self._calls) >= CALLS_MAX:
                self._has_other = True
                return
            call = self._calls[event.index] = AnsweredCall(event.index, type=event.type)
            self._arguments[event.index] = []
        call.id = call.id or event.id or ""
        call.name = call.name or event.name or ""
        if self._has_room(event.arguments):
            self._arguments[event.index].append(event.arguments)

    def _has_room(self, text: str) -> bool:
        self._characters += len(text)
        return self._characters <= TRANSCRIPT_CHARACTERS_MAX


@dataclass(frozen=True, slots=True)
class Restart:
    """Ask again; nothing was sent that has to be continued."""

    request: ChatRequest
    splicer: Splicer


@dataclass(frozen=True, slots=True)
class Continue:
    """Ask the next endpoint to go on. by_prefill: it continues a message; else it was asked in words."""

    request: ChatRequest
    splicer: Splicer
    by_prefill: bool

    def had_nothing_left(self, failure: UpstreamFailure) -> bool:
        """Whether the next leg failed only because the answer was complete but for its end: then NOTHING_LEFT.

        Asked in words a model repeats the last ones, so that its answer is never empty.
        """
        return self.by_prefill and failure.kind is FailureKind.EMPTY


@dataclass(frozen=True, slots=True)
class Finish:
    """The answer lacks nothing but its end. events: what is still to be sent."""

    events: tuple[PlainEvent, ...]


NOTHING_LEFT: Final = Finish((Finished(FinishReason.STOP),))


@dataclass(frozen=True, slots=True)
class Impossible:
    """reason: for people; it holds nothing of the answer."""

    reason: str


Resumption = Restart | Continue | Finish | Impossible


def continuation(
    transcript: Transcript,
    request: ChatRequest,
    prefill: Prefill,
    *,
    written_tokens: int,
    judge: ToolJudge,
) -> Resumption:
    """How to go on at an endpoint.

    request: as the caller sent it, not that of an earlier leg. prefill: of the endpoint, see Provider.
    written_tokens: an estimate of what was sent; the next leg may write so much less.
    """
    if (request.body.n or 1) > 1:
        return Impossible("Several choices were asked for.")
    if not transcript.can_be_resumed:
        return Impossible("What was sent is too long, or more than text and tool calls.")
    if transcript.is_finished:
        return Finish(())
    if calls := transcript.calls:
        return _ended(calls, request, judge)
    sent = transcript.text
    if not sent.strip():
        splicer = Splicer(sent, shows_thoughts=True, thoughts=transcript.thoughts)
        return Restart(request, splicer)
    messages = request.body.messages
    if not messages:
        return Impossible("The request is a prompt without messages.")
    if isinstance(messages[-1], AssistantMessage):
        return Impossible("The conversation already ends with the beginning of an answer.")
    is_structured = _is_structured(request)
    if is_structured and (prefill is Prefill.NONE or request.source is not WireFormat.OPENAI_CHAT):
        return Impossible("The answer has a format that only a prefill could go on with.")
    return _continued(request, sent, prefill, written_tokens, is_structured=is_structured)


def _ended(calls: Sequence[AnsweredCall], request: ChatRequest, judge: ToolJudge) -> Resumption:
    """Calls that are complete end their answer; how many more there would have been, nobody knows."""
    if not all(call.name and call.arguments.strip() and call.type == "function" for call in calls):
        return Impossible("A tool call was sent in part.")
    if judge.verdict(calls, request.body.tools) is not ToolVerdict.VALID:
        return Impossible("A tool call was sent in part, or is not valid.")
    return Finish((Finished(FinishReason.TOOL_CALLS),))


def _is_structured(request: ChatRequest) -> bool:
    wanted = request.body.response_format
    return wanted is not None and wanted.type != "text"


# --- the request of the next leg ----------------------------------------------------------------------

_GO_ON: Final = (
    "Your last message was cut off in the middle. Go on with it from exactly where it stops, as if it had"
    " not been interrupted: no comment, no apology, no new beginning. So that the two parts can be joined,"
    " begin with the last words that were received, exactly as they stand there, and then go on. They are:\n"
)


def _continued(
    request: ChatRequest,
    sent: str,
    prefill: Prefill,
    written_tokens: int,
    *,
    is_structured: bool,
) -> Continue:
    is_prefill = prefill is not Prefill.NONE
    # Some providers refuse white space at the end of a prefill, others drop it: so it is never sent.
    more: list[Message] = [AssistantMessage(content=sent.rstrip())]
    if not is_prefill:
        more.append(UserMessage(content=_GO_ON + last_words(sent)))
    splicer = Splicer(sent, echoes=prefill is Prefill.ECHOES, was_asked=not is_prefill)
    asked = _with_messages(_with_less_room(request, written_tokens), more)
    if is_structured:
        # A grammar would begin at its beginning; the text so far says well enough what comes next.
        asked = _without_format(asked)
    characters = request.characters + len(sent)
    return Continue(
        msgspec.structs.replace(asked, characters=characters), splicer, by_prefill=is_prefill
    )


_LIMITS: Final = ("max_tokens", "max_completion_tokens")
_WRITTEN_LIMITS: Final = (*_LIMITS, "max_output_tokens")


def _with_less_room(request: ChatRequest, written_tokens: int) -> ChatRequest:
    limit = request.max_tokens
    if limit is None:
        return request
    left = max(1, limit - written_tokens)
    given = {name: left for name in _LIMITS if getattr(request.body, name) is not None}
    raw = msgspec.Raw(str(left).encode())
    fields = {name: raw for name in _WRITTEN_LIMITS if name in request.fields}
    return _changed(request, given, fields)


def _with_messages(request: ChatRequest, more: Sequence[Message]) -> ChatRequest:
    """Both views of the messages. Texts are written alike in all formats that have a field `messages`."""
    messages = [*(request.body.messages or ()), *more]
    fields: dict[str, msgspec.Raw] = {}
    if "messages" in request.fields:
        written = bytes(request.fields["messages"]).rstrip()
        assert written.endswith(b"]"), "the dialect has read it as a list"
        fields["messages"] = msgspec.Raw(b"%b,%b" % (written[:-1], _encode(more)[1:]))
    return _changed(request, {"messages": messages}, fields)


def _without_format(request: ChatRequest) -> ChatRequest:
    body = msgspec.structs.replace(request.body, response_format=None)
    fields = {name: raw for name, raw in request.fields.items() if name != "response_format"}
    return msgspec.structs.replace(request, body=body, fields=fields)


def _changed(
    request: ChatRequest, body: Mapping[str, object], fields: Mapping[str, msgspec.Raw]
) -> ChatRequest:
    return msgspec.structs.replace(
        request,
        body=msgspec.structs.replace(request.body, **body),
        fields={**request.fields, **fields},
    )
